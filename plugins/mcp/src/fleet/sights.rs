//! Servers that others run: their processes, their wrappers, their calls.

use super::{Fleet, From, Moment, Server, With};
use crate::{
    discovery::Launch,
    emit::Trouble,
    evidence::{
        Call, Level,
        hooks::{self, Observed},
        traffic::{Exit, Passed, Session},
    },
    health::{Cause, Kind, Sample},
    process::{
        Process, proc,
        sweep::{Found, Wanted},
    },
};
use headwater_plugin::serde_json::{Map, Value, json};
use std::{collections::HashMap, time::Duration};

/// What the last word of a wrapper gets to arrive, once its process has ended: it says how the server ended, and comes
/// through the daemon. A wrapper that could speak does not end before the daemon has its word.
const LAST_WORD: Duration = Duration::from_millis(75);

/// Wrappers that have ended and are remembered: what they have told may still be on its way.
const ENDED: usize = 64;

impl Fleet {
    /// What is looked for among running processes.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let named = self.servers.values().filter(|server| matches!(server.from, From::File(_)));
        // What runs has values where the file has variables.
        let launches = named.filter_map(|server| match server.running.as_ref().or(server.launch.as_ref()) {
            Some(Launch::Stdio(launch)) => Some(Wanted { server: server.id.clone(), launch: launch.clone() }),
            _ => None,
        });
        launches.collect()
    }

    /// Processes that are ours: nobody else's servers are among them.
    pub(crate) fn ours(&self) -> Vec<Process> {
        self.servers.values().filter_map(|server| server.own).collect()
    }

    /// Takes what was found among running processes.
    pub(crate) fn swept(&mut self, mut found: HashMap<String, Vec<Found>>, moment: Moment) {
        let ids: Vec<String> = self.servers.keys().cloned().collect();
        for id in ids {
            let now = found.remove(&id).unwrap_or_default();
            let Some(server) = self.servers.get_mut(&id) else { continue };
            if now.is_empty() && server.found.is_empty() {
                continue;
            }
            let was_there = !server.found.is_empty();
            server.dirty |= now != server.found;
            let new_orphans: Vec<u32> = now
                .iter()
                .filter(|found| found.orphan && server.orphans.insert(found.process))
                .map(|found| found.process.pid)
                .collect();
            server.orphans.retain(|orphan| now.iter().any(|found| found.process == *orphan));
            self.watch.extend(now.iter().map(|found| found.process));
            server.found = now;
            if server.found.is_empty() {
                if was_there {
                    self.down(&id, "its last process ended", true, Level::Process, moment);
                }
                continue;
            }
            server.last_seen = Some(moment.at);
            self.up(&id, Level::Process, moment);
            if !new_orphans.is_empty() {
                let trouble = vec![Trouble::Orphans(new_orphans)];
                self.tell(&id, None, With { trouble, quiet: false }, Level::Process, moment);
            }
        }
    }

    /// A process has ended that was watched.
    pub(crate) fn exited(&mut self, process: Process, moment: Moment) {
        let ids: Vec<String> = self.servers.keys().cloned().collect();
        for id in ids {
            let Some(server) = self.servers.get_mut(&id) else { continue };
            let before = server.found.len();
            server.found.retain(|found| found.process != process);
            server.orphans.remove(&process);
            if server.sessions.remove(&process).is_some() {
                server.dirty = true;
                server.closing.insert(process, moment.clock);
                self.remember(process);
            } else if server.found.len() < before {
                server.dirty = true;
                // How it ended only its parent knows.
                self.down(&id, "its last process ended", true, Level::Process, moment);
            }
        }
    }

    /// Remembers that a wrapper has ended.
    fn remember(&mut self, wrapper: Process) {
        if self.ended.len() >= ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(wrapper);
    }

    /// When the last word of some wrapper is not waited for any longer.
    pub(crate) fn closes(&self) -> Option<Duration> {
        let closing = self.servers.values().flat_map(|server| server.closing.values());
        closing.min().map(|since| *since + LAST_WORD)
    }

    /// Gives up waiting for the last words of wrappers that have ended.
    pub(crate) fn close(&mut self, moment: Moment) {
        let late = |since: &Duration| moment.clock.saturating_sub(*since) >= LAST_WORD;
        let closing = self.servers.values().filter(|server| server.closing.values().any(late));
        let ids: Vec<String> = closing.map(|server| server.id.clone()).collect();
        for id in ids {
            if let Some(server) = self.servers.get_mut(&id) {
                server.closing.retain(|_, since| !late(since));
            }
            self.down(&id, "its wrapper ended", true, Level::Wrapped, moment);
        }
    }

    /// Whether a process is still one of somebody's.
    pub(crate) fn knows(&self, process: &Process) -> bool {
        self.servers.values().any(|server| {
            server.sessions.contains_key(process) || server.found.iter().any(|found| found.process == *process)
        })
    }

    /// It runs, where that was not known. What we run ourselves we know better.
    fn up(&mut self, id: &str, level: Level, moment: Moment) {
        let Some(server) = self.servers.get_mut(id).filter(|server| server.runner.is_none()) else { return };
        let change = server.machine.alive();
        self.tell(id, change, With::default(), level, moment);
    }

    /// One of its processes has ended; when it was the last, the server has.
    fn down(&mut self, id: &str, reason: &str, quiet: bool, level: Level, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let runs = !server.processes().is_empty() || server.is_wrapped() || !server.closing.is_empty();
        if server.runner.is_some() || runs {
            return;
        }
        server.usage = None;
        let change = server.machine.stop(Cause::Ended { reason: reason.to_owned() });
        self.tell(id, change, With { quiet, ..With::default() }, level, moment);
        self.snapshots(moment);
    }

    /// A wrapper tells of its server.
    pub(crate) fn session(&mut self, session: &Session, moment: Moment) {
        let Some(key) = session.key() else { return };
        let wrapped = self.wrapped_by(key);
        if session.ended() {
            // Of one of which nothing is known there is nothing to tell.
            if let Some(id) = wrapped.or_else(|| self.named(&session.server)) {
                self.session_ended(&id, key, session, moment);
            }
            self.remember(key);
            return;
        }
        // One of another machine or container has ids that mean others here, and most of those in the past run no more.
        if self.ended.contains(&key) || !proc::runs(key) {
            return;
        }
        let Some(id) = wrapped.or_else(|| self.named_or_new(&session.server, moment)) else { return };
        let Some(server) = self.servers.get_mut(&id) else { return };
        server.sessions.insert(key, session.child().filter(|child| proc::runs(*child)));
        server.last_seen = Some(moment.at);
        server.dirty = true;
        let facts = &mut server.facts;
        facts.era = session.era.clone().or(facts.era.take());
        facts.tools = session.tools.or(facts.tools);
        if let Some(info) = &session.server_info {
            facts.info = Some((info.name.clone(), info.version.clone()));
        }
        self.watch.insert(key);
        self.up(&id, Level::Wrapped, moment);
    }

    fn session_ended(&mut self, id: &str, key: Process, session: &Session, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let child = session.child();
        let closing = server.closing.remove(&key).is_some();
        let known = server.sessions.remove(&key).is_some() || closing;
        // A config may name either: both have ended, and how is known here.
        server.found.retain(|found| Some(found.process) != child && found.process != key);
        server.dirty = true;
        let how = session.exit.map_or_else(|| "it ended".to_owned(), Exit::told);
        let quiet = session.exit.is_none_or(Exit::is_quiet);
        if known || server.machine.status().is_up() {
            self.down(id, &how, quiet, Level::Wrapped, moment);
        }
        if !quiet {
            let mut more = Map::from_iter([("last_error".to_owned(), json!(how))]);
            if let Some(child) = child {
                more.insert("pid".to_owned(), Value::from(child.pid));
            }
            self.fail(id, "ended", &how, more, moment);
        }
    }

    /// The server that runs under this wrapper, or has until now.
    fn wrapped_by(&self, wrapper: Process) -> Option<String> {
        let of = |server: &&Server| server.sessions.contains_key(&wrapper) || server.closing.contains_key(&wrapper);
        self.servers.values().find(of).map(|server| server.id.clone())
    }

    /// Calls that passed through a wrapper. They are a sign of life while the wrapper lives, and not after that: what it has
    /// to say last may come in any order.
    pub(crate) fn calls(&mut self, told: &Passed, moment: Moment) {
        let Some(wrapper) = told.wrapper else { return };
        if self.wrapped_by(wrapper).is_none() && (self.ended.contains(&wrapper) || !proc::runs(wrapper)) {
            return;
        }
        let Some(id) = self.wrapped_by(wrapper).or_else(|| self.named_or_new(&told.server, moment)) else { return };
        if let Some(server) = self.servers.get_mut(&id).filter(|server| !server.closing.contains_key(&wrapper)) {
            // Nobody has told of the session, or nobody remembers it.
            server.sessions.entry(wrapper).or_insert(None);
            self.watch.insert(wrapper);
        }
        self.called(&id, &told.calls, Level::Wrapped, moment);
    }

    /// A call that an agent's hooks told of.
    pub(crate) fn observed(&mut self, observed: &Observed, moment: Moment) {
        let names = self.servers.values().map(|server| server.name.as_str());
        let name = hooks::server_of(&observed.called, names).unwrap_or(hooks::own_name(&observed.called)).to_owned();
        let Some(id) = self.named_or_new(&name, moment) else { return };
        let Some(server) = self.servers.get_mut(&id) else { return };
        server.hooked = true;
        // The wrapper has seen the same call, and has timed it better.
        if !server.is_wrapped() {
            self.called(&id, &[observed.call], Level::Observed, moment);
        }
    }

    fn called(&mut self, id: &str, calls: &[Call], level: Level, moment: Moment) {
        let Some(server) = self.servers.get_mut(id).filter(|_| !calls.is_empty()) else { return };
        server.last_seen = Some(moment.at);
        server.dirty = true;
        server.idle = None;
        self.up(id, level, moment);
        for Call { outcome, latency } in calls {
            let sample = Sample { at: moment.clock, kind: Kind::Call, outcome: *outcome, latency: *latency };
            let Some(server) = self.servers.get_mut(id) else { return };
            let change = server.machine.sample(&sample);
            self.tell(id, change, With::default(), level, moment);
        }
    }
}
