//! Updates of tasks by the A2A protocol: what a server streams, or posts to a client's address for push notifications.
//!
//! Read are the forms of version 0.3, told apart by `kind`, those of 1.0, told apart by the name of the member that holds
//! them, and either one within a JSON-RPC answer: <https://a2a-protocol.org/latest/specification/>. They do not name the agent;
//! the context (a conversation) takes its place, unless the caller says `session`.

use super::{
    Unknown,
    fields::{Fields, shown},
};
use crate::signal::{AgentRef, Ended, Signal, Step, TaskStep, Wait, What};

const PROGRAM: &str = "a2a";

pub(super) fn read(message: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let message = message.inner("result").unwrap_or(message);
    let status = message.first(&["statusUpdate", "status_update", "task"]);
    let artifact = message.first(&["artifactUpdate", "artifact_update"]);
    match (message.word("kind"), status, artifact) {
        (Some("status-update" | "task"), ..) => of_status(message, unknown),
        (Some("artifact-update"), ..) => of_artifact(message),
        (Some("message"), ..) => of_message(message),
        (None, Some(update), _) => of_status(update, unknown),
        (None, None, Some(update)) => of_artifact(update),
        (None, None, None) if message.inner("message").is_some() => of_message(message.within("message")),
        // The REST form of a task has neither.
        (None, None, None) if message.inner("status").is_some() => of_status(message, unknown),
        (kind, ..) => {
            unknown.count(PROGRAM, &shown(kind));
            Vec::new()
        }
    }
}

fn agent(update: Fields<'_>) -> AgentRef {
    AgentRef { program: PROGRAM.into(), session: update.first_id(&["contextId", "context_id"]), ..AgentRef::default() }
}

/// An update names its task; a task is one.
fn task(update: Fields<'_>) -> Option<String> {
    update.first_id(&["taskId", "task_id", "id"])
}

fn of_status(update: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let status = update.within("status");
    // `input-required`, or as the protocol buffers write it: `TASK_STATE_INPUT_REQUIRED`.
    let word = status.word("state").unwrap_or_default();
    let state = word.strip_prefix("TASK_STATE_").unwrap_or(word).to_ascii_lowercase().replace('_', "-");
    let failed = |code: Option<&str>| Ended::Failed { code: code.map(str::to_owned), message: said(status) };
    let step = match state.as_str() {
        "submitted" => TaskStep::Created { description: None },
        "working" => TaskStep::Started,
        "input-required" => TaskStep::Waiting(Wait::Answer),
        "auth-required" => TaskStep::Waiting(Wait::Login),
        "completed" => TaskStep::Ended(Ended::Completed),
        "canceled" | "cancelled" => TaskStep::Ended(Ended::Interrupted),
        "failed" => TaskStep::Ended(failed(None)),
        "rejected" => TaskStep::Ended(failed(Some("rejected"))),
        _ => {
            unknown.count("a2a state", &shown(status.word("state")));
            return vec![heartbeat(update)];
        }
    };
    let at = status.time("timestamp");
    let Some(task) = task(update) else {
        unknown.count("a2a state", "(no task)");
        return Vec::new();
    };
    vec![Signal { agent: agent(update), task: Some(task), what: What::Task(step), at }]
}

/// The first text of a status's message, where it has been kept.
fn said(status: Fields<'_>) -> Option<String> {
    let parts = status.within("message").get("parts")?.as_array()?;
    parts.iter().find_map(|part| Fields(part).text("text"))
}

fn of_artifact(update: Fields<'_>) -> Vec<Signal> {
    let artifact = update.within("artifact");
    let last = update.flag("lastChunk").or_else(|| update.flag("last_chunk"));
    let step = Step {
        name: artifact.id("name").unwrap_or_else(|| "artifact".into()),
        id: artifact.first_id(&["artifactId", "artifact_id"]),
        done: (last == Some(true)).then(Default::default),
    };
    vec![Signal { what: What::Step(step), task: task(update), ..heartbeat(update) }]
}

/// An answer without a task.
fn of_message(message: Fields<'_>) -> Vec<Signal> {
    vec![heartbeat(message)]
}

fn heartbeat(update: Fields<'_>) -> Signal {
    Signal { agent: agent(update), task: None, what: What::Heartbeat, at: None }
}
