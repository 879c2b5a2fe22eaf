//! How bad an event is, and how its source knows of it.

use std::{fmt, str::FromStr};

/// A word that names no severity or evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{word}`; one of {known}")]
pub struct UnknownWord {
    /// What was to be read.
    pub what: &'static str,
    /// What stood there.
    pub word: String,
    /// What could stand there.
    pub known: &'static str,
}

/// debug < info < warning < error < critical. An event without one counts as info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// Of use to a developer only.
    Debug = 1,
    /// Normal.
    Info,
    /// Wants watching.
    Warning,
    /// Something failed.
    Error,
    /// Something that people depend on failed.
    Critical,
}

impl Severity {
    /// From the least to the worst.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The severity with this number; `None` for 0 and for numbers that have no meaning.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warning),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

impl FromStr for Severity {
    type Err = UnknownWord;

    /// The five words, and the seeds' other scale: low, medium, high.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Ok(match word {
            "debug" => Self::Debug,
            "info" | "low" => Self::Info,
            "warning" | "medium" => Self::Warning,
            "error" | "high" => Self::Error,
            "critical" => Self::Critical,
            _ => {
                return Err(UnknownWord {
                    what: "severity",
                    word: word.into(),
                    known: "debug, info, warning, error, critical",
                });
            }
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a source knows what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Evidence {
    /// The thing itself told it.
    Observed = 1,
    /// It follows from other observations.
    Inferred,
    /// It was found by looking now and then.
    Polled,
}

impl Evidence {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Observed, Self::Inferred, Self::Polled];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::Polled => "polled",
        }
    }

    /// The evidence with this number; `None` for 0.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Observed),
            2 => Some(Self::Inferred),
            3 => Some(Self::Polled),
            _ => None,
        }
    }
}

impl FromStr for Evidence {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Ok(match word {
            "observed" => Self::Observed,
            "inferred" => Self::Inferred,
            "polled" => Self::Polled,
            _ => {
                return Err(UnknownWord { what: "evidence", word: word.into(), known: "observed, inferred, polled" });
            }
        })
    }
}
