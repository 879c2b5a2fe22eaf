//! What others tell of servers' calls: agents by their hooks, `headwater mcp-wrap` by what passes through it.

pub(crate) mod hooks;
pub(crate) mod traffic;

use crate::health::Outcome;
use std::time::Duration;

/// A call that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// How long it took, where that is known.
    pub(crate) latency: Option<Duration>,
}

/// How it is known what a server is; the later ones tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Agents' hooks tell of calls.
    Observed,
    /// Its process was found.
    Process,
    /// Its traffic passes through a wrapper.
    Wrapped,
    /// It is asked.
    Probe,
}

impl Level {
    /// As events name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Process => "process",
            Self::Wrapped => "wrapped",
            Self::Probe => "probe",
        }
    }
}
