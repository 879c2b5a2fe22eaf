//! `/proc/meminfo`: how much memory is taken.

/// The memory of the machine, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that there is.
    pub total: u64,
    /// What is not available to programs: `MemTotal − MemAvailable`.
    pub used: u64,
    /// Swap space, and what of it is taken; `None` where there is none.
    pub swap: Option<(u64, u64)>,
}

/// Reads it; `None` where the kernel does not say what is available.
pub fn parse(meminfo: &str) -> Option<Memory> {
    // One pass: the four stand in the first lines of some fifty.
    let (mut total, mut available, mut swap_total, mut swap_free) = (None, None, None, None);
    for line in meminfo.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let slot = match name {
            "MemTotal" => &mut total,
            "MemAvailable" => &mut available,
            "SwapTotal" => &mut swap_total,
            "SwapFree" => &mut swap_free,
            _ => continue,
        };
        *slot = value.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok());
    }
    let total = total?;
    let used = total.checked_sub(available?)?;
    let swap = swap_total.zip(swap_free).filter(|(total, _)| *total > 0);
    Some(Memory { total, used, swap: swap.and_then(|(total, free)| Some((total, total.checked_sub(free)?))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_available_is_used() {
        let text =
            "MemTotal:       24684092 kB\nMemFree:        17059840 kB\nMemAvailable:   24000080 kB\nBuffers: 1 kB\n";
        assert_eq!(parse(text), Some(Memory { total: 24_684_092, used: 684_012, swap: None }));
        let swap = format!("{text}SwapTotal: 100 kB\nSwapFree: 25 kB\n");
        assert_eq!(parse(&swap).unwrap().swap, Some((100, 75)));
        let none = format!("{text}SwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!(parse(&none).unwrap().swap, None);
    }

    /// Kernels before 3.14 have no `MemAvailable`. What is free is something else, and would be a wrong figure.
    #[test]
    fn without_the_kernels_own_estimate_nothing_is_known() {
        assert_eq!(parse("MemTotal: 100 kB\nMemFree: 50 kB\n"), None);
        assert_eq!(parse("MemTotal: x kB\nMemAvailable: 50 kB\n"), None);
        assert_eq!(parse("MemTotal: 10 kB\nMemAvailable: 50 kB\n"), None);
        assert_eq!(parse(""), None);
    }
}
