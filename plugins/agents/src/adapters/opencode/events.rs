//! What an event says: `{"type": …, "properties": {…}}`, as version 1.18 writes it.

use crate::{
    adapters::{
        Unknown,
        fields::{Fields, shown},
    },
    signal::{AgentRef, Done, Ended, Signal, Step, Wait, What},
};

const PROGRAM: &str = "opencode";

/// Events of the server and its files, which no session has said.
const OF_THE_SERVER: [&str; 18] = [
    "catalog.",
    "command.",
    "file.",
    "global.",
    "ide.",
    "installation.",
    "integration.",
    "lsp.",
    "mcp.",
    "plugin.",
    "project.",
    "pty.",
    "reference.",
    "server.",
    "tui.",
    "vcs.",
    "workspace.",
    "worktree.",
];

/// Events of a session that say no more than that it is there. The later ones bring what `message.` has brought already.
const QUIET: [&str; 9] = [
    "session.updated",
    "session.diff",
    "session.next.",
    "message.part.delta",
    "message.part.removed",
    "message.removed",
    "todo.updated",
    "permission.v2.",
    "question.v2.",
];

pub(in crate::adapters) fn read(event: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let kind = event.word("type").unwrap_or_default();
    let properties = event.within("properties");
    let (info, part) = (properties.within("info"), properties.within("part"));
    let session = if kind.starts_with("session.") { info.id("id") } else { info.id("sessionID") };
    let session = properties.id("sessionID").or(session).or_else(|| part.id("sessionID"));
    let mut signal = Signal {
        agent: AgentRef { program: PROGRAM.into(), session, ..AgentRef::default() },
        task: None,
        what: What::Heartbeat,
        at: None,
    };
    if OF_THE_SERVER.iter().any(|prefix| kind.starts_with(prefix)) {
        return Vec::new();
    }
    match kind {
        "session.created" | "session.updated" => {
            signal.agent.parent = info.id("parentID");
            signal.agent.cwd = info.path("directory");
            signal.agent.version = info.id("version");
            signal.agent.kind = info.id("agent");
            if kind == "session.created" {
                signal.what = What::Started { resumed: false };
                signal.at = info.within("time").time("created");
            }
        }
        "session.deleted" => signal.what = What::Gone { reason: Some("deleted".into()) },
        // Both words are told at the end of a turn, and once more when an interrupted one has been tidied up.
        "session.idle" => signal.what = What::Turn(Ended::Completed),
        "session.status" => match properties.within("status").word("type") {
            Some("busy" | "retry") => signal.what = What::Working,
            Some("idle") => signal.what = What::Turn(Ended::Completed),
            other => unknown.count("opencode status", &shown(other)),
        },
        // Comes before the words that the session is idle.
        "session.error" => signal.what = What::Turn(failed(properties.within("error"))),
        "session.compacted" => {
            let done = Some(Done { ok: Some(true), took: None });
            signal.what = What::Step(Step { name: "compact".into(), id: None, done });
        }
        "message.updated" => message(info, &mut signal),
        "message.part.updated" => {
            if part.word("type") == Some("tool") {
                signal.what = tool(part, unknown);
            }
        }
        "permission.asked" | "permission.updated" => {
            let step = properties.first_id(&["permission", "type"]);
            signal.what = What::Waiting(Wait::Permission { step });
        }
        "question.asked" => signal.what = What::Waiting(Wait::Answer),
        "permission.replied" | "question.replied" | "question.rejected" => signal.what = What::Working,
        _ if QUIET.iter().any(|prefix| kind.starts_with(prefix)) => {}
        _ => unknown.count(PROGRAM, &shown(event.word("type"))),
    }
    // Without a session it would be an agent that nobody could name.
    if signal.agent.session.is_some() { vec![signal] } else { Vec::new() }
}

/// A message of the user is a prompt, and its id the task's. It is told again, with a summary, after the turn has ended.
fn message(info: Fields<'_>, signal: &mut Signal) {
    match info.word("role") {
        Some("user") => {
            signal.agent.model = info.within("model").id("modelID");
            if info.get("summary").is_none() {
                signal.task = info.id("id");
                signal.what = What::Prompt { text: None, bytes: None };
                signal.at = info.within("time").time("created");
            }
        }
        Some("assistant") => {
            signal.agent.model = info.id("modelID");
            signal.agent.cwd = info.within("path").path("cwd");
            signal.task = info.id("parentID");
        }
        _ => {}
    }
}

fn failed(error: Fields<'_>) -> Ended {
    match error.id("name") {
        Some(name) if name == "MessageAbortedError" => Ended::Interrupted,
        code => Ended::Failed { code, message: error.within("data").text("message") },
    }
}

fn tool(part: Fields<'_>, unknown: &Unknown) -> What {
    let state = part.within("state");
    let time = state.within("time");
    let took = time.time("start").zip(time.time("end")).and_then(|(start, end)| end.duration_since(start).ok());
    let done = match state.word("status") {
        // Its input is being written, and it has not begun.
        Some("pending") => return What::Heartbeat,
        Some("running") => None,
        Some("completed") => Some(Done { ok: Some(true), took }),
        Some("error") => Some(Done { ok: Some(false), took }),
        other => {
            unknown.count("opencode tool", &shown(other));
            return What::Heartbeat;
        }
    };
    let name = part.id("tool").unwrap_or_else(|| "tool".into());
    What::Step(Step { name, id: part.id("callID"), done })
}
