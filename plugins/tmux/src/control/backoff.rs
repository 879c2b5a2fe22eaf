//! When to stop trying: control clients that end as soon as they start would otherwise be started for ever.

use std::time::{Duration, Instant};

/// A client that ended within this time ended at once.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(2);

/// So many in a row, and there are none for a while.
const STRIKES: u32 = 3;

/// How long the first rest is; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(30);

/// How long a rest is at most.
const LONGEST_REST: Duration = Duration::from_mins(10);

/// How often it went wrong, and until when nothing is tried.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    strikes: u32,
    rests: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// A client ended at once.
    pub(crate) fn strike(&mut self, now: Instant) {
        self.strikes += 1;
        // After a rest one more is enough.
        if self.strikes >= STRIKES || self.rests > 0 {
            self.until = Some(now + FIRST_REST.saturating_mul(1 << self.rests.min(5)).min(LONGEST_REST));
            self.rests += 1;
            self.strikes = 0;
        }
    }

    /// One has lived for longer than [`AT_ONCE`].
    pub(crate) fn lived(&mut self) {
        *self = Self::default();
    }

    /// Until when nothing is tried.
    pub(crate) fn resting(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_are_enough_and_rests_grow() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        backoff.strike(now);
        backoff.strike(now);
        assert_eq!(backoff.resting(now), None);
        backoff.strike(now);
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            assert_eq!(backoff.resting(now), Some(now + Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(backoff.resting(now), None, "it is tried again");
            backoff.strike(now);
        }
        backoff.lived();
        backoff.strike(now);
        assert_eq!(backoff.resting(now), None, "all begins anew after one that lived");
    }
}
