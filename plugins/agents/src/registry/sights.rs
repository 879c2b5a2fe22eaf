//! What is seen in panes. An agent that emitters tell of is only helped by it: an interruption, of which no emitter tells,
//! and a wait that begins or is over. An agent that nobody tells of is known by its pane alone, inferred.

use super::{Agent, AgentId, Now, Pane, Process, Registry, moves::How};
use crate::{machine::AgentStatus, signal::Ended};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use std::time::Duration;

/// How long an agent that has said that it goes may still be seen: it tidies its terminal up before it ends.
const GOING: Duration = Duration::from_secs(10);

/// The process of an agent that is seen in a pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreground {
    pub(crate) process: Process,
    /// The directory that it works in.
    pub(crate) cwd: Option<String>,
    /// How long it has run.
    pub(crate) age: Option<Duration>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight {
    /// Something is known about a pane.
    Pane {
        pane: Pane,
        /// The process that tmux started in it.
        pid: Option<u32>,
    },
    /// The state of an agent in a pane has changed.
    Status {
        pane: Pane,
        /// The program, if one is there.
        program: Option<String>,
        /// What it does; nothing where that is not to be seen.
        status: Option<AgentStatus>,
        /// What it did before.
        previous: Option<AgentStatus>,
        /// The program's process.
        process: Option<Foreground>,
    },
    /// A pane has gone.
    Gone { pane: Pane },
}

impl Registry {
    /// Something was seen in a pane, at `at`.
    pub(crate) fn sight(&mut self, sight: Sight, at: Timestamp, now: Now) {
        self.begin(now);
        let how = How::new(at.min(now.at), Evidence::Inferred);
        match sight {
            Sight::Pane { pane, pid } => {
                self.panes.see(&pane, pid);
                self.rename_pane(&pane);
            }
            Sight::Status { pane, program, status, previous, process } => {
                self.panes.see(&pane, None);
                self.rename_pane(&pane);
                self.seen(&pane, program.as_deref(), status, previous, process, how);
            }
            Sight::Gone { pane } => {
                self.panes.forget(&pane);
                let there = |agent: &&Agent| agent.pane.as_ref().is_some_and(|its| its.is(&pane));
                let all: Vec<(AgentId, bool)> = self
                    .agents
                    .values()
                    .filter(there)
                    .map(|agent| (agent.id.clone(), agent.process.is_some()))
                    .collect();
                for (id, watched) in all {
                    // One that is watched tells itself whether it outlives its pane.
                    if !watched {
                        self.die(&id, "pane_closed", how.clone());
                    }
                }
            }
        }
    }

    /// Agents show where their pane is now, and one whose place was not known is found by the process of the pane.
    fn rename_pane(&mut self, pane: &Pane) {
        let Some(whole) = self.panes.whole(pane).cloned() else { return };
        for agent in self.agents.values_mut().filter(|agent| agent.parent.is_none()) {
            let there = match &agent.pane {
                Some(its) => its.is(&whole) && *its != whole,
                None => {
                    agent.host.is_none() && self.panes.above(&agent.ancestors).is_some_and(|found| found.is(&whole))
                }
            };
            if there {
                agent.pane = Some(whole.clone());
                self.touched_agents.insert(agent.id.clone());
            }
        }
        // One that went before its pane was told of is remembered in it all the same.
        for dead in &mut self.dead {
            if let Some(its) = dead.agent.pane.as_mut().filter(|its| its.is(&whole)) {
                its.clone_from(&whole);
            }
        }
    }

    fn seen(
        &mut self,
        pane: &Pane,
        program: Option<&str>,
        status: Option<AgentStatus>,
        previous: Option<AgentStatus>,
        front: Option<Foreground>,
        how: How,
    ) {
        let there = |agent: &&Agent| {
            let same = agent.pane.as_ref().is_some_and(|its| its.is(pane));
            // An agent may run another one in its pane: the one that is seen is in front.
            agent.parent.is_none() && same && program.is_none_or(|program| agent.emitter == program)
        };
        let found = self.agents.values().filter(there).max_by_key(|agent| agent.last_seen);
        let found = found.map(|agent| (agent.id.clone(), agent.session.is_some()));
        match (found, program, status) {
            (Some((id, true)), _, Some(status)) => self.helped(&id, status, previous, how),
            (Some((id, false)), None, _) => self.die(&id, "left_pane", how),
            (Some((id, false)), Some(_), status) => {
                self.hear(&id, &how);
                self.watch(&id, front);
                self.go(&id, status.unwrap_or(AgentStatus::Unknown), "seen", how);
            }
            (None, Some(program), _) => match self.only_heard(program, front.as_ref()) {
                Some(id) => {
                    let whole = self.panes.whole(pane).unwrap_or(pane).clone();
                    if let Some(agent) = self.agents.get_mut(&id) {
                        agent.pane = Some(whole);
                    }
                    self.touched_agents.insert(id.clone());
                    self.watch(&id, front);
                }
                None if self.is_going(pane, program, front.as_ref()) => {}
                None => self.first_seen(pane, program, status, front, how),
            },
            (Some((_, true)), _, None) | (None, None, _) => {}
        }
    }

    /// Whether what is seen is an agent that has said good-bye and is not out of its pane yet.
    fn is_going(&self, pane: &Pane, program: &str, front: Option<&Foreground>) -> bool {
        self.dead.iter().any(|dead| {
            let ago = self.options.remember.saturating_sub(dead.until.saturating_sub(self.now.clock));
            let said = dead.evidence == Evidence::Observed && ago < GOING;
            let there = dead.agent.emitter == program && dead.agent.pane.as_ref().is_some_and(|its| its.is(pane));
            let other = dead.agent.process.zip(front).is_some_and(|(its, front)| its != front.process);
            said && there && !other
        })
    }

    /// The agent that emitters tell of and whose place nobody knows, if only one works in the directory of what is seen. One
    /// that has said nothing since that began is another one's.
    fn only_heard(&self, program: &str, front: Option<&Foreground>) -> Option<AgentId> {
        let front = front?;
        let (cwd, age) = (front.cwd.as_ref()?, front.age?);
        let its = |agent: &&Agent| {
            let placeless = agent.pane.is_none() && agent.process.is_none() && agent.host.is_none();
            let told = agent.session.is_some() && agent.parent.is_none();
            let since = self.now.clock.saturating_sub(agent.heard) < age;
            placeless && told && since && agent.emitter == program && agent.cwd.as_ref() == Some(cwd)
        };
        let mut all = self.agents.values().filter(its);
        all.next().filter(|_| all.next().is_none()).map(|agent| agent.id.clone())
    }

    /// An agent of which emitters tell is seen: their word counts more.
    fn helped(&mut self, id: &AgentId, status: AgentStatus, previous: Option<AgentStatus>, how: How) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        // Read late, after a restart: it says nothing about what began since.
        if how.at < agent.since {
            return;
        }
        match (agent.status, status) {
            // A dialog that asks for permission may look idle; only one that was seen and is gone has been left.
            (AgentStatus::Waiting, AgentStatus::Idle) if previous != Some(AgentStatus::Waiting) => {}
            (AgentStatus::Active | AgentStatus::Waiting, AgentStatus::Idle) if agent.turn.is_some() => {
                self.end_soon(id, Ended::Interrupted, "interrupted", &how);
            }
            (AgentStatus::Active, AgentStatus::Waiting) => {
                let tool = self.step_under_way(id);
                self.go(id, AgentStatus::Waiting, "seen", how);
                self.waits_for(id, tool);
            }
            (AgentStatus::Waiting, AgentStatus::Active) => self.go(id, AgentStatus::Active, "seen", how),
            (AgentStatus::Unknown, status) => self.go(id, status, "seen", how),
            (_, AgentStatus::Active) => {
                agent.ending.take_if(|ending| ending.evidence == Evidence::Inferred);
            }
            _ => {}
        }
    }

    /// An agent that nobody has told of appears.
    fn first_seen(
        &mut self,
        pane: &Pane,
        program: &str,
        status: Option<AgentStatus>,
        front: Option<Foreground>,
        how: How,
    ) {
        if self.agents.len() >= super::AGENTS {
            self.unused += 1;
            return;
        }
        let Some(server) = pane.server_pid else {
            // Without its server the id of a pane names nothing.
            self.unused += 1;
            return;
        };
        let whole = self.panes.whole(pane).unwrap_or(pane).clone();
        let id = self.unused_id(format!("pane:{server}:{}", pane.id));
        let place = match (&whole.session, whole.window) {
            (Some(session), Some(window)) => format!("{program} in {session}:{window}"),
            _ => format!("{program} in {}", pane.id),
        };
        let agent = Agent {
            name: place,
            kind: Some(program.to_owned()),
            pane: Some(whole),
            cwd: front.as_ref().and_then(|front| front.cwd.clone()),
            status: if status.is_some() { AgentStatus::Idle } else { AgentStatus::Unknown },
            ..Agent::new(id.clone(), program, how.at, how.evidence, self.now.clock)
        };
        self.enter(agent, how.clone());
        self.watch(&id, front);
        if let Some(status) = status {
            self.go(&id, status, "seen", how);
        }
    }

    fn hear(&mut self, id: &AgentId, how: &How) {
        let clock = self.now.clock;
        if let Some(agent) = self.agents.get_mut(id) {
            agent.heard = clock;
            agent.last_seen = agent.last_seen.max(how.at);
        }
    }

    fn watch(&mut self, id: &AgentId, front: Option<Foreground>) {
        if let (Some(Foreground { process, .. }), Some(agent)) = (front, self.agents.get_mut(id))
            && agent.process != Some(process)
        {
            agent.process = Some(process);
            self.watches.push((id.clone(), process));
            self.touched_agents.insert(id.clone());
        }
    }
}
