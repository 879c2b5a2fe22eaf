//! How a source is: what `GET /v1/sources`, `/metrics` and `headwater source list` show.

use crate::CommandInfo;
use headwater_config::Isolation;
use headwater_event::Timestamp;
use std::fmt;

/// The state of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Being loaded or started.
    Starting,
    /// Running.
    Up,
    /// It failed; the next try comes after a delay.
    Backoff,
    /// It failed too often in a short time; one more try comes after the quarantine.
    Quarantined,
    /// It ended by itself, or cannot be loaded until its file or its table changes.
    Down,
    /// `enabled = false`.
    Disabled,
}

impl SourceState {
    /// The word in answers and lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Backoff => "backoff",
            Self::Quarantined => "quarantined",
            Self::Down => "down",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One source, as it is now.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its name in the config.
    pub name: String,
    /// Its state.
    pub state: SourceState,
    /// The plugin's name, for a plugin.
    pub plugin: Option<String>,
    /// The command, for an exec source.
    pub exec: Option<Vec<String>>,
    /// The plugin's version, once its manifest was read.
    pub version: Option<String>,
    /// Where it runs.
    pub isolation: Isolation,
    /// The child's process id, while there is one.
    pub pid: Option<u32>,
    /// How many times it was started, this one included; 0 before the first.
    pub generation: u64,
    /// How many of those starts followed a failure.
    pub restarts: u64,
    /// Events that went to the bus.
    pub events: u64,
    /// Events that were refused: wrong channel, invalid JSON, too large, or the bus was full.
    pub dropped: u64,
    /// Batches in which the events came.
    pub batches: u64,
    /// Bytes of payload that went to the bus.
    pub bytes: u64,
    /// Patterns of the channels that it may publish to; empty where nobody has said.
    pub channels: Vec<String>,
    /// The commands that it takes.
    pub commands: Vec<CommandInfo>,
    /// Why it is in this state, when there is something to say.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// The line for people in its table.
    pub description: Option<String>,
}
