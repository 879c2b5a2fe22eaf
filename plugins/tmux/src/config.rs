//! The settings.

use headwater_plugin::prelude::*;

/// A tmux server.
#[config]
#[derive(Debug)]
pub struct Config {
    /// The server's socket by name, as `tmux -L` takes it.
    #[default = "default"]
    pub(crate) socket_name: String,
}
