//! The registry: which agents and tasks there are, and what becomes of them. Pure: inputs and the time go in, [`Change`]s
//! come out. The source reads the bus and the processes for it, `emit/` tells of the changes.
//!
//! | file | input |
//! |---|---|
//! | `signals` | what emitters say: tolerant, missing steps are synthesised |
//! | `turns` | the beginning and the end of turns among them |
//! | `orders` | what clients command: strict |
//! | `reports` | what clients report: strict by command, tolerant by hook |
//! | `documented` | the kinds of the fields of reports |
//! | `sights` | what is seen in panes |
//! | `ends` | removal, death, deadlines |
//! | `restore` | snapshots of an earlier life |

mod agent;
mod change;
mod documented;
mod ends;
mod id;
mod moves;
mod orders;
mod reports;
mod restore;
mod sights;
mod signals;
mod task;
mod today;
mod turns;

#[cfg(test)]
mod tests;

pub(crate) use agent::{Agent, AgentId, Dead, Ending, Now, Pane, Process, TaskId};
pub(crate) use change::{Act, Alert, Change, Happened};
pub(crate) use orders::{CLIENT, NewAgent, NewTask, Refusal};
pub(crate) use sights::{Foreground, Sight};
pub(crate) use task::{TURN, Task};
pub(crate) use today::Today;

use crate::{join::Panes, machine::Counts};
use headwater_plugin::Evidence;
use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    mem,
    time::Duration,
};

/// The most agents at a time. Each has a snapshot and, on this machine, a file descriptor; a flood of made-up sessions must
/// not take all of either.
const AGENTS: usize = 500;

/// The most sessions beside those of the agents themselves: a program may give each turn another one, for months.
const SESSIONS: usize = 4 * AGENTS;

/// The most open tasks at a time, for the same reason.
const TASKS: usize = 5_000;

/// The most agents and tasks that are told of after their end.
const REMEMBERED: usize = 500;

/// The most alerts that `hive_status_update` carries.
const ALERTS: usize = 20;

/// The deadlines, as the config has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How long the end of a turn may be contradicted.
    pub(crate) settle: Duration,
    /// How long an agent that sends heartbeats may be quiet.
    pub(crate) heartbeat_deadline: Duration,
    /// How long any other agent may be quiet of which nothing else tells whether it is there.
    pub(crate) silence_deadline: Duration,
    /// How long agents and tasks are told of after their end, and alerts after they came.
    pub(crate) remember: Duration,
    /// Whether pending tasks are given to idle agents that can do them.
    pub(crate) assign: bool,
}

/// The registry.
#[derive(Debug)]
pub(crate) struct Registry {
    options: Options,
    now: Now,
    agents: BTreeMap<AgentId, Agent>,
    dead: VecDeque<Dead>,
    tasks: BTreeMap<TaskId, Task>,
    /// Those that are over, in this order.
    ended: VecDeque<TaskId>,
    /// Agents by program and session.
    sessions: HashMap<(String, String), AgentId>,
    panes: Panes,
    counts: Counts,
    today: Today,
    /// Alerts with the time at which they are no longer told.
    alerts: VecDeque<(Duration, Alert)>,
    /// Signals that could not be used.
    unused: u64,
    out: Vec<Change>,
    /// What changed since the last [`Registry::take`], and needs a new snapshot.
    touched_agents: BTreeSet<AgentId>,
    touched_tasks: BTreeSet<TaskId>,
    /// Processes that are to be watched from now on.
    watches: Vec<(AgentId, Process)>,
}

impl Registry {
    /// An empty one.
    pub(crate) fn new(options: Options, now: Now) -> Self {
        Self {
            options,
            now,
            agents: BTreeMap::new(),
            dead: VecDeque::new(),
            tasks: BTreeMap::new(),
            ended: VecDeque::new(),
            sessions: HashMap::new(),
            panes: Panes::default(),
            counts: Counts::default(),
            today: Today::of(now.at),
            alerts: VecDeque::new(),
            unused: 0,
            out: Vec::new(),
            touched_agents: BTreeSet::new(),
            touched_tasks: BTreeSet::new(),
            watches: Vec::new(),
        }
    }

    /// What has happened since the last time, the snapshots behind it.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        self.assign_pending();
        let mut out = mem::take(&mut self.out);
        let mut state = |what, evidence| out.push(Change { at: self.now.at, evidence, what, more: Map::new() });
        for id in mem::take(&mut self.touched_agents) {
            if let Some(agent) = self.agents.get(&id) {
                state(Happened::AgentState(Box::new(agent.clone())), agent.evidence);
            }
        }
        for id in mem::take(&mut self.touched_tasks) {
            match self.tasks.get(&id) {
                Some(task) if task.is_open() => state(Happened::TaskState(Box::new(task.clone())), task.evidence),
                _ => state(Happened::TaskForgotten(id), Evidence::Observed),
            }
        }
        out
    }

    /// The processes to watch since the last time.
    pub(crate) fn take_watches(&mut self) -> Vec<(AgentId, Process)> {
        mem::take(&mut self.watches)
    }

    /// Every living agent, by id.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// The agent of this id.
    pub(crate) fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// Agents that have gone within the time that is remembered, the last one first.
    pub(crate) fn dead(&self) -> impl Iterator<Item = &Dead> {
        self.dead.iter().rev()
    }

    /// Open tasks, and those that ended within the time that is remembered.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        // Those of an earlier life are kept for a while after a restart, however long ago they ended.
        let remember = SignedDuration::try_from(self.options.remember).unwrap_or(SignedDuration::MAX);
        let late = move |task: &Task| self.now.at.duration_since(task.since) < remember;
        self.tasks.values().filter(move |task| task.is_open() || late(task))
    }

    /// The task of this id.
    pub(crate) fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// Tasks by what became of them, since this life of the source began.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What ended today.
    pub(crate) fn today(&self) -> &Today {
        &self.today
    }

    /// The alerts of the last minutes.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().map(|(_, alert)| alert)
    }

    /// Signals that could not be used.
    pub(crate) fn unused(&self) -> u64 {
        self.unused
    }

    /// Every living agent gets a new snapshot: the history lets old events go.
    pub(crate) fn refresh(&mut self) {
        self.touched_agents.extend(self.agents.keys().cloned());
        self.touched_tasks.extend(self.tasks.values().filter(|task| task.is_open()).map(|task| task.id.clone()));
    }

    fn tell(&mut self, at: Timestamp, evidence: Evidence, what: Happened) {
        self.out.push(Change { at, evidence, what, more: Map::new() });
    }
}
