//! What has happened in the registry, in order: what `emit/` makes events of.

use super::{Agent, AgentId, Task, TaskId};
use crate::{machine::AgentStatus, performance::Performance, signal::Step};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// When.
    pub(crate) at: Timestamp,
    /// How that is known.
    pub(crate) evidence: Evidence,
    /// What.
    pub(crate) what: Happened,
    /// What a client's report says beside it.
    pub(crate) more: Map<String, Value>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happened {
    AgentCreated(Box<Agent>),
    AgentStatus {
        agent: AgentId,
        from: AgentStatus,
        to: AgentStatus,
        reason: String,
    },
    AgentPerformance {
        agent: AgentId,
        performance: Performance,
    },
    AgentRemoved {
        agent: AgentId,
        reason: String,
        reassigned: u64,
    },
    /// Something that is known of the agent has changed: its snapshot.
    AgentState(Box<Agent>),
    TaskCreated {
        task: Box<Task>,
        matching: usize,
    },
    /// A task has made a move, as [`Act`] says.
    TaskMoved {
        task: TaskId,
        agent: Option<AgentId>,
        attempt: u64,
        act: Act,
        took_ms: Option<u64>,
    },
    /// Something that is known of the task has changed: its snapshot.
    TaskState(Box<Task>),
    /// The task is over, and so is its snapshot.
    TaskForgotten(TaskId),
    Alert(Alert),
    /// A client's report that changes nothing here.
    Passed {
        channel: &'static str,
        kind: &'static str,
    },
}

/// A move of a task with all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Assign { agent: AgentId, reason: String },
    Start,
    Progress { progress: Option<f64>, current: Option<String>, step: Option<Step> },
    Complete,
    Fail { code: Option<String>, message: Option<String>, retry: bool },
    Cancel { reason: String, by: Option<String> },
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    /// `info`, `warning` or `critical`.
    pub(crate) level: String,
    /// In a few words.
    pub(crate) title: String,
    /// In a sentence.
    pub(crate) message: String,
    /// For programs.
    pub(crate) details: Value,
    /// When.
    pub(crate) at: Timestamp,
}

impl Act {
    /// The move of the machine that it is.
    pub(crate) fn by(&self) -> crate::machine::TaskMove {
        use crate::machine::TaskMove;
        match self {
            Self::Assign { .. } => TaskMove::Assign,
            Self::Start => TaskMove::Start,
            Self::Progress { .. } => TaskMove::Progress,
            Self::Complete => TaskMove::Complete,
            Self::Fail { retry, .. } => TaskMove::Fail { retry: *retry },
            Self::Cancel { .. } => TaskMove::Cancel,
        }
    }
}
