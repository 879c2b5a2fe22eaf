//! Processes: those that belong to servers, whoever runs them. Nothing here knows the protocol.

pub(crate) mod child;
pub(crate) mod exits;
pub mod matching;
pub(crate) mod proc;
pub mod redactor;
pub mod stderr;
pub(crate) mod sweep;
pub mod usage;

use headwater_plugin::serde::{Deserialize, Serialize};

/// A process. Its id alone may mean another one by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(crate = "headwater_plugin::serde")]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
}
