//! What emitters say. Tolerant: whoever is not known yet is created, missing steps are synthesised and marked inferred,
//! and what contradicts an end is passed over.

use super::{Agent, AgentId, Happened, Now, Pane, Process, Registry, id::made, moves::How};
use crate::{
    join,
    machine::AgentStatus,
    performance::Performance,
    signal::{AgentRef, Place, Signal, What},
};
use headwater_plugin::Evidence;
use jiff::Timestamp;

/// The longest text of an emitter that is kept, in bytes. Texts come from outside and stand in snapshots.
pub(super) const TEXT: usize = 1_024;

/// Programs of which one process runs several sessions. In any other a new session takes the place of the old one.
const MANY_SESSIONS: [&str; 2] = ["opencode", "a2a"];

impl Registry {
    /// An emitter has said something, at `at`, from `place`.
    pub(crate) fn signal(&mut self, signal: &Signal, place: &Place, at: Timestamp, now: Now) {
        self.begin(now);
        let at = signal.at.and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(at);
        // A clock that goes ahead elsewhere must not make things of the future.
        let how = How::new(at.min(now.at), Evidence::Observed);
        if let What::Report { kind, data } = &signal.what {
            if self.report(kind, data.clone(), how).is_err() {
                self.unused += 1;
            }
            return;
        }
        let Some(id) = self.whom(signal, place, &how) else { return };
        if matches!(signal.what, What::Started { .. } | What::Prompt { .. })
            && let Some(agent) = self.agents.get_mut(&id)
        {
            agent.begins = true;
        }
        let task = signal.task.as_deref();
        match &signal.what {
            // A child works from its beginning to its end.
            What::Started { .. } if signal.agent.parent.is_some() => {
                self.go(&id, AgentStatus::Active, "started", how);
            }
            // One that was only seen, and nothing told what it does.
            What::Started { .. } if self.agents.get(&id).is_some_and(|agent| agent.status == AgentStatus::Unknown) => {
                self.go(&id, AgentStatus::Idle, "started", how);
            }
            // Most hooks say no more than that the agent is there; only who reports heartbeats promises them.
            What::Started { .. } | What::Heartbeat | What::Report { .. } => {}
            What::Prompt { text, bytes } => self.prompt(&id, task, text.as_deref(), *bytes, how),
            What::Step(step) => self.step(&id, task, step, how),
            What::Working => self.working(&id, how),
            What::Waiting(wait) => self.waiting(&id, wait, how),
            What::Turn(ended) => self.turn_ended(&id, task, ended, how),
            What::Idle => self.idle(&id, how),
            What::Gone { reason } => {
                let silent = if signal.agent.parent.is_some() { "ended" } else { "session_end" };
                self.leave(&id, &reason.as_deref().map_or_else(|| silent.to_owned(), clip), how);
            }
            What::Task(step) => match task {
                Some(task) => self.own_task(&id, task, step, how),
                None => self.unused += 1,
            },
        }
    }

    /// An input begins.
    pub(super) fn begin(&mut self, now: Now) {
        self.now = now;
        self.today.turn(now.at);
    }

    /// The agent that a signal concerns; created where it is not known. `None`: there is none, and none is to be.
    fn whom(&mut self, signal: &Signal, place: &Place, how: &How) -> Option<AgentId> {
        let who = &signal.agent;
        if who.program.is_empty() {
            self.unused += 1;
            return None;
        }
        let here = Here::of(who, place);
        if let Some(id) = self.find(who, &here) {
            self.refresh_from(&id, who, &here, how.at);
            return Some(id);
        }
        let begins = matches!(signal.what, What::Started { .. } | What::Prompt { .. });
        if let What::Turn(_) = signal.what
            && let Some(agent) = self.beside(who, &here)
        {
            let id = agent.id.clone();
            // Beside its work a program asks its model small things, such as a title, in sessions of their own; Codex's
            // `notify` tells of the ends of those too. Where the turns themselves are told, that is no turn.
            if agent.begins {
                return None;
            }
            // One that is not noted is found here again.
            if let Some(session) = who.session.as_ref().filter(|_| self.sessions.len() < super::SESSIONS) {
                self.sessions.insert((who.program.clone(), session.clone()), id.clone());
            }
            self.refresh_from(&id, who, &here, how.at);
            return Some(id);
        }
        let same = |dead: &super::Dead| {
            dead.agent.emitter == who.program
                && match &who.session {
                    Some(session) => dead.agent.session.as_ref() == Some(session),
                    None => dead.agent.process.is_some() && dead.agent.process == here.process,
                }
        };
        // What comes late from an agent that has gone does not bring it back, unless it was only thought to have gone. Logs
        // come in batches, also the word of a beginning that is long past.
        if self.dead.iter().any(|dead| same(dead) && !dead.doubtful && (!begins || how.at <= dead.at)) {
            return None;
        }
        if matches!(signal.what, What::Gone { .. }) {
            return None;
        }
        self.dead.retain(|dead| !same(dead));
        let told = matches!(signal.what, What::Started { .. });
        let evidence = if told { Evidence::Observed } else { Evidence::Inferred };
        self.appear(who, &here, &How::new(how.at, evidence))
    }

    /// The agent that is meant: by its session; without one, or where only its place was known so far, by its place.
    fn find(&self, who: &AgentRef, here: &Here) -> Option<AgentId> {
        if let Some(session) = &who.session
            && let Some(id) = self.sessions.get(&(who.program.clone(), session.clone()))
        {
            return Some(id.clone());
        }
        if who.parent.is_some() {
            return None;
        }
        let here_too = |agent: &&Agent| {
            let process = agent.process.is_some() && agent.process == here.process;
            let pane = agent.pane.as_ref().zip(here.pane.as_ref()).is_some_and(|(one, other)| one.is(other));
            let above = agent.session.is_none()
                && (agent.pane.as_ref()).is_some_and(|pane| self.panes.above(&here.above).is_some_and(|p| p.is(pane)));
            agent.parent.is_none() && agent.emitter == who.program && (process || pane || above)
        };
        let mut all = self.agents.values().filter(here_too);
        match who.session {
            Some(_) => all.find(|agent| agent.session.is_none()).or_else(|| self.only_seen(who, here)),
            None => all.max_by_key(|agent| agent.last_seen),
        }
        .map(|agent| agent.id.clone())
    }

    /// A session of a process that several terminals share does not know its place. Where only one of the agents that are
    /// but seen works in its directory, it is that one.
    fn only_seen(&self, who: &AgentRef, here: &Here) -> Option<&Agent> {
        if here.process.is_some() || here.pane.is_some() || here.host.is_some() {
            return None;
        }
        let cwd = who.cwd.as_ref().or(here.cwd.as_ref())?;
        let its = |agent: &&Agent| {
            let seen = agent.session.is_none() && agent.pane.is_some() && agent.parent.is_none();
            seen && agent.emitter == who.program && agent.cwd.as_ref() == Some(cwd)
        };
        let mut all = self.agents.values().filter(its);
        all.next().filter(|_| all.next().is_none())
    }

    /// The agent beside whose session another one is, unknown so far: it has the same process or, where that is not known,
    /// works in the same directory and has told of beginnings.
    fn beside(&self, who: &AgentRef, here: &Here) -> Option<&Agent> {
        let same_process = self.of_process(who, here).max_by_key(|agent| agent.last_seen).map(|agent| &agent.id);
        if let Some(id) = same_process {
            return self.agents.get(id);
        }
        if who.parent.is_some() || here.process.is_some() || MANY_SESSIONS.contains(&who.program.as_str()) {
            return None;
        }
        let cwd = who.cwd.as_ref().or(here.cwd.as_ref())?;
        self.agents.values().find(|agent| {
            let same = agent.emitter == who.program && agent.host == here.host && agent.cwd.as_ref() == Some(cwd);
            same && agent.begins && agent.parent.is_none()
        })
    }

    /// Notes what a signal says of its agent beside its message, and that it is there.
    fn refresh_from(&mut self, id: &AgentId, who: &AgentRef, here: &Here, at: Timestamp) {
        let clock = self.now.clock;
        let whole =
            here.pane.as_ref().and_then(|pane| self.panes.whole(pane)).or_else(|| self.panes.above(&here.above));
        let pane = whole.cloned().or_else(|| here.pane.clone());
        let Some(agent) = self.agents.get_mut(id) else { return };
        let before = agent.clone();
        agent.last_seen = agent.last_seen.max(at);
        agent.heard = clock;
        let set = |field: &mut Option<String>, value: &Option<String>| {
            if let Some(value) = value {
                *field = Some(clip(value));
            }
        };
        set(&mut agent.cwd, &who.cwd.clone().or_else(|| here.cwd.clone()));
        set(&mut agent.model, &who.model);
        set(&mut agent.version, &who.version);
        set(&mut agent.host, &here.host);
        if let Some(name) = &who.name {
            agent.name = clip(name);
        }
        if let Some(kind) = &who.kind {
            agent.kind = Some(clip(kind));
        }
        if agent.session.is_none()
            && let Some(session) = &who.session
        {
            agent.session = Some(session.clone());
            self.sessions.insert((who.program.clone(), session.clone()), id.clone());
        }
        if agent.parent.is_none() {
            agent.pane = pane.or_else(|| agent.pane.take());
            if !here.above.is_empty() {
                agent.ancestors.clone_from(&here.above);
            }
            // What an agent starts may be called like it and end before it.
            let below = agent.process.is_some_and(|old| here.above.contains(&old.pid));
            if let Some(process) = here.process
                && !below
            {
                agent.process = Some(process);
                self.watches.push((id.clone(), process));
            }
        }
        // Being heard of alone is no news.
        let news = Agent {
            last_seen: before.last_seen,
            heard: before.heard,
            ancestors: before.ancestors.clone(),
            ..agent.clone()
        };
        if news != before {
            self.touched_agents.insert(id.clone());
        }
    }

    /// An agent that was not known appears, and so does its parent.
    fn appear(&mut self, who: &AgentRef, here: &Here, how: &How) -> Option<AgentId> {
        let parent = match &who.parent {
            Some(session) => {
                let parent = AgentRef {
                    program: who.program.clone(),
                    session: Some(session.clone()),
                    cwd: who.cwd.clone(),
                    ..AgentRef::default()
                };
                match self.find(&parent, here) {
                    Some(id) => Some(id),
                    None => Some(self.appear(&parent, here, &How::new(how.at, Evidence::Inferred))?),
                }
            }
            None => None,
        };
        if self.agents.len() >= super::AGENTS {
            self.unused += 1;
            return None;
        }
        self.replace_session(who, here, how);
        let id = self.unused_id(match (&who.session, here.process, &here.pane) {
            (Some(session), ..) => format!("{}:{}", who.program, clip(session)),
            (None, Some(process), _) => format!("{}:{}.{}", who.program, process.pid, process.started),
            (None, None, Some(pane)) => format!("{}:{}", who.program, pane.id),
            (None, None, None) => format!("{}:{}", who.program, here.host.as_deref().unwrap_or("unknown")),
        });
        let agent = Agent {
            name: label(who, here),
            kind: who.kind.as_deref().map(clip).or_else(|| Some(who.program.clone())),
            session: who.session.clone(),
            parent,
            ..Agent::new(id.clone(), &who.program, how.at, how.evidence, self.now.clock)
        };
        self.enter(agent, how.clone());
        self.refresh_from(&id, who, here, how.at);
        Some(id)
    }

    /// This id, or one made from it where another agent has it: one that was seen in a pane keeps its id in the next pane.
    pub(super) fn unused_id(&self, id: String) -> AgentId {
        let id = made(id);
        let numbered = (2..).map(|number| format!("{id}#{number}"));
        let free = std::iter::once(id.clone()).chain(numbered).find(|id| !self.agents.contains_key(id.as_str()));
        free.unwrap_or(id).into()
    }

    /// Puts an agent into the registry and tells of it.
    pub(super) fn enter(&mut self, agent: Agent, how: How) {
        let id = agent.id.clone();
        if let Some(session) = &agent.session {
            self.sessions.insert((agent.emitter.clone(), session.clone()), id.clone());
        }
        self.dead.retain(|dead| dead.agent.id != id);
        let what = Happened::AgentCreated(Box::new(agent.clone()));
        self.agents.insert(id.clone(), agent);
        self.out.push(super::Change { at: how.at, evidence: how.evidence, what, more: how.more });
        self.touched_agents.insert(id);
    }

    /// A program that runs one session at a time has begun another one: the old one has gone without a word. One that is
    /// at work has not.
    fn replace_session(&mut self, who: &AgentRef, here: &Here, how: &How) {
        let rests =
            |agent: &&Agent| matches!(agent.status, AgentStatus::Idle | AgentStatus::Failed) || agent.ending.is_some();
        let old: Vec<AgentId> = self.of_process(who, here).filter(rests).map(|agent| agent.id.clone()).collect();
        for id in old {
            self.leave(&id, "session_replaced", How::new(how.at, Evidence::Inferred));
        }
    }

    /// The agents of the process that a signal came from, in a program that runs one session at a time.
    fn of_process(&self, who: &AgentRef, here: &Here) -> impl Iterator<Item = &Agent> {
        let one = who.parent.is_none() && here.process.is_some() && !MANY_SESSIONS.contains(&who.program.as_str());
        let its = move |agent: &&Agent| {
            one && agent.parent.is_none() && agent.emitter == who.program && agent.process == here.process
        };
        self.agents.values().filter(its)
    }
}

impl Agent {
    /// An agent of which nothing but this is known; idle.
    pub(super) fn new(
        id: AgentId,
        emitter: &str,
        at: Timestamp,
        evidence: Evidence,
        heard: std::time::Duration,
    ) -> Self {
        Self {
            name: id.to_string(),
            id,
            kind: None,
            emitter: emitter.to_owned(),
            session: None,
            parent: None,
            capabilities: Vec::new(),
            status: AgentStatus::Idle,
            since: at,
            reason: None,
            waits_for: None,
            evidence,
            created_at: at,
            last_seen: at,
            heard,
            process: None,
            ancestors: Vec::new(),
            pane: None,
            host: None,
            cwd: None,
            model: None,
            version: None,
            turn: None,
            takes_turns: false,
            begins: false,
            beats: false,
            ending: None,
            performance: Performance::default(),
        }
    }
}

/// Where a signal came from, as far as it concerns the agent.
struct Here {
    process: Option<Process>,
    above: Vec<u32>,
    pane: Option<Pane>,
    host: Option<String>,
    cwd: Option<String>,
}

impl Here {
    fn of(who: &AgentRef, place: &Place) -> Self {
        // Processes and panes of another machine are not ours.
        let ours = place.host.is_none();
        Self {
            process: join::agent_process(&place.processes, &who.program).filter(|_| ours),
            above: place.processes.iter().filter(|_| ours).map(|process| process.pid).collect(),
            pane: place.tmux.as_ref().filter(|_| ours).map(join::named_pane),
            host: place.host.clone(),
            cwd: place.cwd.clone(),
        }
    }
}

/// What an agent is called that nobody gave a name: its program and the directory that it works in.
fn label(who: &AgentRef, here: &Here) -> String {
    let cwd = who.cwd.as_deref().or(here.cwd.as_deref());
    let directory = cwd.and_then(|cwd| cwd.trim_end_matches('/').rsplit('/').next()).filter(|name| !name.is_empty());
    match (&who.name, &who.kind, directory) {
        (Some(name), ..) => clip(name),
        (None, Some(kind), _) => clip(kind),
        (None, None, Some(directory)) => clip(&format!("{} in {directory}", who.program)),
        (None, None, None) => who.program.clone(),
    }
}

/// A text, not longer than is kept.
pub(super) fn clip(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT)].to_owned()
}
