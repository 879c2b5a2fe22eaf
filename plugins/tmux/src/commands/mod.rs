//! What clients may ask. Panes are named by their ids, never by names.

mod capture;
mod explain;
mod list;
mod send_keys;
mod target;

pub(crate) use capture::Capture;
pub(crate) use explain::Explain;
pub(crate) use send_keys::SendKeys;

use crate::{
    server::ask::{AskError, Program},
    watching::Watching,
};
use headwater_plugin::prelude::*;

/// Commands that are under way in threads. Each is a `tmux` that runs.
pub(crate) const AT_ONCE: usize = 16;

/// Answers a command, at once or from a thread.
pub(crate) fn answer(watching: &mut Watching<'_>, command: Command) {
    match command.name.as_str() {
        "status" => command.complete(list::status(watching)),
        "list" => command.complete(list::list(watching)),
        "capture" => capture::answer(watching, command),
        "explain" => explain::answer(watching, command),
        "send_keys" => send_keys::answer(watching, command),
        _ => command.unknown(),
    }
}

/// Answers a command while there is no server.
pub(crate) fn answer_without_server(command: Command, program: &Program, reason: &str) {
    match command.name.as_str() {
        "status" => {
            let socket = program.socket().to_string_lossy();
            command.complete(json!({ "mode": "waiting", "reason": reason, "socket": socket }));
        }
        "list" => command.complete(json!({ "sessions": [] })),
        _ => command.fail(Failure::new("SYSTEM_UNAVAILABLE", reason)),
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        let code = match error {
            AskError::NotFound(_) => "RESOURCE_NOT_FOUND",
            AskError::NotInstalled | AskError::NoServer | AskError::Slow | AskError::InMode => "SYSTEM_UNAVAILABLE",
            AskError::Refused(_) | AskError::Strange(_) | AskError::Io(_) => "INTERNAL_ERROR",
        };
        Self(Failure::new(code, error.to_string()))
    }
}

/// Why a command is not carried out.
pub(crate) struct Refusal(pub(crate) Failure);

impl Refusal {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self(Failure::new(code, message))
    }
}
