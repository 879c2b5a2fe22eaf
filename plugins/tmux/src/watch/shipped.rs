//! The agents and rules that count without any settings. docs/tmux.md says with which versions they were seen.

use super::settings::{AgentConfig, Region, RuleConfig, Status};
use headwater_plugin::prelude::Period;

/// What starts with a spinner changes at least each second while the agent works; one that stands still is left over.
const SPINNER_HOLDS: Period = Period::from_secs(10);

/// The last answer is an error of the model's service: nothing of a later one stands between it and the composer.
const CLAUDE_FAILED: &str = r"(?m)^● API Error\b.*\n([^●❯\n].*\n)*─+\n❯";

struct Agent {
    name: &'static str,
    package: &'static str,
}

/// All of them echo what is typed, and Codex draws a moving picture before the first prompt.
const AGENTS: [Agent; 4] = [
    Agent { name: "claude", package: "@anthropic-ai/claude-code" },
    Agent { name: "codex", package: "@openai/codex" },
    Agent { name: "opencode", package: "opencode-ai" },
    Agent { name: "gemini", package: "@google/gemini-cli" },
];

struct Shipped {
    name: &'static str,
    agent: &'static str,
    region: Region,
    regex: &'static str,
    state: Status,
    priority: i32,
    lines: u8,
    refines: Option<Status>,
    holds: Option<Period>,
}

/// A rule without further conditions.
const fn rule(name: &'static str, agent: &'static str, region: Region, regex: &'static str, state: Status) -> Shipped {
    Shipped { name, agent, region, regex, state, priority: 0, lines: 5, refines: None, holds: None }
}

const RULES: &[Shipped] = &[
    // Claude Code. The title says only whether it works; that it asks for something, the screen's last line, which a narrow
    // pane breaks in two.
    rule("claude-title-idle", "claude", Region::Title, "^✳", Status::Idle),
    Shipped {
        holds: Some(SPINNER_HOLDS),
        ..rule("claude-title-busy", "claude", Region::Title, r"^[\u{2800}-\u{28FF}]", Status::Busy)
    },
    Shipped {
        priority: 10,
        lines: 3,
        refines: Some(Status::Idle),
        ..rule("claude-asks", "claude", Region::Tail, r"\bEsc to\s+cancel\b", Status::Waiting)
    },
    Shipped {
        priority: 5,
        lines: 3,
        ..rule("claude-interruptible", "claude", Region::Tail, r"\besc to interrupt\b", Status::Busy)
    },
    Shipped {
        priority: 4,
        lines: 12,
        refines: Some(Status::Idle),
        ..rule("claude-failed", "claude", Region::Tail, CLAUDE_FAILED, Status::Error)
    },
    Shipped { lines: 4, ..rule("claude-composer", "claude", Region::Tail, r"(?m)^❯(\s|$)", Status::Idle) },
    // Codex says its state by a command of its own, and nearly the same in the title.
    rule("codex-state-working", "codex", Region::Osc, "^7501;state=working(:|$)", Status::Busy),
    rule("codex-state-blocked", "codex", Region::Osc, "^7501;state=blocked(:|$)", Status::Waiting),
    rule("codex-state-error", "codex", Region::Osc, "^7501;state=error(:|$)", Status::Error),
    rule("codex-state-idle", "codex", Region::Osc, "^7501;state=(idle|done)(:|$)", Status::Idle),
    rule("codex-title-asks", "codex", Region::Title, r"^\[ . \] Action Required", Status::Waiting),
    Shipped {
        holds: Some(SPINNER_HOLDS),
        ..rule("codex-title-busy", "codex", Region::Title, r"^[\u{2800}-\u{28FF}]", Status::Busy)
    },
    Shipped {
        priority: 10,
        lines: 3,
        ..rule("codex-asks", "codex", Region::Tail, "(?m)^ *(Press enter to|enter continue ·)", Status::Waiting)
    },
    Shipped {
        priority: 5,
        lines: 8,
        ..rule("codex-interruptible", "codex", Region::Tail, r"(?m)^[•◦] .*\besc to interrupt\b", Status::Busy)
    },
    Shipped { lines: 4, ..rule("codex-composer", "codex", Region::Tail, "(?m)^› ", Status::Idle) },
    // opencode says nothing outside its screen.
    Shipped {
        priority: 10,
        lines: 15,
        ..rule("opencode-asks", "opencode", Region::Tail, r"(?m)^ *┃ +△ Permission required$", Status::Waiting)
    },
    Shipped {
        priority: 5,
        lines: 3,
        ..rule("opencode-interruptible", "opencode", Region::Tail, r"\besc (again to )?interrupt\b", Status::Busy)
    },
    Shipped { lines: 3, ..rule("opencode-composer", "opencode", Region::Tail, r"\bctrl\+p commands\b", Status::Idle) },
    // Gemini CLI.
    rule("gemini-title-asks", "gemini", Region::Title, "^✋", Status::Waiting),
    rule("gemini-title-busy", "gemini", Region::Title, "^[✦⏲]", Status::Busy),
    rule("gemini-title-idle", "gemini", Region::Title, "^◇", Status::Idle),
    // Progress as ConEmu has it, which many programs use.
    rule("progress-running", "*", Region::Osc, "^9;4;[13](;|$)", Status::Busy),
    rule("progress-failed", "*", Region::Osc, "^9;4;2(;|$)", Status::Error),
    rule("progress-none", "*", Region::Osc, "^9;4;0?(;|$)", Status::Idle),
    // The words that Tmux-Orchestrator looks for, in its order.
    Shipped {
        priority: -10,
        ..rule("orchestrator-ready", "*", Region::Tail, "(?i)waiting for your next message", Status::Idle)
    },
    Shipped {
        priority: -11,
        ..rule("orchestrator-busy", "*", Region::Tail, "Running|Executing|Processing", Status::Busy)
    },
    Shipped { priority: -12, ..rule("orchestrator-error", "*", Region::Tail, "(?i)error", Status::Error) },
];

pub(super) fn agents() -> Vec<AgentConfig> {
    let of = |agent: &Agent| AgentConfig {
        name: agent.name.to_owned(),
        programs: vec![agent.name.to_owned()],
        packages: vec![agent.package.to_owned()],
        output_means_busy: false,
    };
    AGENTS.iter().map(of).collect()
}

pub(super) fn rules() -> Vec<RuleConfig> {
    let of = |rule: &Shipped| RuleConfig {
        name: rule.name.to_owned(),
        agent: rule.agent.to_owned(),
        region: rule.region,
        regex: rule.regex.to_owned(),
        state: rule.state,
        priority: rule.priority,
        lines: rule.lines,
        refines: rule.refines,
        holds: rule.holds,
    };
    RULES.iter().map(of).collect()
}
