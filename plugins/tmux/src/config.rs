//! The settings.

use crate::text::{Options, Redaction, RedactionError, SECRETS};
use crate::watch::Settings;
use headwater_plugin::prelude::*;
use std::path::PathBuf;

/// A tmux server.
#[config]
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's socket by name, as `tmux -L` takes it.
    #[default = "default"]
    pub(crate) socket_name: String,
    /// The server's socket by path, as `tmux -S` takes it; instead of `socket_name`.
    pub(crate) socket: Option<PathBuf>,
    /// The program.
    #[default = "tmux"]
    pub(crate) tmux: PathBuf,
    /// The best way of watching that may be used; where it does not work, the next one is.
    #[default = "control"]
    pub(crate) mode: Ceiling,
    /// The sessions whose panes are read, by name; `*` and `?` stand for anything. Of the others, all but the output is told.
    #[default = ["*"]]
    pub(crate) sessions: Vec<String>,
    /// How often everything is looked at, whatever was told meanwhile; at least "1s".
    #[default = "10s"]
    pub(crate) reconcile: Period,
    /// How often it is looked at where nothing is told: in the mode `poll`; at least "100ms".
    #[default = "1s"]
    pub(crate) poll: Period,
    /// Output is emitted as the program wrote it, with escape sequences, and not as the text that one reads.
    #[default = false]
    pub(crate) ansi: bool,
    /// Whether what looks like a secret is blotted out of output: keys and tokens in the forms that are widely used.
    #[default = true]
    pub(crate) redact: bool,
    /// Further patterns of what is blotted out; the part named `secret`, or all that matches.
    #[default = []]
    pub(crate) redact_also: Vec<String>,
    /// Which agents there are, and how it is told what they do.
    #[serde(default)]
    pub(crate) watch: Settings,
    /// Lets clients with the permission `terminal` type into panes.
    #[default = false]
    pub(crate) allow_send_keys: bool,
}

impl Config {
    /// How output becomes events.
    pub(crate) fn text(&self) -> Options {
        Options { ansi: self.ansi, ..Options::default() }
    }

    /// What is blotted out.
    pub(crate) fn redaction(&self) -> Result<Redaction, RedactionError> {
        let known = SECRETS.into_iter().filter(|_| self.redact);
        let patterns: Vec<&str> = known.chain(self.redact_also.iter().map(String::as_str)).collect();
        Redaction::new(&patterns)
    }
}

/// The ways of watching, from the best one down.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// A control client for each session brings what its panes print; hooks tell the rest.
    Control,
    /// Hooks tell what happens, without output.
    Hooks,
    /// Looking again and again.
    Poll,
}
