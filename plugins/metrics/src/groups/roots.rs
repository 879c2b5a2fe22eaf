//! The processes at the top of groups, as the sources `tmux`, `agents` and `mcp` and the daemon tell of them.

use headwater_plugin::{
    BusEvent,
    serde_json::{self, Value},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

/// The types of events that tell of them.
pub(crate) const TYPES: [&str; 6] =
    ["pane.created", "pane.state", "pane.removed", "agent_state", "agent_removed", "mcp_server_*"];

/// The most roots that are kept: whoever may publish could otherwise fill the memory.
const MOST: usize = 4_096;

/// What a root is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pane,
    Agent,
    Server,
    Daemon,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pane => "pane",
            Self::Agent => "agent",
            Self::Server => "server",
            Self::Daemon => "daemon",
        }
    }
}

/// A process at the top of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) kind: Kind,
    pub(crate) pid: u32,
    /// When it started, in ticks: with it the number means one process for good.
    pub(crate) started: Option<Started>,
    /// What its group's name may be made of.
    pub(crate) labels: Vec<(&'static str, String)>,
}

/// When a process started, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// In clock ticks since the machine did.
    At(u64),
    /// Not later than this: somebody spoke of it then. Seconds since 1970.
    Before(u64),
}

/// All of them, by kind and by what its source calls it.
#[derive(Debug, Default)]
pub(crate) struct Roots(BTreeMap<(Kind, String), Root>);

/// What is read of the data; any of it may be absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    pid: Option<u32>,
    /// Of a server that runs several times.
    pids: Vec<u32>,
    pid_started: Option<u64>,
    pane_id: Option<String>,
    session: Option<String>,
    window: Option<u64>,
    dead: bool,
    server: Option<Value>,
    id: Option<String>,
    agent_id: Option<String>,
    server_id: Option<String>,
    name: Option<String>,
    /// The same of a server, whose states have both.
    server_name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    host: Option<String>,
}

impl Roots {
    /// An event of another source, or of a client that speaks like one.
    pub(crate) fn hear(&mut self, event: &BusEvent) {
        match event.channel.as_str() {
            "tmux" => self.pane(event),
            "agent" => self.agent(event),
            "mcp_servers" => self.server(event),
            _ => {}
        }
    }

    /// A process that is told of by its number: one of the servers that somebody has wrapped, of which several may have one
    /// name, or the daemon.
    pub(crate) fn put_process(&mut self, kind: Kind, name: &str, pid: u32, started: Option<Started>) {
        let labels = vec![("name", name.to_owned()), ("id", name.to_owned())];
        self.put(kind, format!("{name}#{pid}"), Root { kind, pid, started, labels });
    }

    /// It has ended.
    pub(crate) fn take_process(&mut self, kind: Kind, name: &str, pid: u32) {
        self.0.remove(&(kind, format!("{name}#{pid}")));
    }

    /// Keeps those that are still there.
    pub(super) fn retain(&mut self, mut is_there: impl FnMut(&mut Root) -> bool) {
        self.0.retain(|_, root| is_there(root));
    }

    fn pane(&mut self, event: &BusEvent) {
        let Some(data) = read(event) else { return };
        let (Some(id), Some(server)) = (&data.pane_id, data.server.as_ref().and_then(|it| it["pid"].as_u64())) else {
            return;
        };
        let key = format!("{server}:{id}");
        match data.pid {
            _ if event.kind == "pane.removed" || data.dead => {
                self.0.remove(&(Kind::Pane, key));
            }
            Some(pid) => {
                let mut labels = vec![("pane", id.clone())];
                labels.extend(data.session.map(|session| ("session", session)));
                labels.extend(data.window.map(|window| ("window", window.to_string())));
                self.put(Kind::Pane, key, Root { kind: Kind::Pane, pid, started: spoken_of(event), labels });
            }
            None => {}
        }
    }

    fn agent(&mut self, event: &BusEvent) {
        let Some(data) = read(event) else { return };
        if event.kind == "agent_removed" {
            if let Some(id) = data.agent_id {
                self.0.remove(&(Kind::Agent, id));
            }
            return;
        }
        // One of another machine has its number there.
        let (Some(id), Some(pid), None) = (data.id, data.pid, data.host) else { return };
        let mut labels = vec![("id", id.clone())];
        labels.extend(data.name.map(|name| ("name", name)));
        labels.extend(data.kind.map(|kind| ("type", kind)));
        let started = data.pid_started.map(Started::At).or_else(|| spoken_of(event));
        self.put(Kind::Agent, id, Root { kind: Kind::Agent, pid, started, labels });
    }

    fn server(&mut self, event: &BusEvent) {
        if let Some(id) = &event.forgets {
            self.keep_of_server(id, &[]);
            return;
        }
        let (Some(data), "mcp_server_state") = (read(event), event.kind.as_str()) else { return };
        let Some(id) = event.key.clone().or(data.id).or(data.server_id) else { return };
        let pids: Vec<u32> = data.pid.into_iter().chain(data.pids).collect();
        self.keep_of_server(&id, &pids);
        let name = data.name.or(data.server_name).unwrap_or_else(|| id.clone());
        for pid in pids {
            let labels = vec![("id", id.clone()), ("name", name.clone())];
            let root = Root { kind: Kind::Server, pid, started: spoken_of(event), labels };
            self.put(Kind::Server, format!("{id}#{pid}"), root);
        }
    }

    /// Forgets the processes of a server but these.
    fn keep_of_server(&mut self, id: &str, pids: &[u32]) {
        self.0.retain(|(kind, key), root| {
            let of_it = *kind == Kind::Server && key.strip_prefix(id).is_some_and(|rest| rest.starts_with('#'));
            !of_it || pids.contains(&root.pid)
        });
    }

    fn put(&mut self, kind: Kind, key: String, root: Root) {
        let full = self.0.len() >= MOST;
        match self.0.entry((kind, key)) {
            std::collections::btree_map::Entry::Occupied(mut known) => {
                // What has been looked at once is known for good; a later word about the same process says less.
                let started = match (known.get().pid == root.pid, known.get().started) {
                    (true, Some(exact @ Started::At(_))) if !matches!(root.started, Some(Started::At(_))) => {
                        Some(exact)
                    }
                    _ => root.started,
                };
                known.insert(Root { started, ..root });
            }
            std::collections::btree_map::Entry::Vacant(place) if !full => {
                place.insert(root);
            }
            std::collections::btree_map::Entry::Vacant(_) => {}
        }
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Root> {
        self.0.values()
    }
}

fn read(event: &BusEvent) -> Option<Data> {
    serde_json::from_slice(&event.json).ok()
}

/// Its process was there when the event was told.
pub(crate) fn spoken_of(event: &BusEvent) -> Option<Started> {
    Some(Started::Before(seconds(event.time)?))
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
