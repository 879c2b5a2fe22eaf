//! The hooks that Claude Code and Codex have in common: Codex took over the names and most of the fields. Each adapter says
//! what is its own and gives the rest here.

use super::fields::{Fields, shown};
use crate::{
    adapters::Unknown,
    signal::{AgentRef, Done, Ended, Signal, Step, TaskStep, Wait, What},
};

/// What differs between the programs.
pub(super) struct Program {
    /// The agent's program.
    pub(super) name: &'static str,
    /// The field with the id of the turn.
    pub(super) turn: &'static str,
}

/// Whom a hook concerns. Within a subagent the agent is the child, and the session its parent.
pub(super) fn agent(program: &Program, hook: Fields<'_>) -> AgentRef {
    let (session, child) = (hook.id("session_id"), hook.id("agent_id"));
    let parent = child.is_some().then(|| session.clone()).flatten();
    AgentRef {
        program: program.name.into(),
        session: child.or(session),
        parent,
        name: None,
        kind: hook.id("agent_type"),
        cwd: hook.path("cwd"),
        model: hook.id("model"),
        version: None,
    }
}

/// The signals of a hook.
pub(super) fn read(program: &Program, hook: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let agent = agent(program, hook);
    // A child works on its parent's task and has none of its own.
    let task = if agent.parent.is_none() { hook.id(program.turn) } else { None };
    let signals = |whats: Vec<What>| {
        let signal = |what| Signal { agent: agent.clone(), task: task.clone(), what, at: None };
        whats.into_iter().map(signal).collect()
    };
    let name = hook.word("hook_event_name");
    let what = match name.unwrap_or_default() {
        // A session that is compacted is in the middle of its work: that it is there is all that is new.
        "SessionStart" => match hook.word("source") {
            Some("compact") => What::Heartbeat,
            source => What::Started { resumed: source == Some("resume") },
        },
        "SessionEnd" => What::Gone { reason: hook.id("reason") },
        "UserPromptSubmit" => What::Prompt { text: hook.text("prompt"), bytes: hook.bytes("prompt") },
        "PreToolUse" => What::Step(step(hook, None)),
        "PostToolUse" => What::Step(step(hook, Some(true))),
        "PermissionRequest" => What::Waiting(Wait::Permission { step: hook.id("tool_name") }),
        "PreCompact" => What::Step(compaction(None)),
        "PostCompact" => What::Step(compaction(Some(Done::default()))),
        "Stop" => What::Turn(Ended::Completed),
        "Interrupt" => What::Turn(Ended::Interrupted),
        // The id is what makes it a child; without one it says no more than that the session is there.
        "SubagentStart" if agent.parent.is_some() => What::Started { resumed: false },
        "SubagentStop" if agent.parent.is_some() => What::Gone { reason: None },
        _ => {
            unknown.count(program.name, &shown(name));
            What::Heartbeat
        }
    };
    signals(vec![what])
}

/// The tool that a hook is about.
pub(super) fn step(hook: Fields<'_>, ok: Option<bool>) -> Step {
    Step {
        name: hook.id("tool_name").unwrap_or_else(|| "tool".into()),
        id: hook.id("tool_use_id"),
        done: ok.map(|ok| Done { ok: Some(ok), took: hook.milliseconds("duration_ms") }),
    }
}

fn compaction(done: Option<Done>) -> Step {
    Step { name: "compact".into(), id: None, done }
}

/// An entry of a task list that the agent keeps.
pub(super) fn listed_task(agent: AgentRef, hook: Fields<'_>, step: TaskStep) -> Signal {
    Signal { agent, task: hook.id("task_id"), what: What::Task(step), at: None }
}
