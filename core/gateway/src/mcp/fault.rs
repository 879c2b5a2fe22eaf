//! Why a call came to nothing, in words that a model can act on. The codes are those of HTTP and WebSocket.

use crate::{Refused, http::problem::Problem};
use headwater_protocol::{CommandFailure, ErrorCode, RequestError};
use serde_json::Value;
use std::{borrow::Cow, fmt};

/// A call's failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What kind of error; a source's command may have kinds of its own.
    code: Cow<'static, str>,
    /// The place and the fix.
    message: String,
    details: Option<Value>,
    /// What to do about it, where `message` does not say.
    action: Option<Cow<'static, str>>,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let action = (code == ErrorCode::Unavailable).then(|| "call it again in a moment".into());
        Self { code: code.as_str().into(), message: message.into(), details: None, action }
    }

    /// The code.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The code, if it is one of the daemon's: those that sources make up are without end.
    pub(super) fn known_code(&self) -> Option<&'static str> {
        match self.code {
            Cow::Borrowed(code) => Some(code),
            Cow::Owned(_) => None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(super) fn then(mut self, action: impl Into<Cow<'static, str>>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// The same; `action` is what to do where nobody else says.
    #[must_use]
    pub(super) fn or(mut self, action: &'static str) -> Self {
        self.action.get_or_insert(action.into());
        self
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let action = problem.member("suggested_action").and_then(Value::as_str).map(|action| action.to_owned().into());
        Self { code: problem.code().into(), message: problem.detail().to_owned(), details: None, action }
    }
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Problem::from(refused).into()
    }
}

impl From<CommandFailure> for Fault {
    fn from(failure: CommandFailure) -> Self {
        let CommandFailure { code, message, details, suggested_action } = failure;
        let details = details.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        Self { code: code.into(), message, details, action: suggested_action.map(Cow::Owned) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if let Some(details) = &self.details {
            write!(f, "\ndetails: {details}")?;
        }
        if let Some(action) = &self.action {
            write!(f, "\nsuggested action: {action}")?;
        }
        Ok(())
    }
}
