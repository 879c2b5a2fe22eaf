//! Which coding agent runs in a pane, and whether it works or waits: told by what its program says to the terminal, by
//! rules that are settings. The source has one [`PaneAgent`] for each pane and tells it what it sees; nothing here knows
//! tmux or waits. Only [`foreground`] reads anything, from `/proc`.
//!
//! What speaks for a status has an order of trust, [`Evidence`]: operating system commands of the terminal, the title,
//! output that goes on, the last lines of the screen. The most trusted that says anything decides; a rule of a less trusted
//! one may only say more exactly what was said ([`RuleConfig::refines`]).

mod explanation;
mod heard;
mod pane;
mod process;
mod programs;
mod role;
mod rules;
mod settings;
mod shipped;

#[cfg(test)]
mod tests;

pub use explanation::{Decision, Explanation, Heard, Pending, Tried};
pub use pane::{Change, Observation, PaneAgent};
pub use process::{Process, foreground};
pub use role::agent_type;
pub use rules::{RuleError, Rules};
pub use settings::{AgentConfig, Evidence, Region, RuleConfig, Settings, Status};
