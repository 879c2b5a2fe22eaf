//! One server: who it is, and all that is known of it.

use super::crew::Hand;
use crate::{
    discovery::{Digest, Launch, Origin, Permit},
    evidence::Level,
    health::{Machine, Status},
    process::{Process, sweep::Found, usage::Usage},
};
use headwater_plugin::serde_json::Value;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Where a server is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// In our own settings.
    Settings,
    /// In a client's file.
    File(Origin),
    /// Nowhere: somebody runs or calls it.
    Seen,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// `initialize` or `discover`.
    pub(crate) era: Option<String>,
    /// The revision that was agreed upon.
    pub(crate) version: Option<String>,
    /// Its own name, and its version.
    pub(crate) info: Option<(String, Option<String>)>,
    /// How many tools it has.
    pub(crate) tools: Option<u32>,
    /// From its start to its first answer.
    pub(crate) startup: Option<Duration>,
    /// It wants to know who asks.
    pub(crate) locked: bool,
}

/// A server.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Server {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) from: From,
    /// As it stands where it is named.
    pub(crate) launch: Option<Launch>,
    /// The same with its variables replaced, where that can be done: what its process looks like.
    pub(super) running: Option<Launch>,
    pub(crate) hash: Option<Digest>,
    /// Whether it may be started, where that is a question.
    pub(crate) permit: Option<Permit>,
    pub(crate) disabled: bool,
    /// Why it cannot be started, though it may be.
    pub(crate) hindered: Option<String>,
    pub(crate) machine: Machine,
    pub(crate) since: Timestamp,
    /// What it was when it was told last, among what lasts; `starting` does not.
    pub(super) settled: Option<Status>,
    /// An alert was told that nothing took back.
    pub(super) alarmed: bool,
    /// Kinds of errors that were told since it was well.
    pub(super) told: BTreeSet<&'static str>,
    /// Nobody has asked for it to be asked: whether somebody is there is no news until somebody was.
    pub(super) tried: bool,
    /// Somebody is, as far as that is known.
    pub(super) answered: bool,
    /// Who asks it, where that is us.
    pub(crate) runner: Option<Hand>,
    pub(crate) facts: Facts,
    /// Its process, where it is ours.
    pub(super) own: Option<Process>,
    /// Wrappers under which it runs, and what runs in them.
    pub(super) sessions: BTreeMap<Process, Option<Process>>,
    /// Wrappers that have ended, and when: their last word may still be on its way.
    pub(super) closing: BTreeMap<Process, Duration>,
    /// Processes that somebody else runs.
    pub(super) found: Vec<Found>,
    /// Those of them that are known to be orphans.
    pub(super) orphans: BTreeSet<Process>,
    /// Agents' hooks told of it.
    pub(super) hooked: bool,
    pub(crate) usage: Option<Usage>,
    pub(crate) restarts: u64,
    pub(crate) flapping: bool,
    /// Bytes and lines of its standard error.
    pub(crate) written: (u64, u64),
    pub(crate) noise: u64,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
    /// When our process was started last.
    pub(super) began: Option<Duration>,
    /// Since when nobody names or runs it.
    pub(super) idle: Option<Duration>,
    /// Its snapshot is out of date.
    pub(super) dirty: bool,
}

impl Server {
    /// A server of which nothing was seen.
    pub(super) fn new(id: String, name: String, from: From, window: Duration, since: Timestamp) -> Self {
        Self {
            id,
            name,
            from,
            launch: None,
            running: None,
            hash: None,
            permit: None,
            disabled: false,
            hindered: None,
            machine: Machine::new(window),
            since,
            settled: None,
            alarmed: false,
            told: BTreeSet::new(),
            tried: false,
            answered: false,
            runner: None,
            facts: Facts::default(),
            own: None,
            sessions: BTreeMap::new(),
            closing: BTreeMap::new(),
            found: Vec::new(),
            orphans: BTreeSet::new(),
            hooked: false,
            usage: None,
            restarts: 0,
            flapping: false,
            written: (0, 0),
            noise: 0,
            last_seen: None,
            last_error: None,
            began: None,
            idle: None,
            dirty: true,
        }
    }

    /// `stdio`, `http` or `sse`, where it is known.
    pub(crate) fn transport(&self) -> Option<&'static str> {
        match &self.launch {
            Some(launch) => Some(launch.transport()),
            None if self.sessions.is_empty() => None,
            None => Some("stdio"),
        }
    }

    /// The line of `[source.mcp.spawn]` that allows a server of a file as it stands; nothing where that is so.
    pub(crate) fn spawn_line(&self) -> Option<String> {
        let (From::File(_), Some(hash)) = (&self.from, self.hash) else { return None };
        let id = Value::from(self.id.as_str());
        (self.permit != Some(Permit::Pinned)).then(|| format!("{id} = \"{hash}\""))
    }

    /// Whether we run it. One that is only asked at its URL is somebody else's.
    pub(crate) fn owns_process(&self) -> bool {
        self.runner.is_some() && matches!(self.launch, Some(Launch::Stdio(_)))
    }

    /// Whether it is wrapped now: then nobody else need tell of its calls.
    pub(super) fn is_wrapped(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Its processes: ours, those under wrappers, those that were found. Each stands for all below it.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let wrapped = self.sessions.values().flatten().copied();
        let found = self.found.iter().map(|found| found.process);
        let mut all: Vec<Process> = Vec::new();
        for process in self.own.into_iter().chain(wrapped).chain(found) {
            if !all.contains(&process) {
                all.push(process);
            }
        }
        all
    }

    /// The first of them.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.processes().first().map(|process| process.pid)
    }

    /// How it is known, the best way first.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let all = [
            (Level::Probe, self.runner.is_some() && (!self.tried || self.machine.status() != Status::Discovered)),
            (Level::Wrapped, self.is_wrapped()),
            (Level::Process, !self.found.is_empty()),
            (Level::Observed, self.hooked),
        ];
        all.into_iter().filter(|(_, known)| *known).map(|(level, _)| level).collect()
    }

    /// Whether somebody names it or runs it.
    pub(super) fn is_wanted(&self) -> bool {
        let runs = self.is_wrapped() || !self.closing.is_empty() || !self.found.is_empty();
        self.from != From::Seen || self.runner.is_some() || runs
    }

    /// How much is known of it: of several of one name, calls belong to the one of which most is.
    pub(super) fn weight(&self) -> (bool, bool, bool, bool) {
        (self.is_wrapped(), !self.found.is_empty(), self.runner.is_some(), self.from != From::Seen)
    }
}
