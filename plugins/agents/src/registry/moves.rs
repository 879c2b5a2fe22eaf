//! The few ways in which an agent's status and a task change. All inputs end here, so that no change goes past the
//! machine, the counts or the events.

use super::{Act, AgentId, Alert, Change, Happened, Registry, Task, TaskId};
use crate::{
    machine::{AgentStatus, Refused, TaskMove, TaskStatus},
    matching,
};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

/// When a change happened, how that is known, and what a client's report says beside it.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) at: Timestamp,
    pub(crate) evidence: Evidence,
    pub(crate) more: Map<String, Value>,
}

impl How {
    pub(crate) fn new(at: Timestamp, evidence: Evidence) -> Self {
        Self { at, evidence, more: Map::new() }
    }

    /// The same moment, but concluded.
    fn inferred(&self) -> Self {
        Self::new(self.at, Evidence::Inferred)
    }
}

impl Registry {
    /// Takes an agent's status to `to`, with the step that is missing on the way. One that it has already is none.
    pub(super) fn go(&mut self, id: &AgentId, to: AgentStatus, reason: &str, how: How) {
        let Some(agent) = self.agents.get(id) else { return };
        if agent.status == to {
            return;
        }
        if let Some(step) = agent.status.missing(to) {
            self.go_strictly(id, step, reason, how.inferred()).expect("invariant: a missing step is possible");
        }
        self.go_strictly(id, to, reason, how).expect("invariant: only a missing step stands between two statuses");
    }

    /// Takes an agent's status to `to`, or says what is possible instead.
    pub(super) fn go_strictly(&mut self, id: &AgentId, to: AgentStatus, reason: &str, how: How) -> Result<(), Refused> {
        let Some(agent) = self.agents.get_mut(id) else { return Ok(()) };
        let from = agent.status;
        agent.status = from.go(to)?;
        agent.since = how.at;
        agent.reason = Some(reason.to_owned());
        agent.waits_for = None;
        agent.evidence = how.evidence;
        let what = Happened::AgentStatus { agent: id.clone(), from, to, reason: reason.to_owned() };
        self.out.push(Change { at: how.at, evidence: how.evidence, what, more: how.more });
        self.touched_agents.insert(id.clone());
        Ok(())
    }

    /// A task comes to be.
    pub(super) fn create(&mut self, task: Task, how: How) -> TaskId {
        let id = task.id.clone();
        let matching = self.agents.values().filter(|agent| matching::fits(&agent.capabilities, &task.requires)).count();
        let what = Happened::TaskCreated { task: Box::new(task.clone()), matching };
        self.out.push(Change { at: how.at, evidence: how.evidence, what, more: how.more });
        self.counts.create();
        self.tasks.insert(id.clone(), task);
        self.touched_tasks.insert(id.clone());
        id
    }

    /// Makes a move of a task, and the inferred ones that are missing before it, for this agent. `false`: nothing leads
    /// there; a final state stays what it is.
    pub(super) fn force(&mut self, id: &TaskId, agent: &AgentId, act: Act, how: How) -> bool {
        let Some(missing) = self.tasks.get(id).and_then(|task| task.status.missing(act.by())) else { return false };
        for by in missing {
            let step = match by {
                TaskMove::Assign => Act::Assign { agent: agent.clone(), reason: "synthesised".to_owned() },
                _ => Act::Start,
            };
            self.act(id, step, how.inferred()).expect("invariant: a missing move is possible");
            // Nobody saw it begin.
            if let Some(task) = self.tasks.get_mut(id) {
                task.started_at = None;
            }
        }
        self.act(id, act, how).is_ok()
    }

    /// Makes a move of a task that is there, or says what is possible instead.
    pub(super) fn act(&mut self, id: &TaskId, act: Act, how: How) -> Result<(), Refused> {
        let Some(task) = self.tasks.get_mut(id) else { return Ok(()) };
        let from = task.status;
        let to = from.go(act.by())?;
        task.status = to;
        task.evidence = how.evidence;
        if from != to {
            task.since = how.at;
        }
        let mut took_ms = None;
        match &act {
            Act::Assign { agent, .. } => task.agent = Some(agent.clone()),
            Act::Start => {
                task.attempt += 1;
                task.started_at = Some(how.at);
                task.progress = None;
                task.step = None;
                task.under_way = false;
            }
            Act::Progress { progress, current, step } => {
                task.progress = progress.or(task.progress);
                if current.is_some() {
                    task.under_way = step.as_ref().is_some_and(|step| step.done.is_none());
                }
                task.step = current.clone().or_else(|| task.step.take());
            }
            Act::Complete => {
                // A clock that was set back between the two makes no negative time.
                let took = task.started_at.and_then(|began| how.at.duration_since(began).try_into().ok());
                took_ms = took.map(|took: Duration| took.as_millis() as u64);
            }
            Act::Fail { .. } | Act::Cancel { .. } => {}
        }
        let (agent, attempt, is_turn) = (task.agent.clone(), task.attempt, task.kind.as_deref() == Some(super::TURN));
        if to.is_final() {
            task.ended = Some(self.now.clock);
            self.ended.push_back(id.clone());
            self.today.ended(how.at, to);
        }
        self.counts.moved(from, to);
        let news = !matches!(act, Act::Progress { .. });
        let what = Happened::TaskMoved { task: id.clone(), agent: agent.clone(), attempt, act, took_ms };
        let (at, evidence) = (how.at, how.evidence);
        self.out.push(Change { at, evidence, what, more: how.more });
        self.touched_tasks.insert(id.clone());
        if let Some(agent) = agent.filter(|_| news) {
            self.tell_agent(&agent, id, to, took_ms.filter(|_| is_turn), at, evidence);
        }
        Ok(())
    }

    /// What a move of its task means for the agent: its turn, and its performance.
    fn tell_agent(
        &mut self,
        id: &AgentId,
        task: &TaskId,
        to: TaskStatus,
        turn_ms: Option<u64>,
        at: Timestamp,
        evidence: Evidence,
    ) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        // Its snapshot names the task.
        self.touched_agents.insert(id.clone());
        if !to.is_final() {
            return;
        }
        if agent.turn.as_ref() == Some(task) {
            agent.turn = None;
        }
        match to {
            TaskStatus::Completed => agent.performance.completed += 1,
            TaskStatus::Failed { .. } => agent.performance.failed += 1,
            _ => agent.performance.cancelled += 1,
        }
        if let Some(took) = turn_ms {
            agent.performance.turn(Duration::from_millis(took));
        }
        let performance = agent.performance;
        self.tell(at, evidence, Happened::AgentPerformance { agent: id.clone(), performance });
    }

    /// Something that a person should look at.
    pub(super) fn alert(&mut self, alert: Alert, how: How) {
        self.alerts.push_back((self.now.clock + self.options.remember, alert.clone()));
        if self.alerts.len() > super::ALERTS {
            self.alerts.pop_front();
        }
        self.out.push(Change { at: how.at, evidence: how.evidence, what: Happened::Alert(alert), more: how.more });
    }

    /// Gives pending tasks that say what they need to idle agents that can do it: the most urgent task first, the agent
    /// that is best at it. A task that needs nothing in particular is for whoever it is assigned to by hand.
    pub(super) fn assign_pending(&mut self) {
        if !self.options.assign {
            return;
        }
        let waiting = |task: &&Task| task.status == TaskStatus::Pending && !task.requires.is_empty();
        let mut pending: Vec<(Reverse<u64>, Timestamp, TaskId)> = (self.tasks.values().filter(waiting))
            .map(|task| (Reverse(task.priority.unwrap_or(0)), task.created_at, task.id.clone()))
            .collect();
        pending.sort();
        if pending.is_empty() {
            return;
        }
        let mut free = self.free();
        for (.., id) in pending {
            let Some(best) = self.best_of(&free, &id) else { continue };
            free.retain(|agent| *agent != best);
            let act = Act::Assign { agent: best, reason: "capability_match".to_owned() };
            let how = How::new(self.now.at, Evidence::Observed);
            self.act(&id, act, how).expect("invariant: a pending task can be assigned");
        }
    }

    /// The idle agents that have no task.
    pub(super) fn free(&self) -> Vec<AgentId> {
        let busy: BTreeSet<&AgentId> =
            self.tasks.values().filter(|task| task.is_open()).filter_map(|task| task.agent.as_ref()).collect();
        let idle = self.agents.values().filter(|agent| agent.status == AgentStatus::Idle);
        idle.filter(|agent| !busy.contains(&agent.id)).map(|agent| agent.id.clone()).collect()
    }

    /// Which of these agents is best for the task, if one can do it.
    pub(super) fn best_of(&self, free: &[AgentId], task: &TaskId) -> Option<AgentId> {
        let requires = &self.tasks.get(task)?.requires;
        let able = free.iter().filter_map(|id| self.agents.get(id));
        let able = able.filter(|agent| matching::fits(&agent.capabilities, requires));
        let score = |agent: &super::Agent| matching::score(&agent.capabilities, requires);
        // Of several equal ones the one that has been idle for longest.
        let best = able.max_by(|a, b| score(a).total_cmp(&score(b)).then(b.since.cmp(&a.since)))?;
        Some(best.id.clone())
    }
}
