//! The arguments of `headwater hook`.

use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use std::{fmt, path::PathBuf};

/// What is done about the hooks of agents.
#[derive(Subcommand, Clone, Debug)]
pub enum HookVerb {
    /// Report what an agent does; agents run it, so it prints nothing and its exit code is always 0
    Run(RunArgs),
    /// Write the hooks into an agent's settings
    Install(InstallArgs),
    /// Take them out again
    Uninstall(UninstallArgs),
    /// Say which agents have them
    Status(StatusArgs),
}

/// One report.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Who reports: claude, codex, opencode, a2a, otlp, report and others
    pub emitter: String,

    /// What it reports, in JSON; without it standard input is read
    #[arg(value_name = "JSON")]
    pub payload: Option<String>,

    /// Each line of standard input is one report, as `codex exec --json` writes them
    #[arg(long, env = "HEADWATER_STREAM", value_parser = FalseyValueParser::new())]
    pub stream: bool,

    /// Say on standard error what has become of each report; for trying it out, not for agents
    #[arg(long, env = "HEADWATER_VERBOSE", value_parser = FalseyValueParser::new())]
    pub verbose: bool,

    /// How it is reported.
    #[command(flatten)]
    pub options: ReportOptions,
}

/// How reports are made; `install` writes them into the settings.
#[derive(Args, Clone, Debug, Default)]
pub struct ReportOptions {
    /// Keep reports here while no daemon answers, and send them when one does
    #[arg(long, env = "HEADWATER_SPOOL", value_name = "DIR")]
    pub spool: Option<PathBuf>,

    /// The most bytes kept there; the oldest go first [default: 1048576]
    #[arg(long, env = "HEADWATER_SPOOL_BYTES", value_name = "N")]
    pub spool_bytes: Option<u64>,

    /// The most milliseconds that a report may keep its agent waiting; where time is short, reports are lost [default: 50]
    #[arg(long, env = "HEADWATER_WITHIN_MS", value_name = "N")]
    pub within_ms: Option<u64>,

    /// Report the text of prompts and tools too, not only its size
    #[arg(long, env = "HEADWATER_TEXT", value_parser = FalseyValueParser::new())]
    pub text: bool,
}

/// Where hooks are written.
#[derive(Args, Clone, Debug)]
pub struct InstallArgs {
    /// Whose settings.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// How the hooks report.
    #[command(flatten)]
    pub options: ReportOptions,
}

/// Where hooks are taken out.
#[derive(Args, Clone, Debug)]
pub struct UninstallArgs {
    /// Whose settings.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Whose settings.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// Which agent
    pub agent: HookedAgent,

    /// The settings of the project in this directory, not those of the user
    #[arg(long, env = "HEADWATER_PROJECT", value_parser = FalseyValueParser::new())]
    pub project: bool,

    /// Print what would change, and change nothing
    #[arg(long, env = "HEADWATER_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

/// Which agents are looked at.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Which agent; all of them without it
    pub agent: Option<HookedAgent>,

    /// The settings of the project in this directory, not those of the user
    #[arg(long, env = "HEADWATER_PROJECT", value_parser = FalseyValueParser::new())]
    pub project: bool,
}

/// An agent whose settings take hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookedAgent {
    /// Claude Code: ~/.claude/settings.json
    Claude,
    /// Codex: ~/.codex/hooks.json and `notify` in ~/.codex/config.toml
    Codex,
    /// opencode: a plugin in ~/.config/opencode/plugins
    Opencode,
}

impl HookedAgent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Claude, Self::Codex, Self::Opencode];

    /// Its name on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Opencode => "opencode",
        }
    }
}

impl fmt::Display for HookedAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
