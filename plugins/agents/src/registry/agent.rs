//! What is known of an agent.

use super::id::Id;
use crate::{machine::AgentStatus, matching::Capability, performance::Performance, signal::Ended};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use std::time::Duration;

/// The id of an agent.
pub(crate) type AgentId = Id;

/// The id of a task.
pub(crate) type TaskId = Id;

/// The time of an input: the wall's, for what is told, and one that never jumps, for deadlines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Now {
    /// When it is.
    pub(crate) at: Timestamp,
    /// The time since the source started.
    pub(crate) clock: Duration,
}

/// A process, named for good: an id that is used again has another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub(crate) started: u64,
}

/// A pane of tmux, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pane {
    /// `%3`.
    pub(crate) id: String,
    /// The server's process: pane ids begin anew with each server.
    pub(crate) server_pid: Option<u32>,
    /// The server's socket.
    pub(crate) socket: Option<String>,
    /// The name of its session.
    pub(crate) session: Option<String>,
    /// The index of its window.
    pub(crate) window: Option<u64>,
}

impl Pane {
    /// Whether both are the same pane. Where one of them does not name its server, the socket decides; where neither is
    /// known, they are not taken for one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same = match (self.server_pid, other.server_pid) {
            (Some(one), Some(other)) => one == other,
            _ => self.socket.is_some() && self.socket == other.socket,
        };
        same && self.id == other.id
    }
}

/// A turn that seems to have ended; it is settled when nothing contradicts until the deadline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    /// How.
    pub(crate) ended: Ended,
    /// Since when.
    pub(crate) at: Timestamp,
    /// When it is settled, on the clock that never jumps.
    pub(crate) due: Duration,
    /// How it is known.
    pub(crate) evidence: Evidence,
    /// Why, where an end was concluded.
    pub(crate) reason: &'static str,
}

/// An agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Agent {
    /// Its id.
    pub(crate) id: AgentId,
    /// What people call it.
    pub(crate) name: String,
    /// `type` in events: what kind of agent it is; its program where nothing else was said.
    pub(crate) kind: Option<String>,
    /// Who tells of it: the program (`claude`, `codex`, …), or `client` for one that a client created.
    pub(crate) emitter: String,
    /// The emitter's own id of it. Without one it is known by its place alone.
    pub(crate) session: Option<String>,
    /// The agent that started it.
    pub(crate) parent: Option<AgentId>,
    /// What it can do, as supplied.
    pub(crate) capabilities: Vec<Capability>,
    /// What it does.
    pub(crate) status: AgentStatus,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Why, in one word: `permission`, `task_started`.
    pub(crate) reason: Option<String>,
    /// The tool that it waits to be allowed, where that is known; of one that does not wait nothing.
    pub(crate) waits_for: Option<String>,
    /// How its status is known.
    pub(crate) evidence: Evidence,
    /// When it was first heard of.
    pub(crate) created_at: Timestamp,
    /// When it was last heard of.
    pub(crate) last_seen: Timestamp,
    /// The same, on the clock that never jumps; the deadlines of silence run from here.
    pub(crate) heard: Duration,
    /// Its process, on this machine.
    pub(crate) process: Option<Process>,
    /// The pids above it, to find its pane by.
    pub(crate) ancestors: Vec<u32>,
    /// Its pane.
    pub(crate) pane: Option<Pane>,
    /// Its machine, if it is another one.
    pub(crate) host: Option<String>,
    /// The directory that it works in.
    pub(crate) cwd: Option<String>,
    /// The model that answers.
    pub(crate) model: Option<String>,
    /// The version of its program.
    pub(crate) version: Option<String>,
    /// The turn that is under way.
    pub(crate) turn: Option<TaskId>,
    /// Whether it takes turns; the status of one that does not follows from its tasks.
    pub(crate) takes_turns: bool,
    /// Whether beginnings of its sessions or turns have been told, and not only the ends of turns.
    pub(crate) begins: bool,
    /// Whether it promised heartbeats by sending one.
    pub(crate) beats: bool,
    /// The end of its turn, while it may yet be contradicted.
    pub(crate) ending: Option<Ending>,
    /// What its tasks say about it.
    pub(crate) performance: Performance,
}

/// An agent that has gone; told of for a while.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    /// As it was last.
    pub(crate) agent: Agent,
    /// Why it has gone.
    pub(crate) reason: String,
    /// When.
    pub(crate) at: Timestamp,
    /// How long it is told of, on the clock that never jumps.
    pub(crate) until: Duration,
    /// How that is known.
    pub(crate) evidence: Evidence,
    /// It may only have been quiet: whatever it says brings it back.
    pub(crate) doubtful: bool,
}
