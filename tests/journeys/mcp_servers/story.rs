//! What Headwater tells of MCP servers, as a text that is the same in each run: for each server, in order, what was told of it
//! and how that is known. Times, ids, paths and numbers of processes are left out, and so are states, which repeat what was told.
//!
//! What comes on one channel has an order; between the two channels there is none. So errors stand behind a server's changes.

use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt};

/// What a journey waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// A file names it.
    Found,
    /// Its status becomes this.
    Is(&'a str),
    /// After it was this, it is tried again.
    TriedAfter(&'a str),
    /// An alert says that it is this now.
    Alert(&'a str),
    /// An alert has an issue of this type.
    Issue(&'a str),
    /// An error of this type.
    Error(&'a str),
}

impl Word<'_> {
    pub(super) fn is(&self, server: &str, event: &Value) -> bool {
        let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
        let of = || data["server_name"] == server || data["details"]["server_name"] == server;
        match self {
            Self::Found => kind == "mcp_server_discovered" && found(data).any(|entry| entry["name"] == server),
            Self::Is(status) => kind == "mcp_server_status_change" && of() && data["status_change"]["to"] == *status,
            Self::TriedAfter(status) => {
                kind == "mcp_server_status_change"
                    && of()
                    && data["status_change"] == json!({"from": status, "to": "starting"})
            }
            Self::Alert(status) => {
                kind == "mcp_server_health_alert" && of() && data["health_status"]["current"] == *status
            }
            Self::Issue(issue) => {
                let mut issues = data["issues"].as_array().into_iter().flatten();
                kind == "mcp_server_health_alert" && of() && issues.any(|it| it["type"] == *issue)
            }
            // One of a file has no server.
            Self::Error(error) => kind == "error_event" && data["error_type"] == *error && (of() || server.is_empty()),
        }
    }
}

fn found(data: &Value) -> impl Iterator<Item = &Value> {
    data["servers_found"].as_array().into_iter().flatten()
}

/// A story in parts.
#[derive(Debug, Default)]
pub(super) struct Story {
    parts: Vec<Part>,
    /// The server that is to be slow. A machine that is busy with other tests makes others slow too, which is told and left
    /// out here.
    slow: &'static str,
}

#[derive(Debug, Default)]
struct Part {
    heading: String,
    /// By server.
    told: BTreeMap<String, Told>,
    /// What stands behind it, word by word.
    behind: Vec<String>,
}

#[derive(Debug, Default)]
struct Told {
    changes: Vec<String>,
    errors: Vec<String>,
}

impl Story {
    /// A story in which this server is to be slow.
    pub(super) fn of_a_slow(server: &'static str) -> Self {
        Self { parts: Vec::new(), slow: server }
    }

    /// A status as it is told here.
    pub(super) fn status<'a>(&self, server: &str, status: &'a str) -> &'a str {
        if status == "degraded" && server != self.slow { "active" } else { status }
    }

    pub(super) fn part(&mut self, heading: &str) {
        self.parts.push(Part { heading: heading.to_owned(), ..Part::default() });
    }

    /// Servers whose names begin so are nobody's concern.
    pub(super) fn without(&mut self, begins: &str) {
        for part in &mut self.parts {
            part.told.retain(|name, _| !name.starts_with(begins));
        }
    }

    /// A line that is no event.
    pub(super) fn add(&mut self, line: String) {
        self.parts.last_mut().expect("a part has begun").behind.push(line);
    }

    pub(super) fn tell(&mut self, event: &Value) {
        let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = || text(&data["server_name"]);
        let status = |value: &Value| self.status(&name(), value.as_str().unwrap_or_default()).to_owned();
        let (change, health) = (&data["status_change"], &data["health_status"]);
        let change = (status(&change["from"]), status(&change["to"]));
        let health = (status(&health["previous"]), status(&health["current"]));
        let Some(part) = self.parts.last_mut() else { return };
        match kind {
            "mcp_server_discovered" => {
                for entry in found(data) {
                    let off = if entry["disabled"] == true { ", disabled" } else { "" };
                    let more = format!("{}, {}{off}", text(&data["source"]), text(&entry["transport"]));
                    let line = line("found", &text(&entry["spawn"]), &more, event);
                    part.told.entry(text(&entry["name"])).or_default().changes.push(line);
                }
            }
            "mcp_server_status_change" if change.0 != change.1 => {
                let (from, to) = change;
                let line = line("status", &format!("{from} → {to}"), &details(&data["details"]), event);
                part.told.entry(name()).or_default().change(&from, &to, line);
            }
            "mcp_server_health_alert" if health != ("active".to_owned(), "active".to_owned()) => {
                let words = format!("{} → {}", health.0, health.1);
                let issues = data["issues"].as_array().into_iter().flatten().map(issue).collect::<Vec<_>>();
                part.told.entry(name()).or_default().changes.push(line("alert", &words, &issues.join("; "), event));
            }
            "error_event" => {
                let file = text(&data["details"]["config_file"]);
                let name = text(&data["details"]["server_name"]);
                let name = if name.is_empty() { file.rsplit('/').next().unwrap_or_default().to_owned() } else { name };
                let line = line("error", &text(&data["error_type"]), &error(&data["details"]), event);
                part.told.entry(name).or_default().errors.push(line);
            }
            _ => {}
        }
    }
}

impl Told {
    /// A server that is tried again in vain is told of each time; how often that is depends on the machine. It stands here once.
    fn change(&mut self, from: &str, to: &str, line: String) {
        let told = &mut self.changes;
        let last_tried = |told: &[String]| told.last().is_some_and(|line| line.contains("→ starting"));
        if to == "starting"
            && let Some((last, before)) = told.split_last()
            && last.contains(&format!("starting → {from} "))
            && last_tried(before)
        {
            told.pop();
            return;
        }
        let is_try = from == "starting" || to == "starting";
        if !(is_try && told.contains(&line)) {
            told.push(line);
        }
    }
}

fn line(kind: &str, words: &str, more: &str, event: &Value) -> String {
    let evidence = event["evidence"].as_str().expect("every event of the source says its evidence");
    let level = event["data"]["evidence_level"].as_str().map(|level| format!("{level}, ")).unwrap_or_default();
    format!("{kind:<8}{words:<24}{:<18}{more}", format!("{level}{evidence}")).trim_end().to_owned()
}

fn details(details: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(details["reason"].as_str().map(timeless));
    words.extend(details["capabilities_loaded"].as_u64().map(|tools| format!("{tools} tools")));
    if let (Some(era), Some(version)) = (details["era"].as_str(), details["protocol_version"].as_str()) {
        words.push(format!("{era} {version}"));
    }
    words.extend(details["startup_time_ms"].is_number().then(|| "startup timed".to_owned()));
    let memory = &details["initial_performance"]["memory_usage_mb"];
    words.extend(memory.is_number().then(|| "memory known".to_owned()));
    words.join(", ")
}

fn issue(issue: &Value) -> String {
    let words = timeless(issue["description"].as_str().unwrap_or_default());
    let pids = issue["pids"].as_array().map(|pids| format!(" ({})", pids.len())).unwrap_or_default();
    format!("{}: {words}{pids}", issue["type"].as_str().unwrap_or_default())
}

fn error(details: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    if let Some(place) = details["place"].as_str().filter(|place| !place.is_empty()) {
        words.push(format!("at {place}"));
    }
    words.extend(details["last_error"].as_str().map(timeless));
    for key in ["exit_code", "signal", "attempt_count"] {
        words.extend(details[key].as_i64().map(|number| format!("{key} {number}")));
    }
    words.extend(details["restart_in_ms"].as_u64().map(|pause| format!("again after {pause} ms")));
    words.extend(details["orphans"].as_array().map(|pids| format!("orphans {}", pids.len())));
    words.join(", ")
}

/// Without what the clock and the load of the machine say.
fn timeless(text: &str) -> String {
    // Whether it was killed between two answers or in one is chance.
    if text.contains("cannot be reached") || text.contains("broke off") {
        return "it cannot be reached".to_owned();
    }
    let words: Vec<&str> = text.split(' ').collect();
    let counted = |next: &str| matches!(next.trim_end_matches([',', ';', ':']), "ms" | "lines");
    let is_time = |at: usize| words.get(at + 1).is_some_and(|next| counted(next));
    let word = |(at, word): (usize, &&str)| if is_time(at) { "#".to_owned() } else { (*word).to_owned() };
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            writeln!(f, "{}{}", if index > 0 { "\n" } else { "" }, part.heading)?;
            for (server, told) in &part.told {
                for (at, line) in told.changes.iter().chain(&told.errors).enumerate() {
                    let server = if at == 0 { server } else { "" };
                    writeln!(f, "  {server:<14}{line}")?;
                }
            }
            for line in &part.behind {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}
