//! The calls of the last minutes: how many, how many failed, how long they took.

use hdrhistogram::Histogram;
use std::{collections::VecDeque, time::Duration};

/// Parts of a window; the oldest goes as a whole.
const SLOTS: u32 = 5;

/// Digits that count in a latency: one in a hundred is nearer than anybody needs.
const DIGITS: u8 = 2;

/// The longest latency that is told apart from longer ones, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;

/// The calls of the last minutes.
#[derive(Debug)]
pub struct Window {
    /// How long a slot lasts.
    width: Duration,
    slots: VecDeque<Slot>,
    /// All slots together, kept so that nothing is added up at each call.
    all: Slot,
}

#[derive(Debug)]
struct Slot {
    since: Duration,
    latencies: Histogram<u32>,
    calls: u32,
    failed: u32,
}

/// What a window says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Calls.
    pub calls: u32,
    /// Calls that failed or were not answered.
    pub failed: u32,
    /// Calls whose latency is known: what the percentiles are of.
    pub timed: u64,
    /// The median.
    pub p50: Option<Duration>,
    /// The 95th percentile.
    pub p95: Option<Duration>,
    /// The 99th percentile.
    pub p99: Option<Duration>,
}

impl Summary {
    /// The share of calls that failed; unknown without a call.
    pub fn error_rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| f64::from(self.failed) / f64::from(self.calls))
    }
}

impl Slot {
    fn new(since: Duration) -> Self {
        // It grows with what is recorded: most latencies are short, and then it takes little room.
        let latencies = Histogram::new(DIGITS).expect("invariant: so many digits are possible");
        Self { since, latencies, calls: 0, failed: 0 }
    }

    fn add(&mut self, latency: Option<Duration>, failed: bool) {
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(failed));
        if let Some(latency) = latency {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST);
            self.latencies.record(micros).expect("invariant: it grows up to the longest");
        }
    }
}

impl Window {
    /// A window over this time.
    pub fn new(length: Duration) -> Self {
        let width = (length / SLOTS).max(Duration::from_millis(1));
        Self { width, slots: VecDeque::new(), all: Slot::new(Duration::ZERO) }
    }

    /// Takes a call. `true`: with it, a new part of the window began.
    pub fn add(&mut self, at: Duration, latency: Option<Duration>, failed: bool) -> bool {
        self.forget(at);
        let began = self.slots.back().is_none_or(|slot| at >= slot.since + self.width);
        if began {
            self.slots.push_back(Slot::new(at));
        }
        let slot = self.slots.back_mut().expect("invariant: one was just put there");
        slot.add(latency, failed);
        self.all.add(latency, failed);
        began
    }

    /// Lets go of what is too old.
    pub fn forget(&mut self, at: Duration) {
        while let Some(old) = self.slots.front().filter(|slot| at >= slot.since + self.width * SLOTS) {
            let taken = self.all.latencies.subtract(&old.latencies);
            self.all.calls = self.all.calls.saturating_sub(old.calls);
            self.all.failed = self.all.failed.saturating_sub(old.failed);
            self.slots.pop_front();
            if taken.is_err() || self.slots.is_empty() {
                self.rebuild();
            }
        }
    }

    /// Adds everything up anew.
    fn rebuild(&mut self) {
        self.all = Slot::new(Duration::ZERO);
        for slot in &self.slots {
            // Both have the same bounds: it cannot fail.
            let _ = self.all.latencies.add(&slot.latencies);
            self.all.calls += slot.calls;
            self.all.failed += slot.failed;
        }
    }

    /// Lets go of everything.
    pub fn clear(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        self.slots.clear();
        self.all = Slot::new(Duration::ZERO);
    }

    /// Calls, and how many of them failed.
    pub fn calls(&self) -> (u32, u32) {
        (self.all.calls, self.all.failed)
    }

    /// The 95th percentile, where at least so many latencies are known.
    pub fn p95(&self, enough: u32) -> Option<Duration> {
        (self.all.latencies.len() >= u64::from(enough)).then(|| self.at(0.95))
    }

    fn at(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.all.latencies.value_at_quantile(quantile))
    }

    /// What it says.
    pub fn summary(&self) -> Summary {
        let timed = self.all.latencies.len();
        let at = |quantile: f64| (timed > 0).then(|| self.at(quantile));
        let Slot { calls, failed, .. } = self.all;
        Summary { calls, failed, timed, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn percentiles_are_those_of_the_calls() {
        let mut window = Window::new(5 * MINUTE);
        for latency in 1..=100 {
            window.add(MINUTE, Some(ms(latency)), latency > 90);
        }
        let summary = window.summary();
        assert_eq!((summary.calls, summary.failed, summary.timed), (100, 10, 100));
        for (found, wanted) in [(summary.p50, 50.0), (summary.p95, 95.0), (summary.p99, 99.0)] {
            let found = found.unwrap().as_secs_f64() * 1e3;
            assert!((found - wanted).abs() <= wanted * 0.02, "{found} for {wanted}");
        }
        assert_eq!(summary.error_rate(), Some(0.1));
        assert_eq!(Window::new(MINUTE).summary(), Summary::default());
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut window = Window::new(5 * MINUTE);
        window.add(Duration::ZERO, Some(ms(900)), true);
        window.add(2 * MINUTE, Some(ms(1)), false);
        assert_eq!(window.summary().calls, 2);
        window.forget(5 * MINUTE);
        let summary = window.summary();
        assert_eq!((summary.calls, summary.failed), (1, 0));
        assert!(summary.p99.unwrap() < ms(2));
        window.forget(60 * MINUTE);
        assert_eq!(window.summary(), Summary::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What is kept up at each call is what adding everything up gives.
        #[test]
        fn the_sum_is_the_sum_of_its_parts(calls in prop::collection::vec((0..90_000_u64, 0..4_000_u64, any::<bool>()), 0..100)) {
            let mut window = Window::new(ms(60_000));
            let mut at = Duration::ZERO;
            for (pause, latency, failed) in calls {
                at += ms(pause);
                window.add(at, Some(ms(latency)), failed);
                let kept = window.summary();
                window.rebuild();
                prop_assert_eq!(kept, window.summary());
            }
        }
    }
}
