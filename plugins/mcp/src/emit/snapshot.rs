//! The whole known state of a server, as late clients and commands get it.

use super::{Event, Keep, SERVERS, events::permit_name, events::reason};
use crate::{
    discovery::Launch,
    fleet::{From, Moment, Server},
    health::{self, Kind},
    process::Process,
};
use headwater_plugin::{
    Severity,
    serde_json::{Map, Value, json},
};
use std::time::Duration;

/// The type of the snapshots.
const KIND: &str = "mcp_server_state";

/// Milliseconds, to a hundredth.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

/// The snapshot of a server.
pub(crate) fn snapshot(server: &Server, moment: Moment) -> Event {
    Event {
        channel: SERVERS,
        kind: KIND,
        data: state(server),
        keep: Keep::As(server.id.clone()),
        severity: Severity::Info,
        evidence: moment.evidence,
        at: moment.at,
        attributes: vec![
            ("server", server.id.clone()),
            ("name", server.name.clone()),
            ("status", server.machine.status().name().to_owned()),
        ],
    }
}

/// Takes a snapshot away.
pub(crate) fn forget(server: &str, moment: Moment) -> Event {
    Event {
        channel: SERVERS,
        kind: KIND,
        data: Value::Null,
        keep: Keep::Forget(server.to_owned()),
        severity: Severity::Info,
        evidence: moment.evidence,
        at: moment.at,
        attributes: Vec::new(),
    }
}

/// All that is known of a server. Of how it is started it shows the program and nothing else, and of its URL no query.
pub(crate) fn state(server: &Server) -> Value {
    let mut state = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            state.insert(key.to_owned(), value);
        }
    };
    // As snapshots of other sources have it, and as the events of this channel do.
    put("id", server.id.as_str().into());
    put("name", server.name.as_str().into());
    put("server_id", server.id.as_str().into());
    put("server_name", server.name.as_str().into());
    put("status", server.machine.status().name().into());
    put("since", server.since.to_string().into());
    put("transport", server.transport().into());
    match &server.launch {
        Some(Launch::Stdio(program)) => put("command", program.program().into()),
        Some(Launch::Http(http)) => put("url", http.place().into()),
        None => {}
    }
    match &server.from {
        From::File(origin) => {
            put("origin", json!({ "client": origin.client.name(), "file": origin.file.to_string_lossy() }));
        }
        From::Settings => put("origin", json!({ "client": "headwater" })),
        From::Seen => {}
    }
    if let Some(hash) = server.hash {
        put("hash", hash.to_string().into());
    }
    put("spawn", server.permit.map(permit_name).into());
    put("spawn_line", server.spawn_line().into());
    put("disabled", server.disabled.then_some(true).into());
    put("owned", server.owns_process().into());
    let levels: Vec<&str> = server.levels().into_iter().map(crate::evidence::Level::name).collect();
    put("evidence_level", levels.first().copied().into());
    put("evidence_levels", if levels.len() > 1 { json!(levels) } else { Value::Null });
    let others = server.processes();
    if let Some(first) = others.first() {
        put("pid", first.pid.into());
        put("pid_started", first.started.into());
    }
    if others.len() > 1 {
        put("pids", others.iter().map(|it: &Process| it.pid).collect::<Vec<_>>().into());
    }
    facts(server, &mut put);
    calls(server, &mut put);
    if let Some(usage) = &server.usage {
        put("cpu_percent", usage.cpu_percent.into());
        put("memory_mb", usage.memory_mb.into());
        put("memory_percent", usage.memory_percent.into());
        put("processes", usage.processes.into());
    }
    if server.runner.is_some() {
        put("restarts", server.restarts.into());
        put("flapping", server.flapping.into());
    }
    if server.written.0 > 0 {
        put("stderr", json!({ "bytes": server.written.0, "lines": server.written.1 }));
    }
    put("stdout_noise_lines", (server.noise > 0).then_some(server.noise).into());
    put("reason", server.machine.causes().first().map(reason).into());
    put("last_error", server.last_error.as_deref().into());
    put("last_seen", server.last_seen.map(|at| at.to_string()).into());
    Value::Object(state)
}

fn facts(server: &Server, put: &mut impl FnMut(&str, Value)) {
    let facts = &server.facts;
    put("era", facts.era.as_deref().into());
    put("protocol_version", facts.version.as_deref().into());
    if let Some((name, version)) = &facts.info {
        let mut info = json!({ "name": name });
        if let Some(version) = version {
            info["version"] = version.as_str().into();
        }
        put("server_info", info);
    }
    put("tools", facts.tools.into());
    put("startup_time_ms", facts.startup.map(millis).into());
    put("needs_authorization", facts.locked.then_some(true).into());
}

fn calls(server: &Server, put: &mut impl FnMut(&str, Value)) {
    let Some((kind, track)) = server.machine.telling() else {
        return put("health_score", health::score(&server.machine).into());
    };
    let summary = track.summary();
    let mut latency = json!({ "count": summary.timed });
    for (name, value) in [("p50", summary.p50), ("p95", summary.p95), ("p99", summary.p99)] {
        if let Some(value) = value {
            latency[name] = millis(value).into();
        }
    }
    put("latency_ms", latency);
    put("latency_of", if kind == Kind::Call { "calls" } else { "probes" }.into());
    put("baseline_ms", track.usual().map(millis).into());
    put("calls", summary.calls.into());
    put("error_rate", summary.error_rate().map(|rate| (rate * 1e4).round() / 1e4).into());
    put("health_score", health::score(&server.machine).into());
}
