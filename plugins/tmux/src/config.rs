//! The settings.

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
    #[default = "hooks"]
    pub(crate) mode: Ceiling,
    /// How often everything is looked at, whatever was told meanwhile; at least "1s".
    #[default = "10s"]
    pub(crate) reconcile: Period,
    /// How often it is looked at where nothing is told: in the mode `poll`; at least "100ms".
    #[default = "1s"]
    pub(crate) poll: Period,
}

/// The ways of watching, from the best one down.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// Hooks tell what happens, without output.
    Hooks,
    /// Looking again and again.
    Poll,
}
