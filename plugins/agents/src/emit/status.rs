//! The answers to commands: who is there, and what becomes of the tasks.

use super::{Fields, events, fields};
use crate::{
    adapters::Unknown,
    registry::{Agent, Dead, Registry, Task},
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The answer to `get_status`: agents, those that have gone lately among them, tasks, and how many there are of each.
/// `unknown` is what the adapters did not understand.
pub(crate) fn status(registry: &Registry, unknown: &Unknown, at: Timestamp) -> Value {
    let living = registry.agents().map(|agent| listed(registry, agent).done());
    let agents: Vec<Value> = living.chain(registry.dead().map(|dead| gone(registry, dead))).collect();
    let tasks: Vec<Value> = registry.tasks().map(task).collect();
    let mut by_status = Fields::new().with("total", registry.agents().count());
    for status in crate::machine::AgentStatus::ALL {
        let count = registry.agents().filter(|agent| agent.status == status).count();
        by_status = by_status.with(status.name(), count);
    }
    let by_status = by_status.with("dead", registry.dead().count());
    let counts = registry.counts();
    json!({
        "agents": agents,
        "tasks": tasks,
        "counts": {
            "agents": by_status.done(),
            "tasks": {
                "created": counts.created, "completed": counts.completed, "failed": counts.failed,
                "cancelled": counts.cancelled, "open": counts.open(),
            },
            "signals_unused": registry.unused(),
            "not_understood": unknown.counts(),
        },
        "timestamp": fields::time(at),
    })
}

/// An agent as it is listed.
fn listed(registry: &Registry, agent: &Agent) -> Fields {
    let pane = agent.pane.as_ref().map(|pane| {
        let place = Fields::new().maybe("session", pane.session.as_ref()).maybe("window", pane.window);
        place.with("pane_id", &pane.id).maybe("server_pid", pane.server_pid).done()
    });
    let doing = |task: &&Task| task.is_open() && task.agent.as_ref() == Some(&agent.id);
    let latest = || registry.tasks().filter(doing).max_by_key(|task| task.since);
    let task = agent.turn.as_ref().and_then(|turn| registry.task(turn)).or_else(latest).map(|task| {
        let fields = Fields::new().with("id", &task.id).maybe("description", task.description.as_ref());
        fields.maybe("step", task.step.as_ref()).at("since", task.since).done()
    });
    Fields::new()
        .with("id", &agent.id)
        .with("name", &agent.name)
        .maybe("type", agent.kind.as_ref())
        .with("emitter", &agent.emitter)
        .with("status", agent.status.name())
        .at("since", agent.since)
        .maybe("reason", agent.reason.as_ref())
        .maybe("waits_for", agent.waits_for.as_ref())
        .maybe("task", task)
        .maybe("pane", pane)
        .maybe("pid", agent.process.map(|process| process.pid))
        .maybe("cwd", agent.cwd.as_ref())
        .maybe("host", agent.host.as_ref())
        .maybe("model", agent.model.as_ref())
        .maybe("parent", agent.parent.as_ref())
        .with("metrics", events::metrics(&agent.performance))
        .at("last_seen", agent.last_seen)
        .with("evidence", fields::evidence(agent.evidence))
}

/// An agent that has gone.
fn gone(registry: &Registry, dead: &Dead) -> Value {
    listed(registry, &dead.agent)
        .with("status", "dead")
        .at("since", dead.at)
        .with("reason", &dead.reason)
        .with("evidence", fields::evidence(dead.evidence))
        .done()
}

fn task(task: &Task) -> Value {
    let Value::Object(created) = events::created_task(task) else { return Value::Null };
    Fields::new()
        .at("since", task.since)
        .maybe("attempt_number", (task.attempt > 0).then_some(task.attempt))
        .maybe("progress", task.progress)
        .maybe("current_step", task.step.as_ref())
        .with("evidence", fields::evidence(task.evidence))
        .beside(&created)
        .done()
}

/// The answer to `create_agent`. The AI Orchestrator Hub calls the status `state`: its clients find it there too.
pub(crate) fn agent_answer(agent: &Agent) -> Value {
    let mut fields = events::created_agent(agent);
    for key in ["status", "state"] {
        fields[key] = json!(agent.status.name());
    }
    json!({ "success": true, "agent_id": agent.id, "agent": fields })
}

/// The answer to `create_task` and to what happens to one.
pub(crate) fn task_answer(task: &Task, matching: Option<usize>) -> Value {
    let answer = Fields::new().with("success", true).with("task_id", &task.id);
    answer.with("task", events::created_task(task)).maybe("matching_agents", matching).done()
}
