//! When a failed source is tried again: later each time, and after too many failures in a short time much later.

use headwater_config::Supervision;
use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// What comes after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// One more try after this time.
    Retry(Duration),
    /// It failed too often; one more try after this time.
    Quarantine(Duration),
}

/// The failures of one source.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// Those within the quarantine window.
    recent: VecDeque<Instant>,
    /// Those in a row.
    row: u32,
}

impl Backoff {
    /// One more failure, of a source that had been up for `up`.
    pub(crate) fn failed(&mut self, options: &Supervision, now: Instant, up: Duration) -> Next {
        if up >= options.quarantine_window {
            // It ran long enough to count as well; what failed before has another cause.
            *self = Self::default();
        }
        while self.recent.front().is_some_and(|first| now.duration_since(*first) > options.quarantine_window) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.row += 1;
        if self.recent.len() >= options.quarantine_after as usize {
            // One failure after the quarantine is enough for the next.
            self.recent.clear();
            self.recent.extend(std::iter::repeat_n(
                now + options.quarantine_for,
                options.quarantine_after.saturating_sub(1) as usize,
            ));
            return Next::Quarantine(options.quarantine_for);
        }
        let doublings = (self.row - 1).min(20);
        let delay = options.backoff_min.saturating_mul(1 << doublings).min(options.backoff_max);
        Next::Retry(jitter(delay))
    }
}

/// Between a half and all of it, so that sources that failed together do not come back together.
fn jitter(delay: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) as u32;
    delay.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Supervision {
        Supervision { quarantine_after: 4, ..Supervision::default() }
    }

    #[test]
    fn delays_double_with_jitter_and_stop_at_the_longest() {
        let options = Supervision { quarantine_after: 1000, ..Supervision::default() };
        let mut backoff = Backoff::default();
        let began = Instant::now();
        for (row, most) in [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].into_iter().enumerate() {
            let Next::Retry(delay) = backoff.failed(&options, began, Duration::ZERO) else { panic!("row {row}") };
            let most = Duration::from_millis(most);
            assert!(delay <= most && delay >= most / 2, "{delay:?} of {most:?}");
        }
    }

    #[test]
    fn too_many_failures_in_the_window_are_a_quarantine_and_slow_ones_are_not() {
        let options = options();
        let mut backoff = Backoff::default();
        let began = Instant::now();
        let verdicts: Vec<_> = (0..4).map(|_| backoff.failed(&options, began, Duration::ZERO)).collect();
        assert_eq!(verdicts[3], Next::Quarantine(options.quarantine_for));
        assert!(matches!(verdicts[2], Next::Retry(_)));
        let after = began + options.quarantine_for;
        assert_eq!(backoff.failed(&options, after, Duration::ZERO), Next::Quarantine(options.quarantine_for));

        let mut backoff = Backoff::default();
        for minute in 0..20 {
            let now = began + Duration::from_secs(60 * minute / 2);
            assert!(matches!(backoff.failed(&options, now, Duration::from_secs(5)), Next::Retry(_)), "{minute}");
        }
    }

    #[test]
    fn a_long_run_is_forgiven() {
        let options = options();
        let mut backoff = Backoff::default();
        let now = Instant::now();
        for _ in 0..3 {
            backoff.failed(&options, now, Duration::ZERO);
        }
        let Next::Retry(delay) = backoff.failed(&options, now, options.quarantine_window) else { panic!("forgiven") };
        assert!(delay <= options.backoff_min);
    }
}
