//! How agents go: by their own word, because their process has ended, or because nothing was heard of them; and what is
//! forgotten with time.

use super::{Act, AgentId, Alert, Dead, Happened, Now, Process, Registry, TaskId, moves::How};
use crate::machine::TaskStatus;
use headwater_plugin::Evidence;
use serde_json::json;
use std::time::Duration;

/// Why an agent was given up of which nothing was heard.
pub(super) const SILENT: &str = "silent";
pub(super) const HEARTBEAT_LOST: &str = "heartbeat_lost";

/// Why a child went with the agent that started it.
pub(super) const PARENT_GONE: &str = "parent_gone";

/// Why an agent is removed, and what that means for what it leaves behind.
#[derive(Clone, Copy, Debug)]
struct Removal<'a> {
    reason: &'a str,
    /// The code of the tasks that fail with it.
    code: &'static str,
    /// Nobody asked for it: a person should know of the tasks.
    alarming: bool,
    /// It may only have been quiet.
    doubtful: bool,
    /// Somebody removed it, who may be known: its tasks go to others or are cancelled.
    by_hand: Option<&'a str>,
}

impl Removal<'_> {
    const EXITED: &'static str = "AGENT_EXITED";
}

impl Registry {
    /// It has said that it goes.
    pub(super) fn leave(&mut self, id: &AgentId, reason: &str, how: How) {
        let code = Removal::EXITED;
        self.remove(id, Removal { reason, code, alarming: false, doubtful: false, by_hand: None }, how);
    }

    /// Its process has ended.
    pub(crate) fn exited(&mut self, id: &AgentId, process: Process, evidence: Evidence, now: Now) {
        self.begin(now);
        if self.agents.get(id).is_some_and(|agent| agent.process == Some(process)) {
            self.die(id, "process_exited", How::new(now.at, evidence));
        }
    }

    /// It has gone without a word.
    pub(super) fn die(&mut self, id: &AgentId, reason: &str, how: How) {
        let code = Removal::EXITED;
        self.remove(id, Removal { reason, code, alarming: true, doubtful: false, by_hand: None }, how);
    }

    /// Somebody removes it. What it has not begun goes to others that can do it, the rest is cancelled.
    pub(super) fn dismiss(&mut self, id: &AgentId, reason: &str, by: &str, how: How) {
        let code = Removal::EXITED;
        self.remove(id, Removal { reason, code, alarming: false, doubtful: false, by_hand: Some(by) }, how);
    }

    fn remove(&mut self, id: &AgentId, removal: Removal<'_>, how: How) {
        if !self.agents.contains_key(id) {
            return;
        }
        self.settle(id);
        let children: Vec<AgentId> = self
            .agents
            .values()
            .filter(|agent| agent.parent.as_ref() == Some(id))
            .map(|agent| agent.id.clone())
            .collect();
        for child in children {
            self.remove(&child, Removal { reason: PARENT_GONE, ..removal }, How::new(how.at, how.evidence));
        }
        let (reassigned, lost) = self.leave_tasks(id, removal, &how);
        let Some(mut agent) = self.agents.remove(id) else { return };
        self.sessions.retain(|_, known| known != id);
        self.touched_agents.remove(id);
        agent.turn = None;
        let reason = removal.reason.to_owned();
        let what = Happened::AgentRemoved { agent: id.clone(), reason: reason.clone(), reassigned };
        self.out.push(super::Change { at: how.at, evidence: how.evidence, what, more: how.more });
        if removal.alarming && !lost.is_empty() {
            let tasks = if lost.len() == 1 { "a task".to_owned() } else { format!("{} tasks", lost.len()) };
            let alert = Alert {
                level: "warning".to_owned(),
                title: "Agent died with open tasks".to_owned(),
                message: format!("{} ({id}) has gone ({reason}) and left {tasks} open", agent.name),
                details: json!({ "error": removal.code, "affected_components": [id], "tasks": lost }),
                at: how.at,
            };
            self.alert(alert, How::new(how.at, how.evidence));
        }
        let (at, until) = (how.at, self.now.clock + self.options.remember);
        self.bury(Dead { agent, reason, at, until, evidence: how.evidence, doubtful: removal.doubtful });
    }

    pub(super) fn bury(&mut self, dead: Dead) {
        self.dead.push_back(dead);
        if self.dead.len() > super::REMEMBERED {
            self.dead.pop_front();
        }
    }

    /// Ends or passes on the open tasks of an agent that goes: how many went to others, and which have failed.
    fn leave_tasks(&mut self, id: &AgentId, removal: Removal<'_>, how: &How) -> (u64, Vec<TaskId>) {
        let its = |task: &&super::Task| {
            task.is_open()
                && (task.agent.as_ref() == Some(id) || (task.agent.is_none() && task.owner.as_ref() == Some(id)))
        };
        let open: Vec<(TaskId, TaskStatus)> =
            self.tasks.values().filter(its).map(|task| (task.id.clone(), task.status)).collect();
        let (mut reassigned, mut lost) = (0, Vec::new());
        let how = How::new(how.at, how.evidence);
        for (task, status) in open {
            if let Some(by) = removal.by_hand {
                let mut free = self.free();
                free.retain(|free| free != id);
                let other = (status == TaskStatus::Assigned).then(|| self.best_of(&free, &task)).flatten();
                let act = match other {
                    Some(agent) => {
                        reassigned += 1;
                        Act::Assign { agent, reason: "agent_removed".to_owned() }
                    }
                    None => Act::Cancel { reason: "agent_removed".to_owned(), by: Some(by.to_owned()) },
                };
                self.act(&task, act, how.clone())
                    .expect("invariant: an open task can be cancelled, an assigned one assigned");
            } else if status == TaskStatus::Pending {
                // It was never begun: there is nothing that could have failed.
                let act = Act::Cancel { reason: removal.reason.to_owned(), by: None };
                self.act(&task, act, how.clone()).expect("invariant: an open task can be cancelled");
            } else {
                let message = format!("the agent has gone: {}", removal.reason);
                let act = Act::Fail { code: Some(removal.code.to_owned()), message: Some(message), retry: false };
                self.act(&task, act, how.clone()).expect("invariant: an assigned task can fail");
                lost.push(task);
            }
        }
        (reassigned, lost)
    }

    /// Time has passed: ends are settled, the silent are given up, the old is forgotten.
    pub(crate) fn tick(&mut self, now: Now) {
        self.begin(now);
        let clock = now.clock;
        let due = |agent: &&super::Agent| agent.ending.as_ref().is_some_and(|ending| ending.due <= clock);
        for id in self.agents.values().filter(due).map(|agent| agent.id.clone()).collect::<Vec<_>>() {
            self.settle(&id);
        }
        let silent: Vec<AgentId> = self
            .agents
            .values()
            .filter(|agent| self.deadline(agent).is_some_and(|due| due <= clock))
            .map(|agent| agent.id.clone())
            .collect();
        for id in silent {
            let beats = self.agents.get(&id).is_some_and(|agent| agent.beats);
            let (reason, code) = if beats { (HEARTBEAT_LOST, "HEARTBEAT_LOST") } else { (SILENT, Removal::EXITED) };
            let removal = Removal { reason, code, alarming: true, doubtful: true, by_hand: None };
            self.remove(&id, removal, How::new(now.at, Evidence::Inferred));
        }
        while self.dead.front().is_some_and(|dead| dead.until <= clock) {
            self.dead.pop_front();
        }
        while self.ended.front().is_some_and(|id| self.is_forgettable(id)) {
            if let Some(id) = self.ended.pop_front() {
                self.tasks.remove(&id);
            }
        }
        while self.alerts.front().is_some_and(|(until, _)| *until <= clock) {
            self.alerts.pop_front();
        }
    }

    fn is_forgettable(&self, id: &TaskId) -> bool {
        let ended = self.tasks.get(id).and_then(|task| task.ended);
        self.ended.len() > super::REMEMBERED
            || ended.is_none_or(|ended| ended + self.options.remember <= self.now.clock)
    }

    /// When something is to be done without an input, on the clock that never jumps.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let endings = self.agents.values().filter_map(|agent| agent.ending.as_ref().map(|ending| ending.due));
        let deadlines = self.agents.values().filter_map(|agent| self.deadline(agent));
        let remember = self.options.remember;
        let dead = self.dead.front().map(|dead| dead.until);
        let task = self.ended.front().and_then(|id| self.tasks.get(id)?.ended).map(|ended| ended + remember);
        let alert = self.alerts.front().map(|(until, _)| *until);
        endings.chain(deadlines).chain(dead).chain(task).chain(alert).min()
    }

    /// When an agent is given up that nothing is heard of. None where something else tells: its process, its pane, or the
    /// client that created it and has promised no heartbeats. A child has neither, and the word of its end may be lost.
    fn deadline(&self, agent: &super::Agent) -> Option<Duration> {
        if agent.process.is_some() {
            return None;
        }
        if agent.beats {
            return Some(agent.heard + self.options.heartbeat_deadline);
        }
        let seen = agent.pane.as_ref().is_some_and(|pane| self.panes.whole(pane).is_some());
        (!seen && agent.emitter != super::CLIENT).then(|| agent.heard + self.options.silence_deadline)
    }
}
