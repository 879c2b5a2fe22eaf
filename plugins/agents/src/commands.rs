//! What clients may ask, and the answers. The parameters are typed, so that a client learns what is wrong with them; the
//! registry decides whether it is possible.

use crate::{
    adapters::Unknown,
    emit, matching,
    registry::{NewAgent, NewTask, Now, Refusal, Registry},
};
use headwater_plugin::prelude::*;

/// An agent of a client's own.
#[config]
#[derive(Debug)]
pub struct CreateAgent {
    /// Its id; without one it gets a unique one.
    id: Option<String>,
    /// What people call it; without one, its id.
    name: Option<String>,
    /// What kind of agent it is: `specialist`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// What it can do: objects with `name`, and where they are known `proficiency` (0 to 1) and `learning_rate`.
    capabilities: Option<Vec<Value>>,
}

/// A task.
#[config]
#[derive(Debug)]
pub struct CreateTask {
    /// Its id; without one it gets a unique one.
    id: Option<String>,
    /// What is to be done.
    description: Option<String>,
    /// What kind of task it is: `data_processing`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// How urgent it is; more is sooner.
    priority: Option<u64>,
    /// What an agent must be able to do for it: objects with `name`, and perhaps `min_proficiency` (0 to 1).
    required_capabilities: Option<Vec<Value>>,
}

/// Which task is for which agent.
#[config]
#[derive(Debug)]
pub struct AssignTask {
    /// The task.
    task_id: String,
    /// The agent.
    agent_id: String,
    /// Why; `assignment_reason` of the event.
    #[default = "manual_assignment"]
    reason: String,
}

/// Which task is given up.
#[config]
#[derive(Debug)]
pub struct CancelTask {
    /// The task.
    task_id: String,
    /// Why.
    #[default = "manual_cancellation"]
    reason: String,
    /// Who says so; without it, who asks.
    cancelled_by: Option<String>,
}

/// Which agent is removed.
#[config]
#[derive(Debug)]
pub struct RemoveAgent {
    /// The agent.
    agent_id: String,
    /// Why.
    #[default = "manual_removal"]
    reason: String,
}

/// A documented event, as a client says it.
#[config]
#[derive(Debug)]
pub struct Report {
    /// Its type: `task_progress`, `learning_cycle_completed`, …; or `heartbeat`.
    #[serde(rename = "type")]
    kind: String,
    /// Its data.
    data: Value,
}

/// Does what a command asks, and answers it.
pub(crate) fn run(command: Command, registry: &mut Registry, unknown: &Unknown, now: Now) {
    let by = command.caller.clone().unwrap_or_else(|| "client".to_owned());
    let answer = match command.name.as_str() {
        "create_agent" => with(&command, |new| create_agent(registry, new, now)),
        "create_task" => with(&command, |new| create_task(registry, new, now)),
        "assign_task" => with(&command, |AssignTask { task_id, agent_id, reason }| {
            registry.assign_task(&task_id, &agent_id, &reason, now)?;
            Ok(task(registry, &task_id))
        }),
        "cancel_task" => with(&command, |CancelTask { task_id, reason, cancelled_by }| {
            registry.cancel_task(&task_id, &reason, cancelled_by.as_deref().unwrap_or(&by), now)?;
            Ok(task(registry, &task_id))
        }),
        "remove_agent" => with(&command, |RemoveAgent { agent_id, reason }| {
            registry.remove_agent(&agent_id, &reason, &by, now)?;
            Ok(json!({ "success": true, "agent_id": agent_id }))
        }),
        "report" => with(&command, |Report { kind, data }| {
            let Value::Object(data) = data else { return Err(Refusal::Invalid("`data` is an object".into())) };
            registry.report_strictly(&kind, data, now)?;
            Ok(json!({ "success": true }))
        }),
        "get_status" => Ok(emit::status(registry, unknown, now.at)),
        _ => return command.unknown(),
    };
    command.answer(answer);
}

fn with<P: headwater_plugin::ConfigType>(
    command: &Command,
    order: impl FnOnce(P) -> Result<Value, Refusal>,
) -> Result<Value, Failure> {
    let parameters = command.parse::<P>().map_err(|error| Failure::new("VALIDATION_ERROR", error.to_string()))?;
    order(parameters).map_err(|refusal| failure(&refusal))
}

fn create_agent(registry: &mut Registry, new: CreateAgent, now: Now) -> Result<Value, Refusal> {
    let capabilities = new.capabilities.map(Value::Array);
    let capabilities = matching::capabilities(capabilities.as_ref()).map_err(Refusal::Invalid)?;
    let new = NewAgent { id: new.id, name: new.name, kind: new.kind, capabilities };
    let id = registry.create_agent(new, now)?;
    Ok(registry.agent(&id).map(emit::agent_answer).expect("invariant: what was created is there"))
}

fn create_task(registry: &mut Registry, new: CreateTask, now: Now) -> Result<Value, Refusal> {
    let requires = new.required_capabilities.map(Value::Array);
    let requires = matching::requirements(requires.as_ref()).map_err(Refusal::Invalid)?;
    let CreateTask { id, description, kind, priority, .. } = new;
    let (id, matching) = registry.create_task(NewTask { id, description, kind, priority, requires }, now)?;
    let task = registry.task(&id).expect("invariant: what was created is there");
    Ok(emit::task_answer(task, Some(matching)))
}

fn task(registry: &Registry, id: &str) -> Value {
    registry.task(id).map_or(Value::Null, |task| emit::task_answer(task, None))
}

/// A refusal as a client gets it: with what would be allowed instead.
fn failure(refusal: &Refusal) -> Failure {
    let code = match refusal {
        Refusal::Unknown(..) => "RESOURCE_NOT_FOUND",
        Refusal::Full(..) => "SYSTEM_UNAVAILABLE",
        Refusal::Invalid(_) | Refusal::Impossible(_) | Refusal::Unlisted { .. } => "VALIDATION_ERROR",
    };
    let failure = Failure::new(code, refusal.to_string());
    match refusal {
        Refusal::Impossible(refused) => failure.details(json!({ "status": refused.from, "allowed": refused.allowed })),
        Refusal::Unlisted { allowed, .. } => failure.details(json!({ "allowed": allowed })),
        _ => failure,
    }
}
