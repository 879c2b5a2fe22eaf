//! A line of `codex exec --json`. Only the first one names the thread: who passes the lines on adds it to the others as
//! `session`, beside the payload.

use super::{
    Unknown,
    codex::CODEX,
    fields::{Fields, shown},
};
use crate::signal::{AgentRef, Done, Ended, Signal, Step, What};

pub(super) fn read(line: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let item = line.within("item");
    let what = match line.word("type") {
        Some("thread.started") => What::Started { resumed: false },
        // The prompt itself is not in the stream.
        Some("turn.started") => What::Prompt { text: None, bytes: None },
        Some("turn.completed") => What::Turn(Ended::Completed),
        Some("turn.failed") => {
            let error = line.within("error");
            What::Turn(Ended::Failed { code: error.id("code"), message: error.text("message") })
        }
        Some("item.started") => step(item, false, unknown),
        Some("item.completed") => step(item, true, unknown),
        // `error` tells of a connection that is tried again as well; what ends a turn is `turn.failed`.
        Some("item.updated" | "error") => What::Heartbeat,
        other => {
            unknown.count("codex exec", &shown(other));
            What::Heartbeat
        }
    };
    let agent = AgentRef { program: CODEX.name.into(), session: line.id("thread_id"), ..AgentRef::default() };
    vec![Signal { agent, task: None, what, at: None }]
}

fn step(item: Fields<'_>, ended: bool, unknown: &Unknown) -> What {
    let name = match item.word("type") {
        Some("command_execution") => "command".to_owned(),
        // Named as in the hooks.
        Some("mcp_tool_call") => match (item.word("server"), item.word("tool")) {
            (Some(server), Some(tool)) => format!("mcp__{server}__{tool}"),
            _ => "mcp_tool_call".to_owned(),
        },
        Some(kind @ ("file_change" | "web_search" | "collab_tool_call")) => kind.to_owned(),
        // What the model thinks, says and plans, and what Codex warns of, are no steps.
        Some("agent_message" | "reasoning" | "todo_list" | "error") => return What::Heartbeat,
        other => {
            unknown.count("codex exec item", &shown(other));
            return What::Heartbeat;
        }
    };
    let ok = match item.word("status") {
        Some("completed") => Some(true),
        Some("failed" | "declined") => Some(false),
        _ => None,
    };
    What::Step(Step { name, id: item.id("id"), done: ended.then_some(Done { ok, took: None }) })
}
