//! The events, in the shapes of the VSM-MCP monitor's protocol.

use super::{ERRORS, Event, Keep, SERVERS, snapshot::millis};
use crate::{
    discovery::{Discovered, Launch, Permit},
    evidence::Level,
    fleet::{Moment, Server},
    health::{self, Cause, Change, Status},
};
use headwater_plugin::{
    Evidence, Severity,
    serde_json::{Map, Value, json},
};

fn event(server: &Server, channel: &'static str, kind: &'static str, data: Value, moment: Moment) -> Event {
    Event {
        channel,
        kind,
        data,
        keep: Keep::No,
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

/// Adds a member where its value is known.
fn put(data: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        data[key] = value.into();
    }
}

/// `mcp_server_status_change`.
pub(crate) fn status_change(server: &Server, change: &Change, level: Level, moment: Moment) -> Event {
    let mut details = json!({});
    let (facts, usage) = (&server.facts, server.usage.as_ref());
    if change.from == Status::Starting && change.to == Status::Active {
        put(&mut details, "startup_time_ms", facts.startup.map(millis));
        let mut first = json!({});
        put(&mut first, "memory_usage_mb", usage.map(|usage| usage.memory_mb));
        if first != json!({}) {
            details["initial_performance"] = first;
        }
    }
    if change.to.is_up() {
        put(&mut details, "capabilities_loaded", facts.tools);
    }
    put(&mut details, "health_score", health::score(&server.machine));
    put(&mut details, "reason", change.causes.first().map(reason));
    put(&mut details, "era", facts.era.as_deref());
    put(&mut details, "protocol_version", facts.version.as_deref());
    let mut data = json!({
        "server_id": server.id,
        "server_name": server.name,
        "status_change": { "from": change.from.name(), "to": change.to.name() },
        "details": details,
        "impact": {},
        "evidence_level": level.name(),
    });
    put(&mut data, "pid", server.pid());
    put(&mut data, "transport", server.transport());
    let mut event = event(server, SERVERS, "mcp_server_status_change", data, moment);
    event.severity = severity(change.to, &change.causes);
    event
}

fn severity(to: Status, causes: &[Cause]) -> Severity {
    let asked = causes.iter().all(Cause::is_wanted);
    match to {
        Status::Unhealthy => Severity::Error,
        Status::Degraded => Severity::Warning,
        Status::Stopped if !asked => Severity::Warning,
        _ => Severity::Info,
    }
}

/// Why, for people.
pub(super) fn reason(cause: &Cause) -> String {
    match cause {
        Cause::Slow { p95, limit } => format!("p95 is {} ms, above {} ms", millis(*p95), millis(*limit)),
        Cause::Errors { rate } => format!("{}% of its calls fail", (rate * 1000.0).round() / 10.0),
        Cause::Silent { calls } => format!("{calls} calls in a row were not answered"),
        Cause::NotReady { reason } | Cause::Ended { reason } => reason.clone(),
        Cause::Asked => "somebody asked for it".to_owned(),
        Cause::LetGo { reason } => (*reason).to_owned(),
    }
}

/// What is wrong with a server besides its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It does nothing but end.
    Flapping {
        /// Ends so far.
        restarts: u64,
    },
    /// Processes that nobody talks to any more.
    Orphans(Vec<u32>),
}

/// `mcp_server_health_alert`: `from` is what it was when it was told last.
pub(crate) fn alert(server: &Server, from: Status, trouble: &[Trouble], level: Level, moment: Moment) -> Event {
    let status = server.machine.status();
    // Where nothing has become of it but the trouble, the rest has been told.
    let causes = if from == status { &[] } else { server.machine.causes() };
    let mut issues: Vec<Value> = causes.iter().filter_map(issue).collect();
    issues.extend(trouble.iter().map(troubled));
    let mut metrics = json!({});
    if let Some((_, track)) = server.machine.telling() {
        let summary = track.summary();
        put(&mut metrics, "response_time_ms", summary.p95.or(summary.p50).map(millis));
        put(&mut metrics, "error_rate", summary.error_rate());
    }
    if let Some(usage) = &server.usage {
        put(&mut metrics, "memory_usage_percent", usage.memory_percent);
        put(&mut metrics, "cpu_usage_percent", usage.cpu_percent);
    }
    let mut data = json!({
        "server_id": server.id,
        "server_name": server.name,
        "health_status": { "previous": from.name(), "current": status.name() },
        "metrics": metrics,
        "issues": issues,
        "recommended_actions": actions(server, causes, trouble),
        "evidence_level": level.name(),
    });
    put(&mut data, "pid", server.pid());
    let mut event = event(server, SERVERS, "mcp_server_health_alert", data, moment);
    event.severity = severity(status, causes);
    if !trouble.is_empty() {
        event.severity = event.severity.max(Severity::Warning);
    }
    event
}

fn issue(cause: &Cause) -> Option<Value> {
    let (kind, severity) = match cause {
        Cause::Slow { .. } => ("performance_degradation", "medium"),
        Cause::Errors { rate } if *rate >= 0.25 => ("error_rate", "high"),
        Cause::Errors { .. } => ("error_rate", "medium"),
        Cause::Silent { .. } => ("unresponsive", "high"),
        Cause::NotReady { .. } => ("not_ready", "high"),
        Cause::Ended { .. } => ("ended", "high"),
        Cause::Asked | Cause::LetGo { .. } => return None,
    };
    Some(json!({ "type": kind, "description": reason(cause), "severity": severity }))
}

fn troubled(trouble: &Trouble) -> Value {
    match trouble {
        Trouble::Flapping { restarts } => json!({
            "type": "flapping",
            "description": format!("five ends or failed starts within ten minutes, {restarts} in all"),
            "severity": "high",
        }),
        Trouble::Orphans(pids) => json!({
            "type": "orphaned_processes",
            "description": "processes of it run on, and nobody talks to them",
            "severity": "medium",
            "pids": pids,
        }),
    }
}

fn actions(server: &Server, causes: &[Cause], trouble: &[Trouble]) -> Vec<&'static str> {
    let mut actions = Vec::new();
    let ours = server.runner.is_some() && server.transport() == Some("stdio");
    for cause in causes {
        match cause {
            Cause::Silent { .. } | Cause::Errors { .. } if ours => actions.push("restart_server"),
            Cause::Slow { .. } => actions.push("check_resources"),
            Cause::NotReady { .. } => actions.push("check_command"),
            Cause::Ended { .. } | Cause::Silent { .. } | Cause::Errors { .. } => actions.push("check_logs"),
            Cause::Asked | Cause::LetGo { .. } => {}
        }
    }
    for trouble in trouble {
        actions.push(match trouble {
            Trouble::Flapping { .. } => "check_logs",
            Trouble::Orphans(_) => "end_orphans",
        });
    }
    actions.dedup();
    actions
}

/// `error_event` about a server.
pub(crate) fn error(
    server: &Server,
    number: u64,
    kind: &'static str,
    message: &str,
    more: Map<String, Value>,
    moment: Moment,
) -> Event {
    let mut details = json!({ "server_id": server.id, "server_name": server.name });
    for (key, value) in more {
        details[key] = value;
    }
    let again = details.get("restart_in_ms").is_some();
    let data = json!({
        "error_id": format!("err_{number:03}"),
        "severity": "high",
        "component": "mcp",
        "error_type": kind,
        "message": format!("MCP server {}: {message}", server.name),
        "details": details,
        "impact": {},
        "recovery_actions": if again { json!(["automatic_restart_scheduled"]) } else { json!([]) },
        "context": {},
    });
    let mut event = event(server, ERRORS, "error_event", data, moment);
    event.severity = Severity::Error;
    event
}

/// `error_event` about a name that something is allowed for and that no file has; `meant` is the server that has most of it.
pub(crate) fn unfit(key: &str, meant: Option<&Server>, number: u64, moment: Moment) -> Event {
    let mut details = json!({ "name": key });
    put(&mut details, "nearest", meant.map(|server| server.id.as_str()));
    let meant = meant.map(|server| format!("; did you mean `{}`?", server.id)).unwrap_or_default();
    let data = json!({
        "error_id": format!("err_{number:03}"),
        "severity": "medium",
        "component": "mcp",
        "error_type": "allowed_unknown",
        "message": format!("[source.mcp.spawn] allows `{key}`, and no config file names it{meant}"),
        "details": details,
        "impact": {},
        "recovery_actions": [],
        "context": {},
    });
    Event {
        channel: ERRORS,
        kind: "error_event",
        data,
        keep: Keep::No,
        severity: Severity::Warning,
        evidence: moment.evidence,
        at: moment.at,
        attributes: Vec::new(),
    }
}

/// `mcp_server_discovered`: servers that one file names.
pub(crate) fn discovered(number: u64, servers: &[(&Discovered, Permit)], moment: Moment) -> Option<Event> {
    let (first, _) = servers.first()?;
    let found: Vec<Value> = servers.iter().map(|(server, permit)| entry(server, *permit)).collect();
    let data = json!({
        "discovery_id": format!("disc_{number:03}"),
        "source": first.origin.client.name(),
        "config_file": first.origin.file.to_string_lossy(),
        "servers_found": found,
        "relevance": {},
    });
    Some(Event {
        channel: SERVERS,
        kind: "mcp_server_discovered",
        data,
        keep: Keep::No,
        severity: Severity::Info,
        evidence: Evidence::Observed,
        at: moment.at,
        attributes: vec![("client", first.origin.client.name().to_owned())],
    })
}

fn entry(server: &Discovered, permit: Permit) -> Value {
    let mut entry = json!({
        "name": server.name,
        "server_id": server.id,
        "transport": server.launch.transport(),
        "hash": server.hash,
        "spawn": permit_name(permit),
    });
    put(&mut entry, "description", server.description.as_deref());
    if server.disabled {
        entry["disabled"] = true.into();
    }
    match &server.launch {
        Launch::Stdio(program) => entry["command"] = program.program().into(),
        Launch::Http(http) => entry["url"] = http.place().into(),
    }
    entry
}

/// Whether a server may be started, for people.
pub(crate) fn permit_name(permit: Permit) -> &'static str {
    match permit {
        Permit::Pinned => "allowed",
        Permit::Unpinned => "not_allowed",
        Permit::Changed { .. } => "changed_since_allowed",
    }
}
