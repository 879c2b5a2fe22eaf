//! What clients command. Strict: what is not possible is refused, with what is possible instead.

use super::{
    Act, Agent, AgentId, Now, Registry, Task, TaskId,
    id::{Id, LONGEST},
    moves::How,
    signals,
};
use crate::{
    machine::Refused,
    matching::{self, Capability, Requirement},
};
use headwater_plugin::Evidence;
use uuid::Uuid;

/// The emitter of agents that clients create.
pub(crate) const CLIENT: &str = "client";

/// Why an order is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The order itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It is not possible now.
    #[error(transparent)]
    Impossible(#[from] Refused),
    /// A word that is none of those that there are.
    #[error("there is no {what} `{got}`; there are: {}", .allowed.join(", "))]
    Unlisted {
        /// What the word should have been.
        what: &'static str,
        /// The word.
        got: String,
        /// Those that there are.
        allowed: Vec<&'static str>,
    },
    /// What it is about does not exist.
    #[error("there is no {0} `{1}`")]
    Unknown(&'static str, String),
    /// There are too many already.
    #[error("there are {0} {1} already")]
    Full(usize, &'static str),
}

/// An agent that a client creates.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NewAgent {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) capabilities: Vec<Capability>,
}

/// A task that a client creates.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NewTask {
    pub(crate) id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) priority: Option<u64>,
    pub(crate) requires: Vec<Requirement>,
}

impl Registry {
    /// Creates an agent: its id.
    pub(crate) fn create_agent(&mut self, new: NewAgent, now: Now) -> Result<AgentId, Refusal> {
        self.begin(now);
        self.new_agent(new, How::new(now.at, Evidence::Observed))
    }

    pub(super) fn new_agent(&mut self, new: NewAgent, how: How) -> Result<AgentId, Refusal> {
        let id: AgentId = own_id(new.id)?;
        if self.agents.contains_key(&id) {
            return Err(Refusal::Invalid(format!("the agent `{id}` exists already")));
        }
        if self.agents.len() >= super::AGENTS {
            return Err(Refusal::Full(super::AGENTS, "agents"));
        }
        let name = new.name.as_deref().map_or_else(|| id.to_string(), signals::clip);
        let agent = Agent {
            name,
            kind: new.kind.as_deref().map(signals::clip),
            capabilities: new.capabilities,
            ..Agent::new(id.clone(), CLIENT, how.at, how.evidence, self.now.clock)
        };
        self.enter(agent, how);
        Ok(id)
    }

    /// Creates a task: its id, and how many agents could do it.
    pub(crate) fn create_task(&mut self, new: NewTask, now: Now) -> Result<(TaskId, usize), Refusal> {
        self.begin(now);
        let id = self.new_task(new, How::new(now.at, Evidence::Observed))?;
        let matching = self.matching(&id);
        Ok((id, matching))
    }

    pub(super) fn new_task(&mut self, new: NewTask, how: How) -> Result<TaskId, Refusal> {
        let id: TaskId = own_id(new.id)?;
        if self.tasks.contains_key(&id) {
            return Err(Refusal::Invalid(format!("the task `{id}` exists already")));
        }
        if self.counts.open() >= super::TASKS as u64 {
            return Err(Refusal::Full(super::TASKS, "open tasks"));
        }
        let mut task = Task::new(id, how.at, how.evidence);
        task.description = new.description.as_deref().map(signals::clip);
        task.kind = new.kind.as_deref().map(signals::clip);
        task.priority = new.priority;
        task.requires = new.requires;
        Ok(self.create(task, how))
    }

    /// How many agents could do a task.
    fn matching(&self, id: &TaskId) -> usize {
        let Some(task) = self.tasks.get(id) else { return 0 };
        self.agents.values().filter(|agent| matching::fits(&agent.capabilities, &task.requires)).count()
    }

    /// Gives a task to an agent.
    pub(crate) fn assign_task(&mut self, task: &str, agent: &str, reason: &str, now: Now) -> Result<(), Refusal> {
        self.begin(now);
        self.assign(task, agent, reason, How::new(now.at, Evidence::Observed))
    }

    pub(super) fn assign(&mut self, task: &str, agent: &str, reason: &str, how: How) -> Result<(), Refusal> {
        let agent = self.known_agent(agent)?;
        let task = self.known_task(task)?;
        let needs = self.tasks.get(&task).map_or(&[][..], |task| &task.requires[..]);
        let able = self.agents.get(&agent).is_some_and(|agent| matching::fits(&agent.capabilities, needs));
        if !able {
            return Err(Refusal::Invalid(format!(
                "the agent `{agent}` has not the capabilities that the task requires"
            )));
        }
        self.act(&task, Act::Assign { agent, reason: signals::clip(reason) }, how)?;
        Ok(())
    }

    /// Gives a task up.
    pub(crate) fn cancel_task(&mut self, task: &str, reason: &str, by: &str, now: Now) -> Result<(), Refusal> {
        self.begin(now);
        let how = How::new(now.at, Evidence::Observed);
        let task = self.known_task(task)?;
        let agent = self.tasks.get(&task).and_then(|task| task.agent.clone());
        self.act(&task, Act::Cancel { reason: signals::clip(reason), by: Some(signals::clip(by)) }, how.clone())?;
        if let Some(agent) = agent {
            self.follow_tasks(&agent, crate::machine::AgentStatus::Idle, how);
        }
        Ok(())
    }

    /// Removes an agent.
    pub(crate) fn remove_agent(&mut self, agent: &str, reason: &str, by: &str, now: Now) -> Result<(), Refusal> {
        self.begin(now);
        let agent = self.known_agent(agent)?;
        self.dismiss(&agent, &signals::clip(reason), by, How::new(now.at, Evidence::Observed));
        Ok(())
    }

    pub(super) fn known_agent(&self, id: &str) -> Result<AgentId, Refusal> {
        let known = self.agents.get_key_value(id).map(|(id, _)| id.clone());
        known.ok_or_else(|| Refusal::Unknown("agent", id.to_owned()))
    }

    pub(super) fn known_task(&self, id: &str) -> Result<TaskId, Refusal> {
        let known = self.tasks.get_key_value(id).map(|(id, _)| id.clone());
        known.ok_or_else(|| Refusal::Unknown("task", id.to_owned()))
    }
}

/// The id that a client gives, or else a unique one.
fn own_id(given: Option<String>) -> Result<Id, Refusal> {
    match given {
        None => Ok(Uuid::now_v7().to_string().into()),
        Some(id) if (1..=LONGEST).contains(&id.len()) => Ok(id.into()),
        Some(_) => Err(Refusal::Invalid(format!("`id` has 1 to {LONGEST} bytes"))),
    }
}
