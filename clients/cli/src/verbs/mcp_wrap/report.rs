//! The events: `mcp.session` when the server starts, says who it is and ends; `mcp.calls` with what became of questions.
//! Neither holds parameters or results.

use super::{
    child::Ending,
    copy::Way,
    exchange::{Call, Era, Known, Outcome},
};
use crate::verbs::hook::started;
use jiff::Timestamp;
use serde::Serialize;
use std::{
    process,
    time::{Instant, SystemTime},
};

/// The channel.
const CHANNEL: &str = "mcp_traffic";
/// The most calls in one event.
const TOGETHER: usize = 200;
/// The most that wait for the next report, which comes within a second; of more it is told how many.
const MOST: usize = 2000;

/// Whose report it is.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    server: String,
    wrapper: Process,
    child: Process,
}

/// A process, told apart from later ones with its number by the time it started.
#[derive(Clone, Debug, Serialize)]
struct Process {
    pid: u32,
    /// Clock ticks since boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<u64>,
}

impl Process {
    fn of(pid: u32) -> Self {
        Self { pid, started: started(pid) }
    }
}

impl Identity {
    pub(super) fn new(server: String, child: u32) -> Self {
        Self { server, wrapper: Process::of(process::id()), child: Process::of(child) }
    }
}

/// Lines of NDJSON for the daemon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parcel {
    /// The session as it is now; one that comes later says all that this says.
    pub(super) session: Option<String>,
    pub(super) calls: Vec<String>,
    /// How many are in `calls`.
    pub(super) count: u64,
    /// The session has ended: nothing comes after that.
    pub(super) last: bool,
}

impl Parcel {
    /// The lines in the order in which they are told: who the server is comes before its calls, and its end after them.
    /// `session` is what is to be told of it, now or since an earlier parcel.
    pub(super) fn lines<'a>(&'a self, session: Option<&'a str>) -> Vec<&'a str> {
        let calls = self.calls.iter().map(String::as_str);
        if self.last { calls.chain(session).collect() } else { session.into_iter().chain(calls).collect() }
    }
}

/// What is to be reported.
#[derive(Debug)]
pub(super) struct Report {
    identity: Identity,
    began: (Instant, SystemTime),
    calls: Vec<(Way, Call)>,
    dropped: u64,
    told: Option<Known>,
}

#[derive(Serialize)]
struct Event<'a, T> {
    channel: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    data: T,
}

#[derive(Serialize)]
struct SessionData<'a> {
    server: &'a str,
    wrapper: &'a Process,
    child: &'a Process,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<Exit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    era: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_info: Option<ServerInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Exit {
    Code(u8),
    Signal(i32),
}

#[derive(Serialize)]
struct ServerInfo<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

#[derive(Serialize)]
struct CallsData<'a> {
    server: &'a str,
    wrapper: &'a Process,
    calls: Vec<CallData<'a>>,
    /// What the server asked its client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    callbacks: Vec<CallData<'a>>,
    /// Of so many more it is not known what became of them.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct CallData<'a> {
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    ms: f64,
    outcome: &'a str,
    at: String,
}

impl Report {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, began: (Instant::now(), SystemTime::now()), calls: Vec::new(), dropped: 0, told: None }
    }

    /// Adds what became of a question.
    pub(super) fn add(&mut self, way: Way, call: Call) {
        if self.calls.len() < MOST {
            self.calls.push((way, call));
        } else {
            self.dropped += 1;
        }
    }

    /// Adds to what is missing.
    pub(super) fn missing(&mut self, calls: u64) {
        self.dropped += calls;
    }

    /// Whether there is something to report.
    pub(super) fn is_due(&self, known: &Known) -> bool {
        !self.calls.is_empty() || self.dropped > 0 || self.told.as_ref() != Some(known)
    }

    /// All that there is to report.
    pub(super) fn take(&mut self, known: &Known) -> Parcel {
        let session = (self.told.as_ref() != Some(known)).then(|| self.session(known, None));
        self.told = Some(known.clone());
        self.parcel(session)
    }

    /// The last report.
    pub(super) fn last(&mut self, known: &Known, ending: Option<Ending>) -> Parcel {
        let session = ending.map(|ending| self.session(known, Some(ending)));
        Parcel { last: true, ..self.parcel(session) }
    }

    fn parcel(&mut self, session: Option<String>) -> Parcel {
        let calls = std::mem::take(&mut self.calls);
        let mut dropped = std::mem::take(&mut self.dropped);
        let count = calls.len() as u64;
        let mut pieces: Vec<&[(Way, Call)]> = calls.chunks(TOGETHER).collect();
        if pieces.is_empty() && dropped > 0 {
            pieces.push(&[]);
        }
        // What is missing is told once, with the first of them.
        let calls = pieces.into_iter().map(|piece| self.line(piece, std::mem::take(&mut dropped))).collect();
        Parcel { session, calls, count, last: false }
    }

    fn line(&self, calls: &[(Way, Call)], dropped: u64) -> String {
        let of = |wanted: Way| calls.iter().filter(move |(way, _)| *way == wanted).map(|(_, call)| self.call(call));
        let Identity { server, wrapper, .. } = &self.identity;
        let (calls, callbacks) = (of(Way::ToServer).collect(), of(Way::ToClient).collect());
        line("mcp.calls", CallsData { server, wrapper, calls, callbacks, dropped })
    }

    fn call<'a>(&self, call: &'a Call) -> CallData<'a> {
        let (began, time) = self.began;
        let at = time + call.asked.saturating_duration_since(began);
        CallData {
            method: &call.method,
            tool: call.tool.as_deref(),
            // Microseconds are what a clock between two processes can tell.
            ms: (call.took.as_secs_f64() * 1e6).round() / 1e3,
            outcome: match call.outcome {
                Outcome::Ok => "ok",
                Outcome::Error => "error",
                Outcome::Unanswered => "unanswered",
            },
            at: Timestamp::try_from(at).map(|at| format!("{at:.3}")).unwrap_or_default(),
        }
    }

    fn session(&self, known: &Known, ending: Option<Ending>) -> String {
        let Identity { server, wrapper, child } = &self.identity;
        let data = SessionData {
            server,
            wrapper,
            child,
            state: if ending.is_some() { "ended" } else { "started" },
            exit: ending.map(|ending| match ending {
                Ending::Code(code) => Exit::Code(code),
                Ending::Signal(signal) => Exit::Signal(signal),
            }),
            era: known.era.map(|era| match era {
                Era::Initialize => "initialize",
                Era::Discover => "discover",
            }),
            protocol_version: known.revision.as_deref(),
            server_info: known.name.as_deref().map(|name| ServerInfo { name, version: known.version.as_deref() }),
            tools: known.tools,
        };
        line("mcp.session", data)
    }
}

fn line(kind: &str, data: impl Serialize) -> String {
    let event = Event { channel: CHANNEL, kind, data };
    serde_json::to_string(&event).expect("invariant: strings and numbers serialise into memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn report() -> Report {
        let mut report = Report::new(Identity::new("git".to_owned(), process::id()));
        report.began.1 = SystemTime::UNIX_EPOCH;
        report
    }

    fn call(report: &Report, second: u64, outcome: Outcome) -> Call {
        let asked = report.began.0 + Duration::from_secs(second);
        let (method, tool) = ("tools/call".to_owned(), Some("log".to_owned()));
        Call { method, tool, asked, took: Duration::from_nanos(1_234_567), outcome }
    }

    fn read(line: &str) -> Value {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_session_is_told_when_it_starts_when_more_is_known_and_when_it_ends() {
        let mut report = report();
        let mut known = Known::default();
        let first = read(&report.take(&known).session.unwrap());
        let process = json!({"pid": process::id(), "started": started(process::id()).unwrap()});
        let wanted = json!({"server": "git", "wrapper": process, "child": process, "state": "started"});
        assert_eq!(first, json!({"channel": "mcp_traffic", "type": "mcp.session", "data": wanted}));
        assert!(!report.is_due(&known) && report.take(&known) == Parcel::default());
        known = Known {
            era: Some(Era::Initialize),
            revision: Some("2025-06-18".into()),
            name: Some("g".into()),
            version: Some("1".into()),
            tools: Some(3),
        };
        assert!(report.is_due(&known));
        let second = read(&report.take(&known).session.unwrap());
        assert_eq!(second["data"]["server_info"], json!({"name": "g", "version": "1"}));
        assert_eq!((&second["data"]["era"], &second["data"]["tools"]), (&json!("initialize"), &json!(3)));
        for (ending, exit) in [(Ending::Code(3), json!({"code": 3})), (Ending::Signal(9), json!({"signal": 9}))] {
            let last = read(&report.last(&known, Some(ending)).session.unwrap());
            assert_eq!((&last["data"]["state"], &last["data"]["exit"]), (&json!("ended"), &exit));
        }
    }

    /// Harm prevented: a server whose calls came after its end was told as one that runs.
    #[test]
    fn the_end_is_told_after_all_calls_and_the_start_before_them() {
        let mut report = report();
        let known = Known::default();
        let told = |parcel: &Parcel| -> Vec<Value> {
            parcel.lines(parcel.session.as_deref()).into_iter().map(|line| read(line)["type"].clone()).collect()
        };
        let one = call(&report, 0, Outcome::Ok);
        report.add(Way::ToServer, one);
        assert_eq!(told(&report.take(&known)), ["mcp.session", "mcp.calls"]);
        let other = call(&report, 1, Outcome::Unanswered);
        report.add(Way::ToServer, other);
        assert_eq!(told(&report.last(&known, Some(Ending::Code(0)))), ["mcp.calls", "mcp.session"]);
    }

    #[test]
    fn calls_are_told_in_events_of_two_hundred_and_the_rest_is_counted() {
        let mut report = report();
        for second in 0..MOST as u64 + 7 {
            let call = call(&report, second, Outcome::Ok);
            report.add(Way::ToServer, call);
        }
        report.missing(3);
        let parcel = report.take(&Known::default());
        assert_eq!((parcel.calls.len(), parcel.count), (MOST / TOGETHER, MOST as u64));
        let first = read(&parcel.calls[0]);
        let wanted = json!({"method": "tools/call", "tool": "log", "ms": 1.235, "outcome": "ok", "at": "1970-01-01T00:00:00.000Z"});
        assert_eq!((&first["data"]["calls"][0], &first["data"]["dropped"]), (&wanted, &json!(10)));
        assert_eq!(read(&parcel.calls[1])["data"]["calls"][0]["at"], "1970-01-01T00:03:20.000Z");
        assert_eq!(read(&parcel.calls[1])["data"].get("dropped"), None);
        report.missing(2);
        assert_eq!(read(&report.take(&Known::default()).calls[0])["data"]["dropped"], 2);
    }

    #[test]
    fn what_the_server_asks_stands_apart() {
        let mut report = report();
        let call = call(&report, 0, Outcome::Unanswered);
        report.add(Way::ToClient, call);
        let told = read(&report.take(&Known::default()).calls[0]);
        assert_eq!(
            (&told["data"]["calls"], &told["data"]["callbacks"][0]["outcome"]),
            (&json!([]), &json!("unanswered"))
        );
    }
}
