//! The states of a server, with hysteresis: what made it bad is not what makes it good again.

use super::{
    status::{Cause, Change, Kind, Outcome, Sample, Status},
    track::Track,
};
use std::time::Duration;

/// Failures among its calls from which on a server is degraded.
pub(super) const SOME_ERRORS: f64 = 0.05;

/// Failures among its calls from which on it is unhealthy.
pub(super) const MANY_ERRORS: f64 = 0.25;

/// Calls in a row that are not answered, from which on it is unhealthy.
pub(super) const SILENT: u32 = 3;

/// Good calls in a row, and the time since the last bad one, after which it is well again.
pub(super) const GOOD: u32 = 5;
pub(super) const CALM: Duration = Duration::from_secs(30);

/// The state of one server.
#[derive(Debug)]
pub struct Machine {
    status: Status,
    causes: Vec<Cause>,
    probes: Track,
    calls: Track,
    /// Calls in a row that were not answered.
    silent: u32,
    /// Calls in a row that were as they should be.
    good: u32,
    last_bad: Option<Duration>,
}

impl Machine {
    /// A server of which nothing was seen. `window` is the time whose calls count.
    pub fn new(window: Duration) -> Self {
        Self {
            status: Status::Discovered,
            causes: Vec::new(),
            probes: Track::new(Kind::Probe, window),
            calls: Track::new(Kind::Call, window),
            silent: 0,
            good: 0,
            last_bad: None,
        }
    }

    /// What it is.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why it is not well.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// Calls in a row that were not answered.
    pub fn silent(&self) -> u32 {
        self.silent
    }

    /// The calls of a kind.
    pub fn track(&self, kind: Kind) -> &Track {
        match kind {
            Kind::Probe => &self.probes,
            Kind::Call => &self.calls,
        }
    }

    /// The calls that tell most: those of clients where there are any, or else ours.
    pub fn telling(&self) -> Option<(Kind, &Track)> {
        let any = |track: &Track| track.calls() > 0;
        [(Kind::Call, &self.calls), (Kind::Probe, &self.probes)].into_iter().find(|(_, track)| any(track))
    }

    /// It was started.
    pub fn start(&mut self) -> Option<Change> {
        self.fresh();
        self.go(Status::Starting, Vec::new())
    }

    /// It gave a sign of life, where it was not known to run.
    pub fn alive(&mut self) -> Option<Change> {
        if self.status.is_up() && !self.causes.iter().any(|cause| matches!(cause, Cause::NotReady { .. })) {
            return None;
        }
        self.fresh();
        self.go(Status::Active, Vec::new())
    }

    /// It was started and got nowhere.
    pub fn not_ready(&mut self, reason: String) -> Option<Change> {
        self.go(Status::Unhealthy, vec![Cause::NotReady { reason }])
    }

    /// It runs no more.
    pub fn stop(&mut self, cause: Cause) -> Option<Change> {
        self.fresh();
        self.go(Status::Stopped, vec![cause])
    }

    /// A call ended. Calls of a server that is not known to run are a sign of life first: see [`Machine::alive`].
    pub fn sample(&mut self, sample: &Sample) -> Option<Change> {
        let well = self.status == Status::Active;
        let track = match sample.kind {
            Kind::Probe => &mut self.probes,
            Kind::Call => &mut self.calls,
        };
        let good = track.is_good(sample);
        track.add(sample, well);
        self.silent = if sample.outcome == Outcome::Timeout { self.silent + 1 } else { 0 };
        if good {
            self.good += 1;
        } else {
            self.good = 0;
            self.last_bad = Some(sample.at);
        }
        if !self.status.is_up() {
            return None;
        }
        if self.status != Status::Active && self.recovered(sample.at) {
            self.fresh();
            return self.go(Status::Active, Vec::new());
        }
        let (worst, causes) = self.judge();
        // Only downwards: the way up is recovery.
        (worst > self.status).then(|| self.go(worst, causes)).flatten()
    }

    /// Time has passed: what is too old does not count any more.
    pub fn forget(&mut self, at: Duration) {
        self.probes.forget(at);
        self.calls.forget(at);
    }

    fn recovered(&self, at: Duration) -> bool {
        self.good >= GOOD && self.last_bad.is_none_or(|bad| at.saturating_sub(bad) >= CALM)
    }

    /// What the calls say, and why.
    fn judge(&self) -> (Status, Vec<Cause>) {
        let mut status = Status::Active;
        let mut causes = Vec::new();
        let mut blame = |worst: Status, cause: Cause| {
            status = status.max(worst);
            causes.push(cause);
        };
        if self.silent >= SILENT {
            blame(Status::Unhealthy, Cause::Silent { calls: self.silent });
        }
        for track in [&self.probes, &self.calls] {
            match track.error_rate() {
                Some(rate) if rate >= MANY_ERRORS => blame(Status::Unhealthy, Cause::Errors { rate }),
                Some(rate) if rate >= SOME_ERRORS => blame(Status::Degraded, Cause::Errors { rate }),
                _ => {}
            }
            if let Some((p95, limit)) = track.slow() {
                blame(Status::Degraded, Cause::Slow { p95, limit });
            }
        }
        (status, causes)
    }

    /// The calls so far say nothing of what comes.
    fn fresh(&mut self) {
        self.probes.clear();
        self.calls.clear();
        self.silent = 0;
        self.good = 0;
        self.last_bad = None;
    }

    fn go(&mut self, to: Status, causes: Vec<Cause>) -> Option<Change> {
        let from = std::mem::replace(&mut self.status, to);
        self.causes.clone_from(&causes);
        (from != to).then_some(Change { from, to, causes })
    }
}
