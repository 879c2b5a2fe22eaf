//! What went wrong with the file, split by what can be done: wait and try again, open it again, give it up, or do without
//! a row. Made from what SQLite says; used by opening, writing and reading.

use crate::EngineError;
use rusqlite::{Error, ErrorCode};

/// A failed access to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk does not take it or give it now: full, read-only, an I/O error, somebody else writing.
    Disk(String),
    /// It may be read and not written. A connection that was opened then stays as it is.
    ReadOnly(String),
    /// What is in the file cannot be.
    Spoilt(String),
    /// The same of one row only; what is around it can be read.
    Odd(String),
}

impl Fault {
    /// What happened, in words.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Disk(reason) | Self::ReadOnly(reason) | Self::Spoilt(reason) | Self::Odd(reason) => reason,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            // `Unknown` is SQL that does not fit the tables; ours fits those that we made.
            Error::SqliteFailure(inner, _) => match inner.code {
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::Unknown => Self::Spoilt(reason),
                ErrorCode::ReadOnly => Self::ReadOnly(reason),
                _ => Self::Disk(reason),
            },
            // A value of another kind than is written there.
            _ => Self::Odd(reason),
        }
    }
}

impl From<Fault> for EngineError {
    fn from(fault: Fault) -> Self {
        Self::Down(format!("the history cannot be read: {}", fault.reason()))
    }
}
