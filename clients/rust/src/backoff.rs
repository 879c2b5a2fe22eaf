//! How long to wait before the next attempt: exponential, with full jitter.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Waiting times between attempts. Each is random between nothing and a bound that doubles: after a daemon's restart
/// its clients then come back spread over time instead of all at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// The bound of the first wait, and the bound that is never passed.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(fraction())
    }

    /// After success the next wait is a short one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn bound(&self) -> Duration {
        // 2^20 quarter seconds are days, beyond every sensible bound.
        self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest)
    }
}

impl Default for Backoff {
    /// Up to 250 ms at first, up to 10 s after some failures: soon enough for a person who waits, rare enough for a
    /// machine that is down all night.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(10))
    }
}

/// A random number in 0..1, from the standard library's randomly keyed hasher: jitter needs no better one, and no crate.
fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(70));
        let bounds: Vec<u128> = (0..5)
            .map(|_| {
                let bound = backoff.bound().as_millis();
                assert!(backoff.next_wait().as_millis() <= bound);
                bound
            })
            .collect();
        assert_eq!(bounds, [10, 20, 40, 70, 70]);
        backoff.reset();
        assert_eq!(backoff.bound(), Duration::from_millis(10));
    }

    #[test]
    fn waits_differ() {
        // Without jitter all clients of a restarted daemon would knock in the same millisecond.
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        let waits: std::collections::HashSet<Duration> = (0..50).map(|_| backoff.next_wait()).collect();
        assert!(waits.len() > 40, "{waits:?}");
    }
}
