//! What each emitter says, read into signals: one file for each emitter. Pure: a JSON value in, signals out.
//!
//! | file | emitter | what it reads |
//! |---|---|---|
//! | `claude` | `claude` | the JSON that Claude Code gives to a hook |
//! | `codex` | `codex` | the JSON that Codex gives to a hook |
//! | `codex_notify` | `codex_notify` | the argument of Codex's `notify` program |
//! | `codex_exec` | `codex_exec` | a line of `codex exec --json` |
//! | `opencode` | `opencode` | an event of opencode's `GET /event` |
//! | `a2a` | `a2a` | an update of a task by the A2A protocol |
//! | `otlp` | `otlp` | a log record, made flat by the gateway |
//! | `report` | `report` | an event of the documented types, as a client says it |
//! | `lifecycle` | | the hooks that Claude Code and Codex have in common |
//! | `fields`, `place`, `unknown` | | reading JSON that may hold anything; where it came from; what was not understood |
//!
//! Programs change faster than this: a name or a field that is not known is counted in [`Unknown`], and what is understood
//! is taken. Nothing is an error, and no input panics.

mod a2a;
mod claude;
mod codex;
mod codex_exec;
mod codex_notify;
mod fields;
mod lifecycle;
pub mod opencode;
mod otlp;
mod place;
mod report;
mod unknown;

pub use unknown::Unknown;

use crate::signal::Signal;
use fields::Fields;
use serde_json::Value;

/// What the data of an event `hook.<emitter>` says. `data` is `{"payload": …}` with where it came from beside it; without a
/// `payload` it is the payload itself, as a client has published it who knows nothing of that form.
pub fn read(emitter: &str, data: &Value, unknown: &Unknown) -> Vec<Signal> {
    let data = Fields(data);
    let payload = data.inner("payload").unwrap_or(data);
    // What the caller knows and the payload does not repeat.
    let session = data.id("session");
    let mut signals = match emitter {
        "claude" => claude::read(payload, unknown),
        "codex" => codex::read(payload, unknown),
        "codex_notify" => codex_notify::read(payload, unknown),
        "codex_exec" => codex_exec::read(payload, unknown),
        "opencode" => opencode::read(payload, unknown),
        "a2a" => a2a::read(payload, unknown),
        "otlp" => otlp::read(payload, unknown),
        "report" => report::read(payload, unknown),
        _ => {
            unknown.count("emitter", emitter);
            Vec::new()
        }
    };
    for signal in &mut signals {
        if signal.agent.session.is_none() {
            signal.agent.session.clone_from(&session);
        }
        if signal.agent.cwd.is_none() {
            signal.agent.cwd = data.path("cwd");
        }
    }
    signals
}

#[cfg(test)]
mod tests;
