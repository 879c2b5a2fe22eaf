//! How MCP servers do: the group `mcp_performance`, from the snapshots on `mcp_servers` and the calls on `mcp_traffic`.
//! Without a server and without a call there is no group.

use crate::metric::{rounded, share};
use headwater_plugin::{
    BusEvent, payload,
    serde_json::{self, Value},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// The group of the event.
#[payload]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct McpPerformance {
    /// Servers whose status is `active` or `degraded`: they answer.
    pub active_servers: u64,
    /// The average of the calls since the last event. Without calls, that of what the active servers say they take in the
    /// middle (`latency_ms.p50`).
    pub avg_server_response_time_ms: Option<f64>,
    /// The part, 0 to 1, of the calls since the last event that were errors or stayed without an answer. Without calls, the
    /// average of what the active servers say (`error_rate`).
    pub server_error_rate: Option<f64>,
    /// Tools that were called in the last hour, as a part of those that the active servers have.
    pub capability_utilization: Option<f64>,
    /// Calls since the last event.
    pub calls: u64,
}

/// A tool counts as used for so long.
const USED: Duration = Duration::from_hours(1);

/// The most servers, and tools in use, that are kept: whoever may publish could otherwise fill the memory.
const MOST: usize = 4_096;

/// What is read of `mcp_server_state`; any of it may be absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    id: Option<String>,
    server_id: Option<String>,
    /// States have their server's name twice, as the snapshots of all sources do and as the events of this channel do.
    name: Option<String>,
    server_name: Option<String>,
    status: Option<String>,
    /// How many, or which.
    tools: Option<Value>,
    latency_ms: Option<Latency>,
    error_rate: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Latency {
    p50: Option<f64>,
}

/// What is read of `mcp.calls`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Calls {
    server: String,
    calls: Vec<Call>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call {
    tool: Option<String>,
    ms: Option<f64>,
    outcome: String,
}

/// The servers, and what has been called since the last event.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    states: BTreeMap<String, State>,
    used: HashMap<(String, String), Instant>,
    /// Whether a call has ever been seen: before that it is not known which tools are used.
    seen: bool,
    calls: u64,
    failed: u64,
    answered: u64,
    answered_ms: f64,
}

impl State {
    fn name(&self) -> Option<&str> {
        self.name.as_deref().or(self.server_name.as_deref())
    }

    fn is_active(&self) -> bool {
        matches!(self.status.as_deref(), Some("active" | "degraded"))
    }

    fn tools(&self) -> Option<u64> {
        match self.tools.as_ref()? {
            Value::Array(tools) => Some(tools.len() as u64),
            count => count.as_u64(),
        }
    }
}

impl Servers {
    /// An event on `mcp_servers`.
    pub(crate) fn hear_state(&mut self, event: &BusEvent) {
        if let Some(key) = &event.forgets {
            self.states.remove(key);
        } else if event.kind == "mcp_server_state"
            && let Ok(state) = serde_json::from_slice::<State>(&event.json)
            && let Some(id) = event.key.clone().or_else(|| state.id.clone()).or_else(|| state.server_id.clone())
            && (self.states.len() < MOST || self.states.contains_key(&id))
        {
            self.states.insert(id, state);
        }
    }

    /// Calls on `mcp_traffic`.
    pub(crate) fn hear_calls(&mut self, event: &BusEvent, now: Instant) {
        let Ok(Calls { server, calls }) = serde_json::from_slice(&event.json) else { return };
        for call in calls {
            self.seen = true;
            self.calls += 1;
            self.failed += u64::from(call.outcome != "ok");
            // One that was not answered took no time, but all that there was.
            if let Some(ms) = call.ms.filter(|ms| call.outcome != "unanswered" && ms.is_finite() && *ms >= 0.0) {
                self.answered += 1;
                self.answered_ms += ms;
            }
            if let Some(tool) = call.tool {
                let tool = (server.clone(), tool);
                if self.used.len() < MOST || self.used.contains_key(&tool) {
                    self.used.insert(tool, now);
                }
            }
        }
    }

    /// What is known, and what has been called since the last time.
    pub(crate) fn take(&mut self, now: Instant) -> Option<McpPerformance> {
        self.used.retain(|_, at| now.duration_since(*at) < USED);
        let calls = std::mem::take(&mut self.calls);
        if self.states.is_empty() && calls == 0 {
            return None;
        }
        let (failed, answered) = (std::mem::take(&mut self.failed), std::mem::take(&mut self.answered));
        let answered_ms = std::mem::take(&mut self.answered_ms);
        let active = || self.states.values().filter(|state| state.is_active());
        let mean = |of: &dyn Fn(&State) -> Option<f64>| {
            let (mut count, mut sum) = (0_u32, 0.0);
            for value in active().filter_map(of) {
                count += 1;
                sum += value;
            }
            (count > 0).then(|| sum / f64::from(count))
        };
        let said_ms = || mean(&|state| state.latency_ms.as_ref()?.p50);
        let said_rate = || mean(&|state| state.error_rate);
        let measured_ms = (answered > 0).then(|| answered_ms / answered as f64);
        let measured_rate = (calls > 0).then(|| failed as f64 / calls as f64);
        Some(McpPerformance {
            active_servers: active().count() as u64,
            avg_server_response_time_ms: measured_ms.or_else(said_ms).map(rounded),
            server_error_rate: measured_rate.or_else(said_rate).map(share),
            capability_utilization: self.utilization(),
            calls,
        })
    }

    /// The servers that do worst: those that are up and not well, by name.
    pub(crate) fn unwell(&self) -> Vec<String> {
        let unwell = |state: &&State| matches!(state.status.as_deref(), Some("degraded" | "unhealthy"));
        self.states.values().filter(unwell).filter_map(|state| state.name().map(str::to_owned)).collect()
    }

    /// Nothing where no call has ever been seen.
    fn utilization(&self) -> Option<f64> {
        let active: Vec<&State> = self.states.values().filter(|state| state.is_active()).collect();
        let offered: u64 = active.iter().filter_map(|state| state.tools()).sum();
        if offered == 0 || !self.seen {
            return None;
        }
        let used_of = |state: &&State| {
            let name = state.name();
            let used = self.used.keys().filter(|(server, _)| Some(server.as_str()) == name).count() as u64;
            Some(used.min(state.tools()?))
        };
        let used: u64 = active.iter().filter_map(used_of).sum();
        Some(share(used as f64 / offered as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::{Position, serde_json::json};
    use std::time::SystemTime;

    fn event(key: &str, data: &Value) -> BusEvent {
        BusEvent {
            channel: "mcp_servers".into(),
            kind: "mcp_server_state".into(),
            position: Position { epoch: 1, offset: 1 },
            id: "1".into(),
            source: "mcp".into(),
            time: SystemTime::now(),
            key: Some(key.into()),
            forgets: None,
            severity: None,
            evidence: None,
            attributes: Vec::new(),
            json: data.to_string().into_bytes().into(),
        }
    }

    fn servers() -> Servers {
        let mut servers = Servers::default();
        let state = |name: &str, status: &str, tools: Value, p50: f64| json!({ "server_name": name, "status": status, "tools": tools, "latency_ms": { "p50": p50 }, "error_rate": 0.1 });
        servers.hear_state(&event("a", &state("files", "active", json!(6), 10.0)));
        servers.hear_state(&event("b", &state("time", "degraded", json!(["now", "then"]), 30.0)));
        servers.hear_state(&event("c", &state("git", "stopped", json!(12), 900.0)));
        servers
    }

    #[test]
    fn without_a_server_and_without_a_call_there_is_nothing() {
        assert_eq!(Servers::default().take(Instant::now()), None);
    }

    #[test]
    fn without_calls_the_servers_own_words_count() {
        let expected = McpPerformance {
            active_servers: 2,
            avg_server_response_time_ms: Some(20.0),
            server_error_rate: Some(0.1),
            capability_utilization: None,
            calls: 0,
        };
        let mut servers = servers();
        assert_eq!(servers.take(Instant::now()), Some(expected));
        assert_eq!(servers.unwell(), ["time"]);
        for key in ["a", "b", "c"] {
            servers.hear_state(&BusEvent { key: None, forgets: Some(key.into()), ..event("", &json!(null)) });
        }
        assert_eq!(servers.take(Instant::now()), None);
    }

    /// As the source `mcp` tells it. Harm prevented: it has the name twice, and was not read at all.
    #[test]
    fn a_state_as_the_source_of_servers_tells_it_is_read() {
        let told = json!({
            "id": "files@3f9c01ab", "name": "files", "server_id": "files@3f9c01ab", "server_name": "files",
            "status": "degraded", "since": "2026-11-20T22:10:01.5Z", "transport": "stdio", "command": "npx",
            "origin": { "client": "headwater" }, "owned": true, "evidence_level": "probe", "pid": 41, "pid_started": 900,
            "era": "initialize", "protocol_version": "2025-06-18", "server_info": { "name": "f", "version": "1" },
            "tools": 14, "startup_time_ms": 311.2, "latency_ms": { "count": 3, "p50": 1.5, "p95": 2.0, "p99": 2.0 },
            "latency_of": "probes", "calls": 3, "error_rate": 0.0, "health_score": 1.0, "restarts": 0, "flapping": false,
        });
        let mut servers = Servers::default();
        servers.hear_state(&event("files@3f9c01ab", &told));
        assert_eq!(servers.unwell(), ["files"]);
        let now = Instant::now();
        let calls = json!([{ "method": "tools/call", "tool": "read", "ms": 2.0, "outcome": "ok" }]);
        servers.hear_calls(&event("", &json!({ "server": "files", "calls": calls })), now);
        assert_eq!(servers.take(now).unwrap().capability_utilization, Some(0.0714), "one of its fourteen tools");
    }

    #[test]
    fn calls_count_as_they_were() {
        let (mut servers, now) = (servers(), Instant::now());
        let call = |tool: Option<&str>, ms: f64, outcome: &str| json!({ "method": "tools/call", "tool": tool, "ms": ms, "outcome": outcome });
        let calls = [
            call(Some("read"), 2.0, "ok"),
            call(Some("read"), 4.0, "ok"),
            call(Some("write"), 6.0, "error"),
            call(None, 30_000.0, "unanswered"),
        ];
        servers.hear_calls(&event("", &json!({ "server": "files", "calls": calls })), now);
        let expected = McpPerformance {
            active_servers: 2,
            avg_server_response_time_ms: Some(4.0),
            server_error_rate: Some(0.5),
            capability_utilization: Some(0.25),
            calls: 4,
        };
        assert_eq!(servers.take(now), Some(expected), "two of eight tools");
        let later = servers.take(now + Duration::from_mins(30)).unwrap();
        assert_eq!((later.calls, later.capability_utilization), (0, Some(0.25)));
        assert_eq!(servers.take(now + USED).unwrap().capability_utilization, Some(0.0), "an hour without a call");
        servers.hear_calls(&event("", &json!({ "server": 5 })), now);
        assert_eq!(servers.take(now).unwrap().calls, 0, "nonsense is none");
        let calls = [call(None, -1e9, "ok"), call(None, 2.0, "ok")];
        servers.hear_calls(&event("", &json!({ "server": "files", "calls": calls })), now);
        let told = servers.take(now).unwrap();
        assert_eq!((told.calls, told.avg_server_response_time_ms), (2, Some(2.0)), "no call ends before it begins");
    }

    /// Harm prevented: who has many tools finds after an hour that none of them is used.
    #[test]
    fn a_tool_that_is_called_again_stays_in_use_though_there_is_no_room_for_others() {
        let (mut servers, now) = (servers(), Instant::now());
        let mut call = |tool: String, at: Instant| {
            let calls = json!([{ "tool": tool, "ms": 1.0, "outcome": "ok" }]);
            servers.hear_calls(&event("", &json!({ "server": "files", "calls": calls })), at);
        };
        for tool in 0..=MOST {
            call(tool.to_string(), now);
        }
        call("7".to_owned(), now + USED / 2);
        assert_eq!(servers.used.len(), MOST);
        servers.take(now + USED);
        assert_eq!(servers.used.keys().map(|(_, tool)| tool.as_str()).collect::<Vec<_>>(), ["7"]);
    }
}
