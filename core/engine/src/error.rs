//! Why an engine did not do what was asked, split by what the caller can do about it.

/// What went wrong. Whichever it is, nothing of a refused batch has been kept or handed back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// This request can never succeed as it stands: tell its author, do not repeat it.
    #[error("the engine refused the request: {0}")]
    Refused(String),
    /// Not now: the same request may succeed in a moment. Repeat it, or let the publisher slow down.
    #[error("the engine is busy: {0}; try again")]
    Busy(String),
    /// The engine has not started, has ended or has lost its store. Live events may still flow from elsewhere;
    /// publishing here does not work until an operator has looked.
    #[error("the engine is down: {0}")]
    Down(String),
}
