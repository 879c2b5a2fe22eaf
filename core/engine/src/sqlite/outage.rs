//! The time in which writing does not work: when it is tried again. Begun and ended by the writer.

use std::time::{Duration, Instant};

/// The pauses between attempts while the disk does not take anything: the first one, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Since writing does not work.
pub(crate) struct Outage {
    /// When it is tried again.
    pub(crate) retry: Instant,
    pause: Duration,
}

impl Outage {
    /// It has failed for the first time.
    pub(crate) fn begin() -> Self {
        Self { retry: Instant::now() + RETRY.0, pause: RETRY.0 }
    }

    /// It has failed again.
    pub(crate) fn goes_on(self) -> Self {
        let pause = (self.pause * 2).min(RETRY.1);
        Self { retry: Instant::now() + pause, pause }
    }
}
