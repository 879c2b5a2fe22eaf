//! All servers, and what becomes of them: it takes what was read, heard and seen, and gives the events that tell of it.

mod crew;
mod files;
mod reports;
mod server;
mod sights;

pub(crate) use crew::Crew;
pub(crate) use server::{From, Server};

use crate::{
    discovery::{LONGEST_ID, Pins},
    emit::{self, Event, Trouble},
    evidence::Level,
    health::{Cause, Change, Status},
    process::{Process, usage::Meter},
    restart,
};
use headwater_plugin::{
    Evidence,
    serde_json::{Map, Value},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// Servers that are known at most. A file with more than that is nobody's; of the rest nothing is told but that.
const MOST: usize = 500;

/// When something was seen, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// By a clock that only goes forward.
    pub(crate) clock: Duration,
    /// By the wall's.
    pub(crate) at: Timestamp,
    /// How it is known.
    pub(crate) evidence: Evidence,
}

/// What the settings say.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The time whose calls count.
    pub(crate) window: Duration,
    /// How long a server is told of that nobody names or runs.
    pub(crate) remember: Duration,
}

/// All servers.
#[derive(Debug)]
pub(crate) struct Fleet {
    servers: BTreeMap<String, Server>,
    pub(crate) crew: Crew,
    pins: Pins,
    options: Options,
    meter: Meter,
    out: Vec<Event>,
    /// Processes that are to be watched.
    watch: BTreeSet<Process>,
    /// Wrappers that have ended of late.
    ended: VecDeque<Process>,
    errors: u64,
    finds: u64,
    overfull: bool,
    /// It was looked whether all that is allowed is there.
    allowed: bool,
}

/// What goes with a change of a server.
#[derive(Debug, Default)]
struct With {
    trouble: Vec<Trouble>,
    /// Nobody need worry.
    quiet: bool,
}

impl Fleet {
    /// No server yet.
    pub(crate) fn new(crew: Crew, pins: Pins, options: Options) -> Self {
        Self {
            servers: BTreeMap::new(),
            crew,
            pins,
            options,
            meter: Meter::default(),
            out: Vec::new(),
            watch: BTreeSet::new(),
            ended: VecDeque::new(),
            errors: 0,
            finds: 0,
            overfull: false,
            allowed: false,
        }
    }

    /// The events that tell what has become since the last time.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out)
    }

    /// Processes that are to be watched from now on.
    pub(crate) fn take_watches(&mut self) -> BTreeSet<Process> {
        std::mem::take(&mut self.watch)
    }

    /// All servers.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// The server of this id, or else the only one of this name.
    pub(crate) fn server(&self, id: &str) -> Option<&Server> {
        self.servers.get(id).or_else(|| {
            let mut named = self.servers.values().filter(|server| server.name == id);
            named.next().filter(|_| named.next().is_none())
        })
    }

    /// Whether a server of this id is known.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.servers.contains_key(id)
    }

    /// Of several of this name the one of which most is known.
    fn named(&self, name: &str) -> Option<String> {
        let named = self.servers.values().filter(|server| server.name == name);
        // The first of those that are alike.
        named.rev().max_by_key(|server| server.weight()).map(|server| server.id.clone())
    }

    /// The same, or a new one that stands in no config. Nothing where there are too many, or where the name is longer than a
    /// key may be.
    fn named_or_new(&mut self, name: &str, moment: Moment) -> Option<String> {
        if let Some(id) = self.named(name) {
            return Some(id);
        }
        if name.is_empty() || name.len() > LONGEST_ID {
            return None;
        }
        let server = Server::new(name.to_owned(), name.to_owned(), From::Seen, self.options.window, moment.at);
        self.add(server).then(|| name.to_owned())
    }

    /// `false`: there are too many.
    fn add(&mut self, server: Server) -> bool {
        if self.servers.len() >= MOST {
            if !std::mem::replace(&mut self.overfull, true) {
                headwater_plugin::tracing::warn!(most = MOST, "too many MCP servers: nothing is told of the rest");
            }
            return false;
        }
        self.servers.insert(server.id.clone(), server);
        true
    }

    /// Tells a change of a server, with an alert where it is due.
    fn tell(&mut self, id: &str, change: Option<Change>, with: With, level: Level, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let With { trouble, quiet } = with;
        let mut alert = (!trouble.is_empty()).then(|| server.settled.unwrap_or(server.machine.status()));
        if let Some(change) = change {
            server.since = moment.at;
            server.dirty = true;
            self.out.push(emit::status_change(server, &change, level, moment));
            if change.to != Status::Starting {
                let before = server.settled.replace(change.to).unwrap_or(change.from);
                let asked = quiet || change.causes.iter().any(Cause::is_wanted);
                let worse = !change.causes.is_empty() && !asked;
                if before != change.to && (worse || (server.alarmed && change.to == Status::Active)) {
                    alert = Some(before);
                }
                server.alarmed = worse || (server.alarmed && change.to != Status::Active);
                if change.to == Status::Active {
                    server.told.clear();
                    server.last_error = None;
                }
            }
        }
        if let Some(from) = alert {
            self.out.push(emit::alert(server, from, &trouble, level, moment));
        }
    }

    /// Tells a failure of a server: once, until it was well again.
    fn fail(&mut self, id: &str, kind: &'static str, message: &str, more: Map<String, Value>, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.last_error = Some(message.to_owned());
        server.dirty = true;
        if server.told.insert(kind) {
            self.errors += 1;
            self.out.push(emit::error(server, self.errors, kind, message, more, moment));
        }
    }

    /// Looks what servers take, lets go of what is too old, and brings the snapshots up to date.
    pub(crate) fn tick(&mut self, moment: Moment) {
        for server in self.servers.values_mut() {
            server.machine.forget(moment.clock);
            let processes = server.processes();
            let usage = if processes.is_empty() { None } else { self.meter.look(&processes).map(|(usage, _)| usage) };
            server.dirty |= usage != server.usage;
            server.usage = usage;
            let runs_well = server.machine.status().is_up()
                && server.began.is_some_and(|began| moment.clock.saturating_sub(began) >= restart::LONGEST);
            if server.flapping && runs_well {
                server.flapping = false;
                server.dirty = true;
            }
            if server.is_wanted() {
                server.idle = None;
            } else {
                server.idle.get_or_insert(moment.clock);
            }
        }
        self.meter.tidy();
        let old = |server: &Server| {
            server.idle.is_some_and(|since| moment.clock.saturating_sub(since) >= self.options.remember)
        };
        let gone: Vec<String> = self.servers.values().filter(|it| old(it)).map(|it| it.id.clone()).collect();
        for id in gone {
            self.forget(&id, moment);
        }
        self.snapshots(moment);
    }

    /// Tells the state of servers whose snapshot is out of date.
    pub(crate) fn snapshots(&mut self, moment: Moment) {
        for server in self.servers.values_mut().filter(|server| server.dirty) {
            server.dirty = false;
            self.out.push(emit::snapshot(server, moment));
        }
    }

    fn forget(&mut self, id: &str, moment: Moment) {
        if self.servers.remove(id).is_some() {
            self.overfull = false;
            self.out.push(emit::forget(id, moment));
        }
    }
}
