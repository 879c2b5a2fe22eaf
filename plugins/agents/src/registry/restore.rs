//! An earlier life of the source, by the snapshots and events that it left on the bus. Nothing of it is told again.

use super::{
    Act, Agent, AgentId, Dead, Now, Registry, Task, TaskId,
    ends::{HEARTBEAT_LOST, PARENT_GONE, SILENT},
    moves::How,
};
use crate::machine::TaskStatus;
use headwater_plugin::Evidence;
use jiff::Timestamp;
use std::time::Duration;

impl Registry {
    /// An agent as its snapshot has it; a later one takes its place.
    pub(crate) fn restore_agent(&mut self, mut agent: Agent) {
        // Deadlines of silence begin anew: while the source was away it heard nobody.
        agent.heard = self.now.clock;
        if let Some(session) = &agent.session {
            self.sessions.insert((agent.emitter.clone(), session.clone()), agent.id.clone());
        }
        self.dead.retain(|dead| dead.agent.id != agent.id);
        self.agents.insert(agent.id.clone(), agent);
    }

    /// An agent was removed, for this reason, at this time. It is told of for as long as if there had been no restart.
    pub(crate) fn restore_removal(&mut self, id: &str, reason: &str, at: Timestamp, evidence: Evidence) {
        self.sessions.retain(|_, agent| &**agent != id);
        let Some(mut agent) = self.agents.remove(id) else { return };
        agent.turn = None;
        // A clock that was set back in between makes no time that has not been.
        let ago = Duration::try_from(self.now.at.duration_since(at)).unwrap_or_default();
        let Some(left) = self.options.remember.checked_sub(ago) else { return };
        let quiet = |reason: &str| [SILENT, HEARTBEAT_LOST].contains(&reason);
        // Children go before the agent that started them, and as doubtfully.
        if quiet(reason) {
            for dead in &mut self.dead {
                let child = dead.agent.parent.as_ref() == Some(&agent.id) && dead.reason == PARENT_GONE;
                dead.doubtful |= child;
            }
        }
        let (until, doubtful) = (self.now.clock + left, quiet(reason));
        self.bury(Dead { agent, reason: reason.to_owned(), at, until, evidence, doubtful });
    }

    /// A task as its snapshot has it.
    pub(crate) fn restore_task(&mut self, task: Task) {
        let id = task.id.clone();
        match self.tasks.insert(id.clone(), task) {
            Some(before) if before.is_open() => {}
            // An id that was used again after its end.
            Some(_) => {
                self.ended.retain(|ended| *ended != id);
                self.counts.create();
            }
            None => self.counts.create(),
        }
    }

    /// A task has ended, in this way, at this time. The last ones are remembered: the last hooks are read again, and the end
    /// of a turn that is not known any more would be told as that of another one.
    pub(crate) fn restore_end(&mut self, id: &TaskId, status: TaskStatus, at: Timestamp) {
        self.today.ended(at, status);
        let clock = self.now.clock;
        if let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_open()) {
            self.counts.moved(task.status, status);
            (task.status, task.since, task.ended) = (status, at, Some(clock));
            self.ended.push_back(id.clone());
        }
        if self.ended.len() > super::REMEMBERED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.tasks.remove(&oldest);
        }
        if let Some(agent) = self.agents.values_mut().find(|agent| agent.turn.as_ref() == Some(id)) {
            agent.turn = None;
        }
    }

    /// All of it has been read: processes are watched again, and what one life left undone is put right.
    pub(crate) fn restored(&mut self, now: Now) {
        self.begin(now);
        for agent in self.agents.values_mut() {
            // A turn whose end was told while its agent's snapshot was not yet written.
            agent.turn.take_if(|turn| !self.tasks.get(turn).is_some_and(Task::is_open));
            self.watches.extend(agent.process.map(|process| (agent.id.clone(), process)));
        }
        let gone = |id: &Option<AgentId>| id.as_ref().is_some_and(|id| !self.agents.contains_key(id));
        let left: Vec<(TaskId, TaskStatus)> = (self.tasks.values())
            .filter(|task| task.is_open())
            .filter(|task| gone(&task.agent) || (task.agent.is_none() && gone(&task.owner)))
            .map(|task| (task.id.clone(), task.status))
            .collect();
        for (task, status) in left {
            let reason = "agent_gone".to_owned();
            let act = match status {
                TaskStatus::Pending => Act::Cancel { reason, by: None },
                _ => Act::Fail { code: Some("AGENT_EXITED".into()), message: Some(reason), retry: false },
            };
            self.act(&task, act, How::new(now.at, Evidence::Inferred))
                .expect("invariant: an open task can be cancelled, an assigned one can fail");
        }
        self.refresh();
    }
}
