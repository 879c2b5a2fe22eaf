//! The settings: which agents there are, and the rules that tell what they do.

use super::shipped;
use headwater_plugin::prelude::*;

/// How to tell which agent runs in a pane, and whether it works or waits.
#[config]
#[derive(Clone, Debug)]
pub struct Settings {
    /// Further agents, or others in place of the shipped ones of the same name.
    #[serde(default)]
    pub agents: Vec<AgentConfig>,
    /// Further rules, or others in place of the shipped ones of the same name.
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
    /// Whether the shipped agents and rules count.
    #[default = true]
    pub shipped: bool,
    /// How long an agent must be seen at rest, or at work after it waited, before that is said. Programs flicker between
    /// two turns.
    #[default = "300ms"]
    pub settle: Period,
    /// Output that pauses no longer than this goes on.
    #[default = "2s"]
    pub quiet_after: Period,
}

/// An agent: a program that works by itself and then waits for somebody.
#[config]
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// What events call it.
    pub name: String,
    /// The names of its program, as in `ps`: the last part of the path. A script counts by the name of its file, when an
    /// interpreter such as node runs it.
    pub programs: Vec<String>,
    /// The packages that it comes in, as a package runner is asked for them: `@anthropic-ai/claude-code`.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Whether output that goes on means that it works. Not so for one that echoes what is typed, or that draws pictures
    /// while it waits.
    #[default = true]
    pub output_means_busy: bool,
}

/// A rule: what it means when an agent says this.
#[config]
#[derive(Clone, Debug)]
pub struct RuleConfig {
    /// What events call it. A shipped rule of the same name no longer counts.
    pub name: String,
    /// The agent whose rule it is; "*" for every agent.
    #[default = "*"]
    pub agent: String,
    /// Where it looks.
    pub region: Region,
    /// What must be found there, at most 512 bytes: a regular expression in the syntax of Rust's `regex`. An operating
    /// system command reads as "9;4;3", its code and its text. The tail has no empty lines and no blanks at the ends of
    /// lines.
    pub regex: String,
    /// What it means.
    pub state: Status,
    /// Of the rules of one region, the one with the highest priority counts; of equal ones, the first.
    #[default = 0]
    pub priority: i32,
    /// How many lines of the tail it sees, at most 40.
    #[default = 5]
    pub lines: u8,
    /// Where a more trusted region says this state, the rule may say its own instead: it tells the same thing more
    /// exactly. Claude Code's title says "idle" while it asks for a permission, and the screen says that it asks.
    pub refines: Option<Status>,
    /// The rule counts only for this long after it was said; without it, until something else is said there. For a title
    /// that changes all the time while the agent works.
    pub holds: Option<Period>,
}

/// Where a rule looks.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// An operating system command that the program sent to the terminal.
    Osc,
    /// The title of the pane.
    Title,
    /// The last lines of the screen.
    Tail,
}

/// What an agent does.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It works.
    Busy,
    /// It is done, and nothing is asked.
    Idle,
    /// It asks for something, and goes on when it gets it.
    Waiting,
    /// It has failed.
    Error,
    /// Nothing says what it does.
    #[serde(skip)]
    Unknown,
}

/// What a status was told by, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The process: it has gone, or another took its place.
    Process,
    /// An operating system command.
    Osc,
    /// The title.
    Title,
    /// Output that goes on.
    Output,
    /// The last lines of the screen.
    Tail,
}

impl Settings {
    /// The agents that count: those of the settings, then the shipped ones.
    pub fn agents(&self) -> Vec<AgentConfig> {
        let shipped = if self.shipped { shipped::agents() } else { Vec::new() };
        let own = |name: &str| self.agents.iter().any(|agent| agent.name == name);
        self.agents.iter().cloned().chain(shipped.into_iter().filter(|agent| !own(&agent.name))).collect()
    }

    /// The rules that count: those of the settings, then the shipped ones.
    pub fn rules(&self) -> Vec<RuleConfig> {
        let shipped = if self.shipped { shipped::rules() } else { Vec::new() };
        let own = |name: &str| self.rules.iter().any(|rule| rule.name == name);
        self.rules.iter().cloned().chain(shipped.into_iter().filter(|rule| !own(&rule.name))).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agents: Vec::new(),
            rules: Vec::new(),
            shipped: true,
            settle: Period::from_millis(300),
            quiet_after: Period::from_secs(2),
        }
    }
}

impl Region {
    /// The evidence that it is.
    pub const fn evidence(self) -> Evidence {
        match self {
            Self::Osc => Evidence::Osc,
            Self::Title => Evidence::Title,
            Self::Tail => Evidence::Tail,
        }
    }
}

impl Status {
    /// As events have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl Evidence {
    /// As events have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Osc => "osc",
            Self::Title => "title",
            Self::Output => "output",
            Self::Tail => "tail",
        }
    }
}
