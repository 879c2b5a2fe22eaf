//! The words: what a server may be, what is known of a call, and why something changed.

use headwater_plugin::serde::Serialize;
use std::time::Duration;

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(crate = "headwater_plugin::serde", rename_all = "snake_case")]
pub enum Status {
    /// A config names it; nothing was seen of it.
    Discovered,
    /// It was started, and has not answered yet.
    Starting,
    /// It works.
    Active,
    /// It is slow, or fails now and then.
    Degraded,
    /// It does not answer, or fails often.
    Unhealthy,
    /// It does not run.
    Stopped,
}

impl Status {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it is running, as far as that is known.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Active | Self::Degraded | Self::Unhealthy)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Ok,
    /// It was answered with an error.
    Error,
    /// It was not answered in time.
    Timeout,
}

/// What kind of call it was. They are never mixed: a probe takes a fraction of a millisecond, a call may take minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of ours.
    Probe,
    /// A client's, that was observed or timed on its way.
    Call,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it ended, on a clock that only goes forward.
    pub at: Duration,
    /// Whose it was.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, where that is known.
    pub latency: Option<Duration>,
}

/// Why a server is not, or no longer, well.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// Its calls are slow.
    Slow {
        /// The 95th percentile.
        p95: Duration,
        /// What it may be.
        limit: Duration,
    },
    /// Its calls fail.
    Errors {
        /// The share that failed, 0 to 1.
        rate: f64,
    },
    /// So many calls in a row were not answered.
    Silent {
        /// How many.
        calls: u32,
    },
    /// It did not get as far as to answer at all.
    NotReady {
        /// What happened instead.
        reason: String,
    },
    /// It ended by itself.
    Ended {
        /// How.
        reason: String,
    },
    /// Somebody asked for it.
    Asked,
    /// It is not ours to run or to ask any more.
    LetGo {
        /// Why.
        reason: &'static str,
    },
}

impl Cause {
    /// Whether somebody wanted it so: nobody need worry.
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::Asked | Self::LetGo { .. })
    }
}

/// Its status is another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it was.
    pub from: Status,
    /// What it is.
    pub to: Status,
    /// Why; nothing where it is well.
    pub causes: Vec<Cause>,
}
