//! What a running instance says to its source's task, whatever it is: a plugin or a program.

use super::gate::{Admitted, Refusal};
use crate::plugin::manifest::CommandInfo;

/// One thing that was said.
#[derive(Debug)]
pub(crate) enum Said {
    /// It is loaded; nothing of it runs yet.
    Loaded,
    /// It does not load, or refuses its settings.
    Failed(String),
    /// It cannot be loaded now, for a reason that may pass.
    NotNow(String),
    /// It runs.
    Started,
    /// A program introduces itself, and runs.
    Hello(Hello),
    /// A plugin's state, as `headwater_abi::state` numbers it.
    State { state: u32, detail: String },
    /// Events; `credit` of them are to be given back as credit.
    Events { admitted: Admitted, credit: u32 },
    /// Something was dropped on the way: so many events, and why.
    Dropped { count: u32, why: Refusal },
    /// A line of a program that is nothing, and why.
    BadLine(String),
    /// An answer to a request, JSON.
    Reply { request: u64, json: Vec<u8> },
    /// It wants to read the bus, JSON.
    Subscribe(Vec<u8>),
    /// It took so many deliveries.
    Delivered(u32),
    /// The instance has ended in order, or did not within its grace.
    Stopped(bool),
    /// What it sends is no frame.
    Broken,
    /// Nothing more comes.
    Closed,
}

/// How a program introduces itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Hello {
    pub(crate) version: Option<String>,
    pub(crate) emits: Vec<String>,
    pub(crate) commands: Vec<CommandInfo>,
    /// Whether it answers heartbeats.
    pub(crate) heartbeat: bool,
}
