//! `agent_state` and `task_state`: all that is known, as the snapshot of an agent and of a task. Late clients get them, and
//! the source reads them when it starts anew.

use super::fields;
use crate::{
    machine::{AgentStatus, TaskStatus},
    matching,
    performance::Performance,
    registry::{Agent, Pane, Process, Task},
};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The data of `agent_state`. What a later version adds is passed over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgentState {
    id: String,
    name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    emitter: String,
    status: String,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
    evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(default)]
    capabilities: Value,
    created_at: String,
    last_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// With the pid it names the process for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid_started: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pane: Option<PaneState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The turn that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(default)]
    takes_turns: bool,
    #[serde(default)]
    begins: bool,
    #[serde(default)]
    heartbeats: bool,
    #[serde(default)]
    performance: PerformanceState,
}

#[derive(Debug, Serialize, Deserialize)]
struct PaneState {
    pane_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct PerformanceState {
    tasks_completed: u64,
    tasks_failed: u64,
    tasks_cancelled: u64,
    turns: u64,
    turns_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    capability_improvements: Option<u64>,
}

impl AgentState {
    /// What is to be known of this agent.
    pub(crate) fn of(agent: &Agent) -> Self {
        let pane = agent.pane.as_ref().map(|pane| PaneState {
            pane_id: pane.id.clone(),
            server_pid: pane.server_pid,
            socket: pane.socket.clone(),
            session: pane.session.clone(),
            window: pane.window,
        });
        let performance = &agent.performance;
        Self {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            kind: agent.kind.clone(),
            emitter: agent.emitter.clone(),
            status: agent.status.name().to_owned(),
            since: fields::time(agent.since),
            reason: agent.reason.clone(),
            waits_for: agent.waits_for.clone(),
            evidence: fields::evidence(agent.evidence).to_owned(),
            session: agent.session.clone(),
            parent: agent.parent.as_ref().map(ToString::to_string),
            capabilities: fields::capabilities(&agent.capabilities),
            created_at: fields::time(agent.created_at),
            last_seen: fields::time(agent.last_seen),
            pid: agent.process.map(|process| process.pid),
            pid_started: agent.process.map(|process| process.started),
            pane,
            host: agent.host.clone(),
            cwd: agent.cwd.clone(),
            model: agent.model.clone(),
            version: agent.version.clone(),
            task: agent.turn.as_ref().map(ToString::to_string),
            takes_turns: agent.takes_turns,
            begins: agent.begins,
            heartbeats: agent.beats,
            performance: PerformanceState {
                tasks_completed: performance.completed,
                tasks_failed: performance.failed,
                tasks_cancelled: performance.cancelled,
                turns: performance.turns,
                turns_ms: performance.turn_ms,
                capability_improvements: performance.improvements,
            },
        }
    }

    /// The agent that it tells of; nothing where it cannot be understood.
    pub(crate) fn agent(self) -> Option<Agent> {
        let performance = self.performance;
        Some(Agent {
            id: self.id.into(),
            name: self.name,
            kind: self.kind,
            emitter: self.emitter,
            session: self.session,
            parent: self.parent.map(Into::into),
            capabilities: matching::capabilities(Some(&self.capabilities)).ok()?,
            status: AgentStatus::parse(&self.status)?,
            since: self.since.parse().ok()?,
            reason: self.reason,
            waits_for: self.waits_for,
            evidence: evidence(&self.evidence),
            created_at: self.created_at.parse().ok()?,
            last_seen: self.last_seen.parse().ok()?,
            heard: Duration::ZERO,
            process: self.pid.zip(self.pid_started).map(|(pid, started)| Process { pid, started }),
            ancestors: Vec::new(),
            pane: self.pane.map(|pane| Pane {
                id: pane.pane_id,
                server_pid: pane.server_pid,
                socket: pane.socket,
                session: pane.session,
                window: pane.window,
            }),
            host: self.host,
            cwd: self.cwd,
            model: self.model,
            version: self.version,
            turn: self.task.map(Into::into),
            takes_turns: self.takes_turns,
            begins: self.begins,
            beats: self.heartbeats,
            ending: None,
            performance: Performance {
                completed: performance.tasks_completed,
                failed: performance.tasks_failed,
                cancelled: performance.tasks_cancelled,
                turns: performance.turns,
                turn_ms: performance.turns_ms,
                improvements: performance.capability_improvements,
            },
        })
    }
}

/// The data of `task_state`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TaskState {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description_bytes: Option<u64>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u64>,
    #[serde(default)]
    required_capabilities: Value,
    status: String,
    #[serde(default)]
    retry_scheduled: bool,
    since: String,
    evidence: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_agent: Option<String>,
    #[serde(default)]
    attempt_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_step: Option<String>,
}

impl TaskState {
    /// What is to be known of this task.
    pub(crate) fn of(task: &Task) -> Self {
        Self {
            id: task.id.to_string(),
            description: task.description.clone(),
            description_bytes: task.description_bytes,
            kind: task.kind.clone(),
            priority: task.priority,
            required_capabilities: fields::requirements(&task.requires),
            status: task.status.name().to_owned(),
            retry_scheduled: task.status == TaskStatus::Failed { retry: true },
            since: fields::time(task.since),
            evidence: fields::evidence(task.evidence).to_owned(),
            created_at: fields::time(task.created_at),
            owner: task.owner.as_ref().map(ToString::to_string),
            assigned_agent: task.agent.as_ref().map(ToString::to_string),
            attempt_number: task.attempt,
            started_at: task.started_at.map(fields::time),
            progress: task.progress,
            current_step: task.step.clone(),
        }
    }

    /// The task that it tells of; nothing where it cannot be understood.
    pub(crate) fn task(self) -> Option<Task> {
        let time = |text: &str| text.parse::<Timestamp>().ok();
        let created_at = time(&self.created_at)?;
        Some(Task {
            description: self.description,
            description_bytes: self.description_bytes,
            kind: self.kind,
            priority: self.priority,
            requires: matching::requirements(Some(&self.required_capabilities)).ok()?,
            status: TaskStatus::parse(&self.status, self.retry_scheduled)?,
            since: time(&self.since)?,
            owner: self.owner.map(Into::into),
            agent: self.assigned_agent.map(Into::into),
            attempt: self.attempt_number,
            started_at: self.started_at.as_deref().and_then(time),
            progress: self.progress,
            step: self.current_step,
            ..Task::new(self.id.into(), created_at, evidence(&self.evidence))
        })
    }
}

fn evidence(word: &str) -> Evidence {
    match word {
        "inferred" => Evidence::Inferred,
        "polled" => Evidence::Polled,
        _ => Evidence::Observed,
    }
}
