//! Hooks of Claude Code: the JSON that a hook command gets on its standard input. The names and fields are those of version
//! 2.1; the documentation is at <https://code.claude.com/docs/en/hooks>.

use super::{
    Unknown,
    fields::{Fields, shown},
    lifecycle::{self, Program},
};
use crate::signal::{Ended, Signal, TaskStep, Wait, What};

const CLAUDE: Program = Program { name: "claude", turn: "prompt_id" };

pub(super) fn read(hook: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let mut agent = lifecycle::agent(&CLAUDE, hook);
    let task = if agent.parent.is_none() { hook.id(CLAUDE.turn) } else { None };
    let interrupted = hook.flag("is_interrupt") == Some(true);
    let whats = match hook.word("hook_event_name").unwrap_or_default() {
        // Esc during a tool: no `Stop` follows.
        "PostToolUseFailure" if interrupted => {
            vec![What::Step(lifecycle::step(hook, Some(false))), What::Turn(Ended::Interrupted)]
        }
        // A denial is told to the model, which goes on without the tool.
        "PostToolUseFailure" | "PermissionDenied" => vec![What::Step(lifecycle::step(hook, Some(false)))],
        "StopFailure" if interrupted => vec![What::Turn(Ended::Interrupted)],
        "StopFailure" => {
            vec![What::Turn(Ended::Failed { code: hook.id("error"), message: hook.text("error_details") })]
        }
        "Notification" => vec![notification(hook, unknown)],
        // Asked as a permission is, and answered by a choice.
        "PermissionRequest" if hook.word("tool_name") == Some("AskUserQuestion") => {
            vec![What::Waiting(Wait::Answer)]
        }
        "Elicitation" => vec![What::Waiting(Wait::Answer)],
        "ElicitationResult" => vec![What::Working],
        "TaskCreated" => {
            let created = TaskStep::Created { description: hook.text("task_subject") };
            return vec![lifecycle::listed_task(agent, hook, created)];
        }
        "TaskCompleted" => {
            return vec![lifecycle::listed_task(agent, hook, TaskStep::Ended(Ended::Completed))];
        }
        "CwdChanged" => {
            agent.cwd = hook.path("new_cwd").or(agent.cwd);
            vec![What::Heartbeat]
        }
        // They say no more than that the agent is there. Hooks run side by side: that of the last words may come in after
        // that of the end, and must not bring the agent back to work.
        "MessageDisplay"
        | "PostToolBatch"
        | "UserPromptExpansion"
        | "InstructionsLoaded"
        | "ConfigChange"
        | "FileChanged"
        | "WorktreeCreate"
        | "WorktreeRemove"
        | "Setup"
        | "TeammateIdle" => vec![What::Heartbeat],
        _ => return lifecycle::read(&CLAUDE, hook, unknown),
    };
    let signal = |what| Signal { agent: agent.clone(), task: task.clone(), what, at: None };
    whats.into_iter().map(signal).collect()
}

fn notification(hook: Fields<'_>, unknown: &Unknown) -> What {
    let message = || hook.get("message").and_then(|message| message.as_str()).unwrap_or_default();
    match hook.word("notification_type") {
        Some("permission_prompt" | "worker_permission_prompt") => What::Waiting(Wait::Permission { step: None }),
        Some("idle_prompt") => What::Waiting(Wait::Prompt),
        Some("elicitation_dialog") => What::Waiting(Wait::Answer),
        Some(
            "auth_success"
            | "elicitation_complete"
            | "elicitation_response"
            | "push_notification"
            | "computer_use_enter"
            | "computer_use_exit",
        ) => What::Heartbeat,
        // Before the type there was but the sentence.
        None if message().contains("permission") => What::Waiting(Wait::Permission { step: None }),
        None if message().contains("waiting for your input") => What::Waiting(Wait::Prompt),
        other => {
            unknown.count("claude notification", &shown(other));
            What::Waiting(Wait::Attention)
        }
    }
}
