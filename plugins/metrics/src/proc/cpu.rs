//! `/proc/stat`: what the cores did since the machine started, in ticks.

/// Ticks of all cores together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Doing something.
    pub busy: u64,
    /// All.
    pub total: u64,
}

/// Reads the first line: `cpu user nice system idle iowait irq softirq steal guest guest_nice`. The guests' time is
/// already in user and nice.
pub fn parse(stat: &str) -> Option<Times> {
    let mut words = stat.lines().next()?.split_ascii_whitespace();
    if words.next() != Some("cpu") {
        return None;
    }
    let mut ticks = [0_u64; 8];
    let mut found = 0;
    for (slot, word) in ticks.iter_mut().zip(words) {
        *slot = word.parse().ok()?;
        found += 1;
    }
    if found < 4 {
        return None; // the columns up to `idle` are in every kernel
    }
    let total = ticks.iter().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
    let idle = ticks[3].saturating_add(ticks[4]);
    Some(Times { busy: total.saturating_sub(idle), total })
}

/// The busy share between two looks, in percent; `None` when no tick has passed. The kernel's count of waiting for I/O
/// can fall a little, so the share is kept within its bounds.
pub fn usage(before: Times, now: Times) -> Option<f64> {
    let total = now.total.checked_sub(before.total).filter(|ticks| *ticks > 0)?;
    let busy = now.busy.saturating_sub(before.busy).min(total);
    Some(busy as f64 / total as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "cpu  250601 36628 41706 426892 1233 0 1880 112 77 0\ncpu0 128172 15770 20424 213907 345 0 869 53 0 0\n";

    #[test]
    fn the_first_line_is_all_cores_together() {
        let busy = 250_601 + 36_628 + 41_706 + 1_880 + 112;
        assert_eq!(parse(STAT), Some(Times { busy, total: busy + 426_892 + 1_233 }), "guest time counts once");
        assert_eq!(parse("cpu 1 2 3 4\n"), Some(Times { busy: 6, total: 10 }), "an old kernel has four columns");
    }

    #[test]
    fn other_text_is_refused() {
        for wrong in ["", "cpu0 1 2 3 4", "cpu 1 2 3", "cpu a b c d", "intr 5"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_share_is_of_the_time_between_two_looks() {
        let before = Times { busy: 100, total: 1_000 };
        assert_eq!(usage(before, Times { busy: 150, total: 1_200 }), Some(25.0));
        assert_eq!(usage(before, Times { busy: 100, total: 1_100 }), Some(0.0));
        assert_eq!(usage(before, before), None, "without a tick nothing is known");
        assert_eq!(usage(before, Times { busy: 400, total: 1_100 }), Some(100.0));
        assert_eq!(usage(before, Times { busy: 90, total: 1_100 }), Some(0.0));
    }
}
