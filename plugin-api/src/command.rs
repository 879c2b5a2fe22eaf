//! A command from a client, on its way through the source, and its answers.

use crate::{
    link::Link,
    schema::ConfigType,
    source::Error,
    wire::{Acceptance, Answer},
};
use serde::Serialize;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// A command that a client sent to the source.
///
/// It gets any number of [`accept`](Command::accept) and [`progress`](Command::progress), then one of the answers that
/// consume it. A command that is dropped without an answer is answered with an error, so that no client waits in vain.
#[derive(Debug)]
pub struct Command {
    /// What is to be done.
    pub name: String,
    /// With what: a JSON object, empty when the client gave none. [`Command::parse`] makes a `#[config]` type of it.
    pub parameters: Value,
    /// Who asks, where the daemon says it.
    pub caller: Option<String>,
    link: Arc<Link>,
    request: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the queue: the source has not seen it.
    Waiting,
    /// The source has it.
    Taken,
    /// It has its last answer.
    Answered,
}

/// How far a command is; what is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What is done now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// The number of that step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_number: Option<u64>,
    /// How many steps there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<u64>,
    /// How much is done, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_percent: Option<f64>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl Progress {
    /// Step `number` of `total`.
    pub fn step(number: u64, total: u64, what: impl Into<String>) -> Self {
        Self { current_step: Some(what.into()), step_number: Some(number), total_steps: Some(total), ..Self::default() }
    }
}

/// Why a command failed: a code for programs and a message for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    error_code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_action: Option<String>,
}

impl Failure {
    /// A failure with a code such as `RESOURCE_NOT_FOUND` or `SYSTEM_UNAVAILABLE`.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_code: code.into(), message: message.into(), details: None, suggested_action: None }
    }

    /// Adds what a program may want to know.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Adds what a person could do.
    #[must_use]
    pub fn suggest(mut self, action: impl Into<String>) -> Self {
        self.suggested_action = Some(action.into());
        self
    }
}

/// Any error or text, with the code `INTERNAL_ERROR`.
impl<E: fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new("INTERNAL_ERROR", error.to_string())
    }
}

impl Command {
    pub(crate) fn new(
        link: Arc<Link>,
        request: u64,
        name: String,
        parameters: Option<Value>,
        caller: Option<String>,
    ) -> Self {
        let parameters = parameters.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        Self { name, parameters, caller, link, request, stage: Stage::Waiting }
    }

    /// The source has it now.
    pub(crate) fn taken(mut self) -> Self {
        self.stage = Stage::Taken;
        self
    }

    /// The parameters as a `#[config]` type. The error names the field at fault, and goes well into [`Command::invalid`].
    pub fn parse<T: ConfigType>(&self) -> Result<T, Error> {
        serde_path_to_error::deserialize(self.parameters.clone()).map_err(|error| {
            let field = error.path().to_string();
            let error = error.into_inner();
            // What concerns all of them, such as one that is missing, names itself.
            if field == "." { error.into() } else { format!("`{field}`: {error}").into() }
        })
    }

    /// Tells the client that it has begun.
    pub fn accept(&self) {
        self.say(&Answer::Accepted(Acceptance { message: None, estimated_completion_ms: None }));
    }

    /// Tells the client that it has begun, and when it may be done, in milliseconds from now.
    pub fn accept_with(&self, message: &str, estimated_completion_ms: Option<u64>) {
        self.say(&Answer::Accepted(Acceptance { message: Some(message), estimated_completion_ms }));
    }

    /// Tells the client how far it is.
    pub fn progress(&self, progress: Progress) {
        self.say(&Answer::Progress(progress));
    }

    /// It is done; `result` is any value with a JSON form, `()` for none.
    pub fn complete(mut self, result: impl Serialize) {
        match serde_json::value::to_raw_value(&result) {
            Ok(result) => {
                self.stage = Stage::Answered;
                self.say(&Answer::Completed { result: &result });
            }
            Err(error) => self.fail(format_args!("the result has no JSON form: {error}")),
        }
    }

    /// It failed; for the reason a text, any error, or a [`Failure`].
    pub fn fail(mut self, failure: impl Into<Failure>) {
        self.end(&failure.into());
    }

    /// Completes it with the value, or fails it with the error.
    pub fn answer<T: Serialize, E: Into<Failure>>(self, result: Result<T, E>) {
        match result {
            Ok(value) => self.complete(value),
            Err(error) => self.fail(error),
        }
    }

    /// Its parameters cannot be used: `VALIDATION_ERROR`.
    pub fn invalid(mut self, reason: impl fmt::Display) {
        self.end(&Failure::new("VALIDATION_ERROR", reason.to_string()));
    }

    /// The source has no such command: `UNKNOWN_COMMAND`. One that `export_source!` does not declare is answered so
    /// before it reaches the source.
    pub fn unknown(mut self) {
        self.end(&unknown(&self.name));
    }

    fn end(&mut self, failure: &Failure) {
        self.stage = Stage::Answered;
        self.say(&Answer::Error(failure));
    }

    fn say(&self, answer: &Answer<'_>) {
        self.link.reply(self.request, answer);
    }
}

/// The answer to a command that does not exist.
pub(crate) fn unknown(name: &str) -> Failure {
    Failure::new("UNKNOWN_COMMAND", format!("the source has no command `{name}`"))
}

impl Drop for Command {
    fn drop(&mut self) {
        let message = match self.stage {
            Stage::Answered => return,
            Stage::Waiting => {
                let failure = Failure::new("SYSTEM_UNAVAILABLE", "the source ended before it took the command");
                return self.end(&failure);
            }
            Stage::Taken => "the source dropped the command",
        };
        // After a panic nobody knows what was done; the host says so when it hears no answer.
        if !std::thread::panicking() && self.link.fault().is_none() {
            self.end(&Failure::new("INTERNAL_ERROR", message));
        }
    }
}
