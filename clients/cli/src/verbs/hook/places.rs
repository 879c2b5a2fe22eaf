//! Where agents keep their settings, by their own variables.

use crate::HookedAgent;
use std::{
    env,
    path::{Path, PathBuf},
};

/// The events of Claude Code that say what an agent does.
const CLAUDE: [&str; 17] = [
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PermissionRequest",
    "PermissionDenied",
    "Notification",
    "Stop",
    "StopFailure",
    "SubagentStart",
    "SubagentStop",
    "TaskCreated",
    "TaskCompleted",
    "PreCompact",
    "PostCompact",
];

/// The same of Codex.
const CODEX: [&str; 12] = [
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PermissionRequest",
    "Stop",
    "Interrupt",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
];

/// The directories of settings.
#[derive(Clone, Debug)]
pub(super) struct Places {
    claude: PathBuf,
    codex: PathBuf,
    opencode: PathBuf,
    project: bool,
}

/// A file that hooks are written into, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Entries for events in JSON.
    Entries {
        file: PathBuf,
        events: &'static [&'static str],
        /// Seconds that the agent waits for a hook. Ours ends much earlier; this is for a machine that stands still.
        timeout: u64,
    },
    /// `notify` in TOML.
    Notify { file: PathBuf },
    /// A file of our own.
    Plugin { file: PathBuf },
}

impl Place {
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::Entries { file, .. } | Self::Notify { file } | Self::Plugin { file } => file,
        }
    }
}

impl Places {
    /// Of the user, or of the project in this directory.
    pub(super) fn of(project: bool) -> Self {
        if project {
            let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
            let of = |name| here.join(name);
            return Self { claude: of(".claude"), codex: of(".codex"), opencode: of(".opencode"), project };
        }
        let home = env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let given = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = given("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        Self {
            claude: given("CLAUDE_CONFIG_DIR").unwrap_or_else(|| home.join(".claude")),
            codex: given("CODEX_HOME").unwrap_or_else(|| home.join(".codex")),
            opencode: config.join("opencode"),
            project,
        }
    }

    /// All three below one directory.
    #[cfg(test)]
    pub(super) fn below(home: &Path) -> Self {
        let of = |name| home.join(name);
        Self { claude: of(".claude"), codex: of(".codex"), opencode: of("opencode"), project: false }
    }

    /// The directory of an agent. It is there when the agent was ever started.
    pub(super) fn directory(&self, agent: HookedAgent) -> &Path {
        match agent {
            HookedAgent::Claude => &self.claude,
            HookedAgent::Codex => &self.codex,
            HookedAgent::Opencode => &self.opencode,
        }
    }

    /// Where an agent's hooks are written. The first is the one that tells the most.
    pub(super) fn files(&self, agent: HookedAgent) -> Vec<Place> {
        let directory = self.directory(agent);
        match agent {
            HookedAgent::Claude => {
                vec![Place::Entries { file: directory.join("settings.json"), events: &CLAUDE, timeout: 5 }]
            }
            HookedAgent::Codex => {
                // It warns of a longer time for some of its events.
                let mut places =
                    vec![Place::Entries { file: directory.join("hooks.json"), events: &CODEX, timeout: 3 }];
                // A project cannot choose a program for the whole of Codex.
                if !self.project {
                    places.push(Place::Notify { file: directory.join("config.toml") });
                }
                places
            }
            HookedAgent::Opencode => vec![Place::Plugin { file: directory.join("plugins/headwater.js") }],
        }
    }
}
