//! Agents and their tasks: who works, who waits, who is done, who died.

pub mod adapters;
mod config;
pub mod machine;
pub mod signal;
mod source;

pub use config::Config;
pub use source::Agents;

headwater_plugin::export_source!(Agents {
    emits: ["agent", "task", "system", "module", "learning", "error"],
    reads: ["agent_hooks", "tmux"],
    commands: [],
});
