//! Commands to sources: what is asked, and the answers that travel back.
//!
//! The gateway calls [`Host::command`](crate::Host::command) and hands in where the answers go. Nothing here knows a
//! dialect; the parts of an answer that the source wrote freely stay raw JSON.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;

/// Which command is meant: `measure`, or `disk/measure` where two sources declare the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandTarget {
    /// The configured source's name, when it was said.
    pub source: Option<String>,
    /// The command's name.
    pub name: String,
}

impl CommandTarget {
    /// Reads `name` or `source/name`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((source, name)) => Self { source: Some(source.into()), name: name.into() },
            None => Self { source: None, name: text.into() },
        }
    }
}

impl fmt::Display for CommandTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A command is on its way; its answers come by the callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The source that got it.
    pub source: String,
    /// Its number at the host, unique while the daemon runs.
    pub request: u64,
}

/// Why a command goes nowhere. None of these reached a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefused {
    /// No source declares it: `UNKNOWN_COMMAND`.
    #[error("no source has a command `{target}`{}", did_you_mean(.suggestion.as_deref()))]
    Unknown {
        /// What was asked.
        target: String,
        /// The nearest command that exists.
        suggestion: Option<String>,
    },
    /// Several sources declare it: `VALIDATION_ERROR`.
    #[error("`{name}` is a command of {}; say `{}/{name}`", .sources.join(", "), .sources[0])]
    Ambiguous {
        /// The command.
        name: String,
        /// The sources that declare it, never empty.
        sources: Vec<String>,
    },
    /// The source that declares it does not run: `SYSTEM_UNAVAILABLE`.
    #[error("the source `{source_name}` is {state}{}", because(.reason.as_deref()))]
    Unavailable {
        /// The source.
        source_name: String,
        /// Its state, in the words of [`SourceState`](crate::SourceState).
        state: &'static str,
        /// Why, when it is known.
        reason: Option<String>,
    },
    /// The source has as many commands waiting as it may: `RATE_LIMIT_EXCEEDED`.
    #[error("the source `{source_name}` has {waiting} commands waiting; try again later")]
    Busy {
        /// The source.
        source_name: String,
        /// How many wait.
        waiting: usize,
    },
    /// The parameters are no JSON object: `VALIDATION_ERROR`.
    #[error("the parameters of a command are a JSON object: {0}")]
    Malformed(String),
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

/// One answer to a command. A command gets any number of the first two, then exactly one of the last two.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The source has begun.
    Accepted {
        /// What the source says about it.
        message: Option<String>,
        /// When it expects to be done, in milliseconds from now.
        estimated_completion_ms: Option<u64>,
    },
    /// How far it is.
    Progress(Progress),
    /// It is done.
    Completed {
        /// Whatever the source returns, as JSON.
        result: Box<RawValue>,
    },
    /// It failed, or nobody knows: `outcome_unknown` when the source ended first.
    Error(CommandError),
}

impl Answer {
    /// Whether no other answer follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Error(_))
    }
}

/// How far a command is; every part may be absent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Progress {
    /// What it does now.
    #[serde(default)]
    pub current_step: Option<String>,
    /// The number of that step.
    #[serde(default)]
    pub step_number: Option<u64>,
    /// How many steps there are.
    #[serde(default)]
    pub total_steps: Option<u64>,
    /// How much is done, 0 to 100.
    #[serde(default)]
    pub completion_percent: Option<f64>,
    /// Anything else, as JSON.
    #[serde(default)]
    pub details: Option<Box<RawValue>>,
}

/// Why a command failed.
#[derive(Clone, Debug, Deserialize)]
pub struct CommandError {
    /// The code, as in `VALIDATION_ERROR`; `outcome_unknown` from the host itself.
    pub error_code: String,
    /// What happened, for people.
    pub message: String,
    /// Anything else, as JSON.
    #[serde(default)]
    pub details: Option<Box<RawValue>>,
    /// What the caller can do.
    #[serde(default)]
    pub suggested_action: Option<String>,
}
