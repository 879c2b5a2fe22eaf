//! Agents and their tasks: who works, who waits, who is done, who died.

pub mod adapters;
mod commands;
mod config;
mod emit;
mod hive;
mod join;
mod life;
pub mod machine;
mod matching;
mod performance;
mod rebuild;
mod registry;
mod sight;
pub mod signal;
mod source;

pub use config::Config;
pub use source::Agents;

headwater_plugin::export_source!(Agents {
    emits: ["agent", "task", "system", "module", "learning", "error"],
    reads: ["agent_hooks", "tmux", "agent", "task"],
    commands: [
        /// Creates an agent of the client's own.
        create_agent: commands::CreateAgent,
        /// Creates a task, and says how many agents could do it.
        create_task: commands::CreateTask,
        /// Gives a task to an agent.
        assign_task: commands::AssignTask,
        /// Gives a task up.
        cancel_task: commands::CancelTask,
        /// Removes an agent; what it has not begun goes to others that can do it.
        remove_agent: commands::RemoveAgent,
        /// Who works, who waits, who has gone lately, and what becomes of the tasks.
        get_status(monitor),
        /// Tells of one of the documented events; it must be possible now.
        report: commands::Report,
    ],
});
