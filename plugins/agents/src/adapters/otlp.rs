//! Log records of agents that speak OpenTelemetry: Claude Code, Codex and Gemini CLI. The gateway has made each record one
//! flat object of its resource's and its own attributes, with `event.name` and `time`.
//!
//! They are told seconds later, in batches, often beside hooks that have told the same. A record's own time is the event's
//! time; ids of sessions and prompts are those of the hooks, so that the same prompt is the same task.

use super::{
    Unknown,
    fields::{Fields, shown},
};
use crate::signal::{AgentRef, Done, Signal, Step, What};

/// A program that logs, and the names that it uses.
struct Logger {
    /// The agent's program.
    program: &'static str,
    /// What stands before each event's name.
    prefix: &'static str,
    session: &'static str,
    task: &'static str,
    tool: &'static str,
    call: &'static str,
    /// Events that say something.
    said: &'static [(&'static str, Said)],
    /// Events that say no more than that the agent is there.
    quiet: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Said {
    Started,
    Prompt,
    /// A tool may run or may not; either way the model goes on.
    Decided,
    Tool,
}

const CLAUDE: Logger = Logger {
    program: "claude",
    prefix: "claude_code.",
    session: "session.id",
    task: "prompt.id",
    tool: "tool_name",
    call: "tool_use_id",
    said: &[("user_prompt", Said::Prompt), ("tool_decision", Said::Decided), ("tool_result", Said::Tool)],
    quiet: &[
        "api_request",
        "api_error",
        "api_request_body",
        "api_response_body",
        "assistant_response",
        "hook_registered",
        "hook_execution_start",
        "hook_execution_complete",
        "mcp_server_connection",
        "plugin_installed",
        "skill_activated",
        "auth",
    ],
};

const CODEX: Logger = Logger {
    program: "codex",
    prefix: "codex.",
    session: "conversation.id",
    task: "turn.id",
    tool: "tool_name",
    call: "call_id",
    said: &[
        ("conversation_starts", Said::Started),
        ("user_prompt", Said::Prompt),
        ("tool_decision", Said::Decided),
        ("tool_result", Said::Tool),
    ],
    quiet: &[
        "api_request",
        "sse_event",
        "startup_phase",
        "turn_ttft",
        "websocket_request",
        "websocket_event",
        "websocket_connect",
    ],
};

const GEMINI: Logger = Logger {
    program: "gemini",
    prefix: "gemini_cli.",
    session: "session.id",
    task: "prompt_id",
    tool: "function_name",
    call: "call_id",
    said: &[("config", Said::Started), ("user_prompt", Said::Prompt), ("tool_call", Said::Tool)],
    quiet: &["api_request", "api_response", "api_error"],
};

pub(super) fn read(record: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let name = record.word("event.name");
    let service = record.word("service.name").unwrap_or_default();
    let bare = |logger: &Logger| name.map(|name| name.strip_prefix(logger.prefix).unwrap_or(name));
    let logger = match (service, name.unwrap_or_default()) {
        ("claude-code", _) => &CLAUDE,
        ("gemini-cli", _) => &GEMINI,
        (service, name) if service.starts_with("codex") || name.starts_with(CODEX.prefix) => &CODEX,
        // Any program may send its logs here; what is no agent must not become one.
        (service, _) => {
            unknown.count("otlp service", &shown((!service.is_empty()).then_some(service)));
            return Vec::new();
        }
    };
    let Some(session) = record.id(logger.session) else {
        unknown.count("otlp", "(no session)");
        return Vec::new();
    };
    let name = bare(logger).unwrap_or_default();
    let said = logger.said.iter().find(|(known, _)| *known == name).map(|(_, said)| *said);
    if said.is_none() && !logger.quiet.contains(&name) {
        unknown.count(&format!("otlp {}", logger.program), &shown(Some(name).filter(|name| !name.is_empty())));
    }
    let task = record.id(logger.task);
    let what = match said {
        Some(Said::Started) => What::Started { resumed: false },
        // Codex names no turn: told late and without a name, a prompt would be a second one beside that of the hooks.
        Some(Said::Prompt) if task.is_none() => What::Heartbeat,
        Some(Said::Prompt) => What::Prompt { text: None, bytes: None },
        Some(Said::Decided) => What::Working,
        Some(Said::Tool) => What::Step(Step {
            name: record.id(logger.tool).unwrap_or_else(|| "tool".into()),
            id: record.id(logger.call),
            done: Some(Done { ok: record.flag("success"), took: record.milliseconds("duration_ms") }),
        }),
        None => What::Heartbeat,
    };
    let agent = AgentRef {
        program: logger.program.into(),
        session: Some(session),
        model: record.id("model"),
        version: record.id("service.version"),
        ..AgentRef::default()
    };
    vec![Signal { agent, task, what, at: record.time("time") }]
}
