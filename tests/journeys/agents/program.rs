//! The agents, as `tests/tools/package.json` pins them, and the settings that make them work without a network, an account
//! or a question at the start.

use headwater_tests::{Daemon, fixture, node_modules};
use std::{fs, path::PathBuf};

/// What Claude Code takes for a key. Nobody asks for it; the settings say that its last characters are approved.
const KEY: &str = "sk-ant-scripted-model-0000";

/// A coding agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Claude,
    Codex,
}

impl Program {
    /// Its name for `headwater hook install`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// What stands on its screen when it is ready for a prompt.
    pub(super) fn ready(self) -> &'static str {
        match self {
            Self::Claude => "? for shortcuts",
            Self::Codex => "Ask Codex to do anything",
        }
    }

    /// What stands before the line that is typed.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Claude => '❯',
            Self::Codex => '›',
        }
    }

    /// What stands on its screen when it asks whether it may run a command.
    pub(super) fn asks(self) -> &'static str {
        match self {
            Self::Claude => "Do you want to proceed?",
            Self::Codex => "Would you like to run the following command?",
        }
    }

    /// The program itself, without the launchers around it, and its arguments.
    pub(super) fn command(self) -> Vec<String> {
        let (arch, triple) = match std::env::consts::ARCH {
            "aarch64" => ("arm64", "aarch64-unknown-linux-musl"),
            _ => ("x64", "x86_64-unknown-linux-musl"),
        };
        let (file, arguments) = match self {
            Self::Claude => (format!("@anthropic-ai/claude-code-linux-{arch}/claude"), &[][..]),
            // The server that it shares with its other sessions would copy 400 MB first.
            Self::Codex => (format!("@openai/codex-linux-{arch}/vendor/{triple}/bin/codex"), &["--no-daemon"][..]),
        };
        let file = node_modules().join(file);
        assert!(file.exists(), "{} is missing; `cargo xtask test` installs it", file.display());
        std::iter::once(file.display().to_string()).chain(arguments.iter().map(|&word| word.to_owned())).collect()
    }

    /// The variables that it runs with, beside its home's.
    pub(super) fn variables(self, world: &Daemon, model: &str) -> Vec<(&'static str, String)> {
        let own = world.path(self.name()).display().to_string();
        match self {
            Self::Claude => vec![
                ("CLAUDE_CONFIG_DIR", own),
                ("ANTHROPIC_BASE_URL", model.to_owned()),
                ("ANTHROPIC_API_KEY", KEY.to_owned()),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
                ("DISABLE_AUTOUPDATER", "1".to_owned()),
            ],
            Self::Codex => vec![("CODEX_HOME", own)],
        }
    }

    /// Writes its settings, into a directory of its own.
    pub(super) fn settle(self, world: &Daemon, project: &str, model: &str) {
        let (from, to) = match self {
            Self::Claude => ("claude.json", ".claude.json"),
            Self::Codex => ("codex.toml", "config.toml"),
        };
        let own = world.path(self.name());
        fs::create_dir(&own).unwrap();
        let text = fs::read_to_string(fixture("agents").join(from)).unwrap();
        // Claude Code keeps the last 20 characters of a key.
        let text = text.replace("{key}", &KEY[KEY.len() - 20..]).replace("{project}", project);
        fs::write(own.join(to), text.replace("{model}", model)).unwrap();
    }
}

/// The model's file.
pub(super) fn model() -> PathBuf {
    fixture("agents/model.py")
}
