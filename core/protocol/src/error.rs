//! Errors that a client is told: a stable code, a sentence, and what to do about it.

use crate::RequestId;

/// The codes on the wire; HTTP answers carry the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The message is no JSON object.
    InvalidJson,
    /// No such `type`.
    UnknownMessageType,
    /// A field is missing, of the wrong type or out of range.
    Validation,
    /// No source has this command.
    UnknownCommand,
    /// Two sources have this command.
    AmbiguousCommand,
    /// No such source, or channel, or subscription.
    NotFound,
    /// Too many messages.
    RateLimit,
    /// A position that the channel has not reached.
    PositionAhead,
    /// The source ended before it answered; the outcome cannot be known.
    OutcomeUnknown,
    /// Not now: starting, draining, or a part is down.
    Unavailable,
    /// Nobody is known by this token.
    AuthenticationFailed,
    /// The last message before the daemon closes a connection.
    ConnectionLost,
    /// A fault of the daemon.
    Internal,
}

impl ErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "INVALID_JSON",
            Self::UnknownMessageType => "UNKNOWN_MESSAGE_TYPE",
            Self::Validation => "VALIDATION_ERROR",
            Self::UnknownCommand => "UNKNOWN_COMMAND",
            Self::AmbiguousCommand => "AMBIGUOUS_COMMAND",
            Self::NotFound => "RESOURCE_NOT_FOUND",
            Self::RateLimit => "RATE_LIMIT_EXCEEDED",
            Self::PositionAhead => "POSITION_AHEAD",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Unavailable => "SYSTEM_UNAVAILABLE",
            Self::AuthenticationFailed => "AUTHENTICATION_FAILED",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::Internal => "INTERNAL_ERROR",
        }
    }
}

/// The longest message, in bytes. Many quote what the client sent, which may be as long as a message can be; the answer
/// must not be.
const MAX_MESSAGE: usize = 512;

/// Why a request was refused. The connection goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct RequestError {
    /// What kind of error.
    pub code: ErrorCode,
    /// The place and the fix.
    pub message: String,
    /// The request that it answers, when it could be read.
    pub request_id: Option<RequestId>,
}

impl RequestError {
    /// An error that answers no particular request yet. A message that is too long is cut.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE - '…'.len_utf8()));
            message.push('…');
        }
        Self { code, message, request_id: None }
    }

    /// A field that is missing or wrong.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    /// The same error as the answer to a request.
    #[must_use]
    pub fn answering(mut self, request_id: Option<RequestId>) -> Self {
        self.request_id = request_id;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let error = RequestError::validation("é".repeat(1000));
        assert!(error.message.len() <= MAX_MESSAGE && error.message.ends_with("é…"));
        assert_eq!(RequestError::validation("x".repeat(MAX_MESSAGE)).message.len(), MAX_MESSAGE);
    }
}
