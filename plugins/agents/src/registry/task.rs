//! What is known of a task.

use super::{AgentId, TaskId};
use crate::{machine::TaskStatus, matching::Requirement};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use std::time::Duration;

/// The type of a task that is one turn of an agent: from a prompt to the end of the answer.
pub(crate) const TURN: &str = "turn";

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// Its id.
    pub(crate) id: TaskId,
    /// What is to be done.
    pub(crate) description: Option<String>,
    /// How long that is in bytes, where its text is not kept.
    pub(crate) description_bytes: Option<u64>,
    /// `type` in events.
    pub(crate) kind: Option<String>,
    /// How urgent, as supplied; more is sooner.
    pub(crate) priority: Option<u64>,
    /// What an agent must be able to do for it.
    pub(crate) requires: Vec<Requirement>,
    /// How far it is.
    pub(crate) status: TaskStatus,
    /// Since when.
    pub(crate) since: Timestamp,
    /// How that is known.
    pub(crate) evidence: Evidence,
    /// When it came to be.
    pub(crate) created_at: Timestamp,
    /// The agent whose own task it is: it told of it, and it ends with the agent.
    pub(crate) owner: Option<AgentId>,
    /// The agent that does it or is to do it.
    pub(crate) agent: Option<AgentId>,
    /// How often it was begun.
    pub(crate) attempt: u64,
    /// When this attempt began, where that is known.
    pub(crate) started_at: Option<Timestamp>,
    /// How much is done, 0 to 1, where that is known.
    pub(crate) progress: Option<f64>,
    /// What is done now, or was last.
    pub(crate) step: Option<String>,
    /// Whether that has begun and not ended, as far as is known.
    pub(crate) under_way: bool,
    /// When it was settled, on the clock that never jumps.
    pub(crate) ended: Option<Duration>,
}

impl Task {
    /// A task that nobody does yet.
    pub(crate) fn new(id: TaskId, at: Timestamp, evidence: Evidence) -> Self {
        Self {
            id,
            description: None,
            description_bytes: None,
            kind: None,
            priority: None,
            requires: Vec::new(),
            status: TaskStatus::Pending,
            since: at,
            evidence,
            created_at: at,
            owner: None,
            agent: None,
            attempt: 0,
            started_at: None,
            progress: None,
            step: None,
            under_way: false,
            ended: None,
        }
    }

    /// Whether something can still happen to it.
    pub(crate) fn is_open(&self) -> bool {
        !self.status.is_final()
    }
}
