//! What `headwater mcp-wrap` tells: that a server was started or has ended, and what became of the calls that it saw.

use super::Call;
use crate::{health::Outcome, process::Process};
use headwater_plugin::{
    BusEvent,
    serde::{self, Deserialize},
};
use std::time::Duration;

/// Methods that say nothing of how fast a server works: a greeting waits for its start, and a subscription for ever.
const APART: [&str; 4] = ["initialize", "server/discover", "subscriptions/listen", "ping"];

/// The types of its events.
pub(crate) const SESSION: &str = "mcp.session";
pub(crate) const CALLS: &str = "mcp.calls";

/// A server that runs under a wrapper.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct Session {
    /// Its name.
    pub(crate) server: String,
    wrapper: Option<Id>,
    child: Option<Id>,
    state: String,
    /// How it ended.
    pub(crate) exit: Option<Exit>,
    /// `initialize` or `discover`, as far as it is known.
    pub(crate) era: Option<String>,
    /// What it says of itself.
    pub(crate) server_info: Option<ServerInfo>,
    /// Its tools.
    pub(crate) tools: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(crate = "serde")]
struct Id {
    pid: u32,
    started: Option<u64>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(crate = "serde", rename_all = "snake_case")]
pub(crate) enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(crate = "serde")]
pub(crate) struct ServerInfo {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: Option<String>,
}

#[derive(Deserialize)]
#[serde(crate = "serde")]
struct Told {
    server: String,
    wrapper: Option<Id>,
    #[serde(default)]
    calls: Vec<Line>,
}

/// What became of calls that passed through a wrapper.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Passed {
    /// The server's name.
    pub(crate) server: String,
    /// Which wrapper it was; nothing where that is not told.
    pub(crate) wrapper: Option<Process>,
    /// The calls.
    pub(crate) calls: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(crate = "serde")]
struct Line {
    method: String,
    ms: f64,
    outcome: String,
}

impl Session {
    /// Whether it has ended.
    pub(crate) fn ended(&self) -> bool {
        self.state == "ended"
    }

    /// The server's process.
    pub(crate) fn child(&self) -> Option<Process> {
        self.child.and_then(Id::process)
    }

    /// What the session is known by: its wrapper, whose process lives as long as it does.
    pub(crate) fn key(&self) -> Option<Process> {
        self.wrapper.and_then(Id::process).or_else(|| self.child())
    }
}

impl Id {
    fn process(self) -> Option<Process> {
        self.started.map(|started| Process { pid: self.pid, started })
    }
}

impl Exit {
    /// Whether nobody need worry.
    pub(crate) fn is_quiet(self) -> bool {
        // Clients end their servers by closing their input, and some by a signal.
        matches!(self, Self::Code(0 | 130 | 143) | Self::Signal(1 | 2 | 15))
    }

    /// For people.
    pub(crate) fn told(self) -> String {
        match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(signal) => format!("signal {signal}"),
        }
    }
}

/// What an event tells of a server; nothing where it is no such event.
pub(crate) fn session(event: &BusEvent) -> Option<Session> {
    if event.kind == SESSION { event.data().ok() } else { None }
}

/// The calls that an event tells; nothing where it is no such event. A call that nobody answered counts when it was waited
/// for `patience`.
pub(crate) fn calls(event: &BusEvent, patience: Duration) -> Option<Passed> {
    if event.kind != CALLS {
        return None;
    }
    let told: Told = event.data().ok()?;
    let counts = |line: &&Line| !APART.contains(&line.method.as_str());
    let calls = told.calls.iter().filter(counts).filter_map(|line| call(line, patience)).collect();
    Some(Passed { server: told.server, wrapper: told.wrapper.and_then(Id::process), calls })
}

fn call(line: &Line, patience: Duration) -> Option<Call> {
    let latency = Duration::try_from_secs_f64(line.ms / 1e3).ok()?;
    match line.outcome.as_str() {
        "ok" => Some(Call { outcome: Outcome::Ok, latency: Some(latency) }),
        "error" => Some(Call { outcome: Outcome::Error, latency: Some(latency) }),
        "unanswered" if latency >= patience => Some(Call { outcome: Outcome::Timeout, latency: None }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::serde_json::json;

    #[test]
    fn calls_count_by_what_became_of_them() {
        let line = |method: &str, ms: f64, outcome: &str| Line { method: method.into(), ms, outcome: outcome.into() };
        let patience = Duration::from_secs(3);
        let read = |line: &Line| call(line, patience).map(|call| (call.outcome, call.latency));
        let millis = |ms| Some(Duration::from_millis(ms));
        assert_eq!(read(&line("tools/call", 12.0, "ok")), Some((Outcome::Ok, millis(12))));
        assert_eq!(read(&line("tools/call", 5.0, "error")), Some((Outcome::Error, millis(5))));
        assert_eq!(read(&line("tools/call", 5_000.0, "unanswered")), Some((Outcome::Timeout, None)));
        assert_eq!(read(&line("tools/call", 5.0, "unanswered")), None, "the client did not wait");
        assert_eq!(read(&line("tools/call", -1.0, "ok")), None);
    }

    #[test]
    fn a_session_is_known_by_its_wrapper() {
        let data = json!({
            "server": "memory", "wrapper": { "pid": 7, "started": 70 }, "child": { "pid": 8, "started": 80 },
            "state": "ended", "exit": { "signal": 9 }, "server_info": { "name": "m" }, "more": 1,
        });
        let session: Session = headwater_plugin::serde_json::from_value(data).unwrap();
        assert!(session.ended() && session.exit.is_some_and(|exit| !exit.is_quiet() && exit.told() == "signal 9"));
        assert_eq!(session.key(), Some(Process { pid: 7, started: 70 }));
        assert_eq!(session.child(), Some(Process { pid: 8, started: 80 }));
        assert!(Exit::Code(0).is_quiet() && !Exit::Code(3).is_quiet());
    }
}
