//! The tmux server of this machine: its sessions, windows and panes, what programs print in them, and which coding agent
//! in them works or waits.

mod agents;
mod commands;
mod config;
mod control;
mod events;
mod exits;
mod hooks;
mod inbox;
mod ladder;
mod panes;
mod selection;
mod server;
mod source;
pub mod text;
mod tree;
pub mod watch;
mod watching;

use commands::{Capture, Explain, SendKeys};
pub use config::{Ceiling, Config};
pub use source::Tmux;

headwater_plugin::export_source!(Tmux {
    emits: ["tmux", "tmux_output"],
    reads: ["tmux"],
    commands: [
        /// How the server is watched, and how much is in it.
        status(monitor),
        /// The sessions with their windows and panes.
        list(monitor),
        /// What a pane shows, or its last lines.
        capture(capture): Capture,
        /// Why the agent in a pane is said to do what it does. It shows text of the pane.
        explain(capture): Explain,
        /// Types into a pane, where the settings allow it.
        send_keys(terminal): SendKeys,
    ],
});
