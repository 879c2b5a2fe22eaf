//! When a post is tried again: later each time, at a random moment, so that the webhooks of many daemons do not meet an
//! endpoint that comes back all at once.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The pauses between the attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first.
    pub min: Duration,
    /// The bound of all.
    pub max: Duration,
}

impl Backoff {
    /// The pause after so many failed attempts. `asked` is what the endpoint itself named; it is obeyed up to `max`, and
    /// never makes the pause shorter.
    pub(crate) fn pause(self, failed: u32, asked: Option<Duration>) -> Duration {
        let doublings = failed.saturating_sub(1).min(20);
        let bound = self.min.saturating_mul(1 << doublings).min(self.max);
        // Full jitter: anything from nothing to the bound.
        let random = RandomState::new().hash_one(0) as u32;
        let drawn = bound.mul_f64(f64::from(random) / f64::from(u32::MAX));
        asked.map_or(drawn, |asked| asked.min(self.max).max(drawn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_mins(1) };

    #[test]
    fn pauses_are_spread_below_a_bound_that_doubles() {
        for (failed, bound) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (100, 60), (u32::MAX, 60)] {
            let bound = Duration::from_secs(bound);
            let pauses: Vec<Duration> = (0..200).map(|_| BACKOFF.pause(failed, None)).collect();
            assert!(pauses.iter().all(|pause| *pause <= bound));
            // Of 200 draws none below a quarter, or none above three: less likely than 1 in 10^24.
            assert!(pauses.iter().any(|pause| *pause < bound / 4) && pauses.iter().any(|pause| *pause > bound / 4 * 3));
        }
    }

    #[test]
    fn an_endpoint_that_names_a_pause_gets_it_within_reason() {
        assert_eq!(BACKOFF.pause(1, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(BACKOFF.pause(1, Some(Duration::from_hours(24))), Duration::from_mins(1));
        assert!(BACKOFF.pause(1, Some(Duration::ZERO)) <= Duration::from_secs(1));
    }
}
