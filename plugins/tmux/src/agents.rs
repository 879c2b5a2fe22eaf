//! The agents in the panes: what is heard of each, and what each is said to do.

use crate::{
    tree::{Tree, id::PaneId},
    watch::{self, Change, Explanation, Observation, PaneAgent, Process, Rules},
};
use headwater_plugin::{
    prelude::*,
    serde_json::{Map, json},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Who has a pane's terminal is looked at no more often than this, however much the pane prints.
const LOOK: Duration = Duration::from_millis(250);

/// The panes, and who is in them.
#[derive(Debug)]
pub(crate) struct Agents {
    rules: Arc<Rules>,
    panes: BTreeMap<PaneId, Pane>,
}

#[derive(Debug)]
struct Pane {
    agent: PaneAgent,
    process: Option<Process>,
    looked: Option<Instant>,
    /// It printed since: who is in it is to be looked at.
    stale: bool,
}

impl Agents {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, panes: BTreeMap::new() }
    }

    /// A pane has this title since nobody knows when.
    pub(crate) fn standing_title(&mut self, pane: PaneId, title: &str, now: Instant) -> Option<Change> {
        self.hear(pane, Observation::StandingTitle(title), now)
    }

    /// A pane has this title now.
    pub(crate) fn title(&mut self, pane: PaneId, title: &str, now: Instant) -> Option<Change> {
        self.hear(pane, Observation::Title(title), now)
    }

    /// Its program has sent an operating system command.
    pub(crate) fn command(&mut self, pane: PaneId, code: u16, text: &str, now: Instant) -> Option<Change> {
        self.hear(pane, Observation::Osc(code, text), now)
    }

    /// Its program has printed.
    pub(crate) fn printed(&mut self, pane: PaneId, now: Instant) -> Option<Change> {
        let change = self.hear(pane, Observation::Output, now);
        self.pane(pane).stale = true;
        change
    }

    /// Its screen ends like this, where that is of use.
    pub(crate) fn tail(
        &mut self,
        pane: PaneId,
        now: Instant,
        tail: impl FnOnce(usize) -> Option<String>,
    ) -> Option<Change> {
        let lines = self.panes.get(&pane)?.agent.wants_tail(now)?;
        let tail = tail(lines)?;
        self.hear(pane, Observation::Tail(&tail), now)
    }

    /// Looks who has the terminal of a pane.
    pub(crate) fn look(&mut self, pane: PaneId, pid: Option<u32>, now: Instant) -> Option<Change> {
        let process = pid.and_then(|pid| watch::foreground(&self.rules, pid));
        let entry = self.pane(pane);
        (entry.looked, entry.stale) = (Some(now), false);
        entry.process.clone_from(&process);
        entry.agent.observe(Observation::Foreground(process.as_ref()), now)
    }

    /// The panes whose time has come: to look who is in them, or for what follows from nothing having been said.
    pub(crate) fn take_due(&mut self, now: Instant) -> (Vec<PaneId>, Vec<(PaneId, Change)>) {
        let looks = self.panes.iter().filter(|(_, pane)| pane.look_due().is_some_and(|due| due <= now));
        let looks = looks.map(|(id, _)| *id).collect();
        let waiting = self.panes.iter_mut().filter(|(_, pane)| pane.agent.due(now).is_some_and(|due| due <= now));
        let changes = waiting.filter_map(|(id, pane)| Some((*id, pane.agent.observe(Observation::Nothing, now)?)));
        (looks, changes.collect())
    }

    /// When the next is due.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let times = self.panes.values().flat_map(|pane| [pane.look_due(), pane.agent.due(now)]);
        times.flatten().min()
    }

    /// Forgets the panes that are gone.
    pub(crate) fn follow(&mut self, tree: &Tree) {
        self.panes.retain(|pane, _| tree.panes.contains_key(pane));
    }

    /// What snapshots and events say of the agent in a pane; nothing where there is none.
    pub(crate) fn data(&self, pane: PaneId) -> Map<String, Value> {
        let mut data = Map::new();
        let Some(pane) = self.panes.get(&pane) else { return data };
        if let Some(agent) = pane.agent.agent() {
            data.insert("agent".into(), agent.into());
            data.insert("agent_status".into(), pane.agent.status().as_str().into());
            if let Some(process) = &pane.process {
                data.insert("agent_pid".into(), process.pid.into());
                data.insert("agent_started".into(), process.started.into());
            }
        }
        data
    }

    /// Why the agent in a pane is said to do what it does.
    pub(crate) fn explain(&self, pane: PaneId, now: Instant) -> Option<Explanation> {
        self.panes.get(&pane).map(|pane| pane.agent.explain(now))
    }

    fn hear(&mut self, pane: PaneId, observation: Observation<'_>, now: Instant) -> Option<Change> {
        self.pane(pane).agent.observe(observation, now)
    }

    fn pane(&mut self, pane: PaneId) -> &mut Pane {
        self.panes.entry(pane).or_insert_with(|| Pane {
            agent: PaneAgent::new(Arc::clone(&self.rules)),
            process: None,
            looked: None,
            stale: false,
        })
    }
}

impl Pane {
    fn look_due(&self) -> Option<Instant> {
        let wanted = self.stale || self.looked.is_none();
        // At once the first time, and then some time after the last look.
        wanted.then(|| self.looked.map(|looked| looked + LOOK)).map(|due| due.unwrap_or_else(Instant::now))
    }
}

/// The event of a change.
pub(crate) fn status(change: &Change, agent_type: &str, data: &Map<String, Value>) -> Value {
    let mut more = json!({
        "status": change.status.as_str(),
        "previous": change.previous.as_str(),
        "agent_type": agent_type,
    });
    let key = if change.left { "left" } else { "agent" };
    more[key] = change.agent.as_str().into();
    if let Some(from) = change.from {
        more["evidence_from"] = from.as_str().into();
    }
    if let Some(rule) = &change.rule {
        more["rule"] = rule.as_str().into();
    }
    // What is there after one that has gone is told as itself.
    for key in ["agent_pid", "agent_started"] {
        if let Some(value) = data.get(key).filter(|_| !change.left) {
            more[key] = value.clone();
        }
    }
    more
}
