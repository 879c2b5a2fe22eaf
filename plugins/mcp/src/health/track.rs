//! The calls of one kind, and what is usual for them.

use super::{
    status::{Kind, Outcome, Sample},
    window::{Summary, Window},
};
use std::time::Duration;

/// Calls without which nothing is said of how slow or how faulty they are.
pub(super) const ENOUGH: u32 = 20;

/// Nothing that is faster than this is slow.
pub(super) const NEVER_SLOW: Duration = Duration::from_secs(1);

/// How many times what is usual is slow.
const TIMES: u32 = 3;

/// How far what is usual follows in a slot of the window: down at once nearly, up hardly. A server that becomes slower bit by
/// bit would otherwise never be slow.
const DOWN: f64 = 0.2;
const UP: f64 = 0.02;

/// The calls of one kind.
#[derive(Debug)]
pub struct Track {
    kind: Kind,
    window: Window,
    usual: Option<Duration>,
}

impl Track {
    /// No call yet.
    pub fn new(kind: Kind, window: Duration) -> Self {
        Self { kind, window: Window::new(window), usual: None }
    }

    /// Takes a call. `well`: the server is well, so that this is what is usual.
    pub fn add(&mut self, sample: &Sample, well: bool) {
        let began = self.window.add(sample.at, sample.latency, sample.outcome != Outcome::Ok);
        if well && (began || self.usual.is_none()) {
            self.learn();
        }
    }

    fn learn(&mut self) {
        let Some(p95) = self.window.p95(ENOUGH) else { return };
        self.usual = match self.usual {
            // A probe that is slow from the first day on is not usual, it is slow.
            None if self.kind == Kind::Probe && p95 > NEVER_SLOW => return,
            None => Some(p95),
            Some(usual) => {
                let share = if p95 < usual { DOWN } else { UP };
                Some(usual.mul_f64(1.0 - share) + p95.mul_f64(share))
            }
        };
    }

    /// What is slow; unknown for calls of which there were not enough yet.
    pub fn limit(&self) -> Option<Duration> {
        match (self.usual, self.kind) {
            (Some(usual), _) => Some((usual * TIMES).max(NEVER_SLOW)),
            (None, Kind::Probe) => Some(NEVER_SLOW),
            (None, Kind::Call) => None,
        }
    }

    /// Whether a call was as it should be.
    pub fn is_good(&self, sample: &Sample) -> bool {
        let slow = self.limit().zip(sample.latency).is_some_and(|(limit, latency)| latency > limit);
        sample.outcome == Outcome::Ok && !slow
    }

    /// The window's figures.
    pub fn summary(&self) -> Summary {
        self.window.summary()
    }

    /// Calls in the window.
    pub fn calls(&self) -> u32 {
        self.window.calls().0
    }

    /// What is usual: the 95th percentile while all was well.
    pub fn usual(&self) -> Option<Duration> {
        self.usual
    }

    /// Forgets the calls that are too old.
    pub fn forget(&mut self, at: Duration) {
        self.window.forget(at);
    }

    /// Forgets the calls, and not what is usual.
    pub fn clear(&mut self) {
        self.window.clear();
    }

    /// Too slow by the figures of the window: the percentile and its limit.
    pub fn slow(&self) -> Option<(Duration, Duration)> {
        let limit = self.limit()?;
        self.window.p95(ENOUGH).filter(|p95| *p95 > limit).map(|p95| (p95, limit))
    }

    /// The share of failures, once there were enough calls.
    pub fn error_rate(&self) -> Option<f64> {
        let (calls, failed) = self.window.calls();
        (calls >= ENOUGH).then(|| f64::from(failed) / f64::from(calls))
    }
}
