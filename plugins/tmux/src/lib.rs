//! The tmux server of this machine: its sessions, windows and panes, what programs print in them, and which coding agent
//! in them works or waits.

mod config;
mod source;

pub use config::Config;
pub use source::Tmux;

headwater_plugin::export_source!(Tmux { emits: ["tmux", "tmux_output"], commands: [] });
