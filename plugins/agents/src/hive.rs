//! When `hive_status_update` is due: every interval, and on a change, but at most once a second. And the machine's load.

use headwater_plugin::tokio::time::Instant;
use std::time::Duration;

/// However much happens, there are not more of them than one in this time.
const SHORTEST: Duration = Duration::from_secs(1);

/// The pace of the updates.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    last: Option<Instant>,
    changed: bool,
}

impl Pace {
    /// Every `interval`, beginning at once.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval: interval.max(SHORTEST), last: None, changed: true }
    }

    /// Something has changed that an update tells.
    pub(crate) fn change(&mut self) {
        self.changed = true;
    }

    /// When the next one is due.
    pub(crate) fn due(&self) -> Instant {
        let Some(last) = self.last else { return Instant::now() };
        last + if self.changed { SHORTEST } else { self.interval }
    }

    /// Whether one is due now; if so it counts as sent.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let due = self.last.is_none() || self.due() <= now;
        if due {
            self.last = Some(now);
            self.changed = false;
        }
        due
    }
}

/// The share of the machine's cores that was asked for in the last minute, 1 when it was all of them or more. Absent where
/// the machine does not say.
pub(crate) fn system_load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let minute: f64 = text.split_whitespace().next()?.parse().ok()?;
    let cores = std::thread::available_parallelism().ok()?.get() as f64;
    Some(((minute / cores).min(1.0) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_at_most_once_a_second_and_quiet_times_every_interval() {
        let mut pace = Pace::new(Duration::from_secs(5));
        let start = Instant::now();
        assert!(pace.take(start));
        assert_eq!(pace.due(), start + Duration::from_secs(5));
        pace.change();
        assert_eq!(pace.due(), start + Duration::from_secs(1));
        assert!(!pace.take(start + Duration::from_millis(999)));
        assert!(pace.take(start + Duration::from_secs(1)));
        assert!(!pace.take(start + Duration::from_millis(5_999)));
        assert!(pace.take(start + Duration::from_secs(6)));
    }

    #[test]
    fn this_machine_says_its_load() {
        let load = system_load().unwrap();
        assert!((0.0..=1.0).contains(&load), "{load}");
    }
}
