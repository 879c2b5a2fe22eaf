//! What may happen to an agent and to a task, as pure values: no clock, no names, no bus. The registry asks it before it
//! changes anything; whoever asks strictly is refused with the allowed set, and whoever may be tolerant asks for the steps
//! that are missing.

mod agent;
mod counts;
mod task;

pub use agent::AgentStatus;
pub use counts::Counts;
pub use task::{TaskMove, TaskStatus};

#[cfg(test)]
mod tests;

/// A move that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} is not possible from {from}; allowed: {}", words(.allowed))]
pub struct Refused {
    /// The status that it is in.
    pub from: &'static str,
    /// What was asked for.
    pub wanted: &'static str,
    /// What is possible instead.
    pub allowed: Vec<&'static str>,
}

fn words(allowed: &[&str]) -> String {
    if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
}
