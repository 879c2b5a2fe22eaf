//! The events, in the shapes of the documented API.

use super::{AgentState, Fields, TaskState, fields};
use crate::{
    machine::{AgentStatus, TaskStatus},
    performance::Performance,
    registry::{Act, Agent, Alert, Change, Happened, Registry, Task},
    signal::Step,
};
use headwater_plugin::{Evidence, Severity};
use jiff::Timestamp;
use serde_json::{Value, json};

/// An event that is to be emitted.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) channel: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
    pub(crate) keep: Keep,
    pub(crate) severity: Severity,
    pub(crate) evidence: Evidence,
    pub(crate) at: Timestamp,
    /// To filter by: `agent`, `task`, `status`.
    pub(crate) attributes: Vec<(&'static str, String)>,
}

/// Whether an event is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    No,
    /// It is the snapshot of this key.
    As(String),
    /// It takes that snapshot away.
    Forget(String),
}

/// The events that tell of a change.
pub(crate) fn events(change: &Change) -> Vec<Event> {
    let Change { at, evidence, what, more } = change;
    let event = |channel, kind, data: Fields| Event {
        channel,
        kind,
        data: data.beside(more).done(),
        keep: Keep::No,
        severity: Severity::Info,
        evidence: *evidence,
        at: *at,
        attributes: Vec::new(),
    };
    let stamped = |data: Fields| data.at("timestamp", *at);
    match what {
        Happened::AgentCreated(agent) => {
            vec![event("agent", "agent_created", Fields::new().with("agent", created_agent(agent))).about(&agent.id)]
        }
        Happened::AgentStatus { agent, from, to, reason } => {
            let data = Fields::new().with("agent_id", agent).with("old_status", from.name());
            let data = stamped(data.with("new_status", to.name()).with("reason", reason));
            let mut event = event("agent", "agent_status_changed", data).about(agent);
            event.attributes.push(("status", to.name().to_owned()));
            if *to == AgentStatus::Failed {
                event.severity = Severity::Warning;
            }
            vec![event]
        }
        Happened::AgentPerformance { agent, performance } => {
            let data = Fields::new().with("agent_id", agent).with("metrics", metrics(performance));
            vec![event("agent", "agent_performance_updated", stamped(data)).about(agent)]
        }
        Happened::AgentRemoved { agent, reason, reassigned } => {
            // Its snapshot is taken away with it; `get_status` tells of it for a while.
            let summary = json!({ "tasks_reassigned": reassigned, "data_removed": true });
            let data = Fields::new().with("agent_id", agent).with("reason", reason).with("cleanup_summary", summary);
            let removed = event("agent", "agent_removed", stamped(data)).about(agent);
            vec![removed, event("agent", "agent_state", Fields::new()).forget(agent)]
        }
        Happened::AgentState(agent) => {
            let mut state = event("agent", "agent_state", Fields::new()).about(&agent.id);
            state.data = json!(AgentState::of(agent));
            state.attributes.push(("status", agent.status.name().to_owned()));
            state.keep = Keep::As(agent.id.to_string());
            vec![state]
        }
        Happened::TaskCreated { task, matching } => {
            let data = Fields::new().with("task", created_task(task)).with("matching_agents", matching);
            vec![event("task", "task_created", data).of_task(&task.id, task.owner.as_deref())]
        }
        Happened::TaskMoved { task, agent, attempt, act, took_ms } => {
            let data = Fields::new().with("task_id", task).maybe("agent_id", agent.as_ref());
            let data = match act {
                Act::Assign { reason, .. } => data.with("assignment_reason", reason),
                Act::Start => data.with("attempt_number", attempt),
                Act::Progress { progress, current, step } => {
                    let data = data.maybe("progress", *progress).maybe("current_step", current.as_ref());
                    data.maybe("step", step.as_ref().map(done_step))
                }
                Act::Complete => {
                    // The documented shape has a result always; an empty one says nothing.
                    let result = more.get("result").cloned().unwrap_or_else(|| json!({}));
                    data.maybe("execution_time_ms", *took_ms).with("result", result)
                }
                Act::Fail { code, message, retry } => {
                    let error = more.get("error").filter(|error| error.is_object()).cloned();
                    let error = error.unwrap_or_else(|| {
                        Fields::new().maybe("code", code.as_ref()).maybe("message", message.as_ref()).done()
                    });
                    data.with("attempt_number", attempt).with("error", error).with("retry_scheduled", retry)
                }
                Act::Cancel { reason, by } => data.with("reason", reason).maybe("cancelled_by", by.as_ref()),
            };
            let mut event = event("task", act.by().name(), stamped(data)).of_task(task, agent.as_deref());
            if matches!(act, Act::Fail { .. }) {
                event.severity = Severity::Error;
            }
            vec![event]
        }
        Happened::TaskState(task) => {
            let mut state = event("task", "task_state", Fields::new()).of_task(&task.id, task.agent.as_deref());
            state.data = json!(TaskState::of(task));
            state.attributes.push(("status", task.status.name().to_owned()));
            state.keep = Keep::As(task.id.to_string());
            vec![state]
        }
        Happened::TaskForgotten(task) => vec![event("task", "task_state", Fields::new()).forget(task)],
        Happened::Alert(alert) => {
            let data = Fields::new().with("level", &alert.level).with("title", &alert.title);
            let data = stamped(data.with("message", &alert.message).with("details", &alert.details));
            let mut event = event("system", "system_alert", data);
            event.severity = severity(&alert.level);
            vec![event]
        }
        Happened::Passed { channel, kind } => {
            let mut event = event(channel, kind, stamped(Fields::new()));
            if *channel == "error" {
                event.severity = more.get("severity").and_then(Value::as_str).map_or(Severity::Error, severity);
            } else if *kind == "resource_alert" {
                event.severity = Severity::Warning;
            }
            if let Some(agent) = more.get("agent_id").and_then(Value::as_str) {
                event = event.about(agent);
            }
            vec![event]
        }
    }
}

/// The state of the whole hive. `load` is the share of the machine's cores that is asked for.
pub(crate) fn hive(registry: &Registry, load: Option<f64>, at: Timestamp) -> Event {
    let count = |status| registry.agents().filter(|agent| agent.status == status).count();
    let tasks = |status| registry.tasks().filter(|task| task.status == status).count();
    let alerts: Vec<&Alert> = registry.alerts().collect();
    let health = if alerts.iter().any(|alert| alert.level == "critical") {
        "critical"
    } else if alerts.iter().any(|alert| alert.level == "warning") || count(AgentStatus::Failed) > 0 {
        "degraded"
    } else {
        "healthy"
    };
    let today = registry.today();
    let metrics = Fields::new()
        .with("total_agents", registry.agents().count())
        .with("active_agents", count(AgentStatus::Active))
        .with("waiting_agents", count(AgentStatus::Waiting))
        .with("idle_agents", count(AgentStatus::Idle))
        .with("failed_agents", count(AgentStatus::Failed))
        .with("unknown_agents", count(AgentStatus::Unknown))
        .with("pending_tasks", tasks(TaskStatus::Pending) + tasks(TaskStatus::Assigned))
        .with("started_tasks", tasks(TaskStatus::Started))
        .with("completed_tasks_today", today.completed)
        .with("failed_tasks_today", today.failed)
        .with("cancelled_tasks_today", today.cancelled)
        .maybe("system_load", load);
    let alert =
        |alert: &&Alert| json!({ "level": alert.level, "message": alert.message, "timestamp": fields::time(alert.at) });
    let data = Fields::new()
        .with("status", health)
        .with("metrics", metrics.done())
        .with("alerts", alerts.iter().map(alert).collect::<Value>())
        .at("timestamp", at);
    Event {
        channel: "system",
        kind: "hive_status_update",
        data: data.done(),
        keep: Keep::As("hive".to_owned()),
        severity: Severity::Info,
        evidence: Evidence::Inferred,
        at,
        attributes: vec![("status", health.to_owned())],
    }
}

impl Event {
    fn about(mut self, agent: &str) -> Self {
        self.attributes.push(("agent", agent.to_owned()));
        self
    }

    fn of_task(mut self, task: &str, agent: Option<&str>) -> Self {
        self.attributes.push(("task", task.to_owned()));
        match agent {
            Some(agent) => self.about(agent),
            None => self,
        }
    }

    fn forget(mut self, key: &str) -> Self {
        self.keep = Keep::Forget(key.to_owned());
        self
    }
}

/// `agent` of `agent_created`.
pub(super) fn created_agent(agent: &Agent) -> Value {
    Fields::new()
        .with("id", &agent.id)
        .with("name", &agent.name)
        .maybe("type", agent.kind.as_ref())
        .with("capabilities", fields::capabilities(&agent.capabilities))
        .at("created_at", agent.created_at)
        .with("emitter", &agent.emitter)
        .maybe("session", agent.session.as_ref())
        .maybe("parent", agent.parent.as_ref())
        .done()
}

/// `task` of `task_created`.
pub(super) fn created_task(task: &Task) -> Value {
    Fields::new()
        .with("id", &task.id)
        .maybe("description", task.description.as_ref())
        .maybe("description_bytes", task.description_bytes)
        .maybe("type", task.kind.as_ref())
        .maybe("priority", task.priority)
        .with("status", task.status.name())
        .with("required_capabilities", fields::requirements(&task.requires))
        .maybe("assigned_agent", task.agent.as_ref())
        .at("created_at", task.created_at)
        .done()
}

/// `metrics` of `agent_performance_updated`.
pub(super) fn metrics(performance: &Performance) -> Value {
    Fields::new()
        .with("tasks_completed", performance.completed)
        .with("tasks_failed", performance.failed)
        .with("tasks_cancelled", performance.cancelled)
        .maybe("success_rate", performance.success_rate())
        .maybe("average_response_time_ms", performance.average_response_time_ms())
        .maybe("capability_improvements", performance.improvements)
        .done()
}

/// A step, which begins or has ended.
fn done_step(step: &Step) -> Value {
    let fields = Fields::new().with("name", &step.name).maybe("id", step.id.as_ref());
    let Some(done) = &step.done else { return fields.with("done", false).done() };
    let took = done.took.map(|took| took.as_millis() as u64);
    fields.with("done", true).maybe("ok", done.ok).maybe("duration_ms", took).done()
}

fn severity(level: &str) -> Severity {
    match level {
        "critical" => Severity::Critical,
        "error" | "high" => Severity::Error,
        "warning" | "medium" => Severity::Warning,
        _ => Severity::Info,
    }
}
