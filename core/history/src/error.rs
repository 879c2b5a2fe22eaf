//! Why a question about the past has no answer, split by what the asker can do.

use headwater_router::EngineError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The question can never be answered as it stands. The text names the place and the fix.
    #[error("{0}")]
    Wrong(String),
    /// The answer would take more than one call may; a narrower question has one. The text says which.
    #[error("{0}")]
    TooLarge(String),
    /// The store does not answer now.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nobody waits for the answer any more.
    #[error("the question was withdrawn")]
    Withdrawn,
}
