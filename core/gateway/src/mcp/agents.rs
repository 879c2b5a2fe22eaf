//! `list_agents`: who works, waits and is done, from the kept states of the source `agents`.

use super::{
    arguments::{self, within},
    tools::{Call, Outcome, answer},
};
use crate::SourceState;
use headwater_event::{ChannelPattern, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The channel of the states, and their type.
const CHANNEL: &str = "agent";
const STATE: &str = "agent_state";
/// The source that publishes them.
const SOURCE: &str = "agents";
/// The agents of an answer, usually and at most.
const USUAL: u64 = 100;
const MOST: u64 = 500;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Only those that do this.
    doing: Option<Doing>,
    /// The most agents of the answer, 1 to 500. Default 100.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u64>,
}

/// What an agent does: waits for somebody; failed its last turn; works; is done with what it was given; has not begun
/// anything yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Doing {
    Waiting,
    Failed,
    Working,
    Done,
    Idle,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    /// Those that wait first, then failed, working, done, idle; in each the longest first.
    agents: Vec<Agent>,
    /// How many there are in all that fit.
    total: u64,
    /// Why there may be none, or what is told may be old.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Agent {
    /// As in events: `attributes.agent`.
    id: String,
    name: String,
    doing: Doing,
    /// Why it waits: permission, answer, login, attention or seen; or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Since when, RFC 3339.
    since: String,
    /// How long that is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    for_seconds: Option<u64>,
    /// How it is known: observed, or inferred from its pane.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    /// Which program it is, as far as it is known: claude, codex, …
    #[serde(skip_serializing_if = "Option::is_none")]
    emitter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// The tmux pane that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pane: Option<Pane>,
    /// Its directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    /// The task that it is at, as in events: `attributes.task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The agent that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// When something was last heard of it, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Pane {
    /// As tmux names it: `%3`.
    #[serde(rename = "pane_id")]
    id: String,
    /// The tmux session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The window's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
    /// The tmux server's socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<String>,
}

/// What is read of a state; more stands in it.
#[derive(Deserialize)]
struct State {
    id: String,
    name: String,
    status: String,
    since: String,
    reason: Option<String>,
    evidence: Option<String>,
    emitter: Option<String>,
    model: Option<String>,
    pane: Option<Pane>,
    cwd: Option<String>,
    task: Option<String>,
    parent: Option<String>,
    pid: Option<u32>,
    last_seen: Option<String>,
    #[serde(default)]
    performance: Value,
}

impl State {
    /// An idle agent that has had something to do is done with it.
    fn doing(&self) -> Doing {
        match self.status.as_str() {
            "waiting" => Doing::Waiting,
            "failed" => Doing::Failed,
            "active" => Doing::Working,
            _ if ["tasks_completed", "tasks_failed", "tasks_cancelled", "turns"]
                .iter()
                .any(|count| self.performance[*count].as_u64().is_some_and(|count| count > 0)) =>
            {
                Doing::Done
            }
            _ => Doing::Idle,
        }
    }

    fn told(self, now: Timestamp) -> Agent {
        let since = Timestamp::parse(&self.since);
        Agent {
            doing: self.doing(),
            for_seconds: since.map(|since| u64::try_from((now.0 - since.0).max(0) / 1_000_000_000).unwrap_or(0)),
            id: self.id,
            name: self.name,
            reason: self.reason,
            since: self.since,
            evidence: self.evidence,
            emitter: self.emitter,
            model: self.model,
            pane: self.pane,
            cwd: self.cwd,
            task: self.task,
            parent: self.parent,
            pid: self.pid,
            last_seen: self.last_seen,
        }
    }
}

pub(super) fn run(call: &Call) -> Outcome {
    let asked: Arguments = arguments::read(&call.arguments)?;
    let limit = within("limit", asked.limit, USUAL, 1..=MOST)?;
    let app = &call.client.app;
    let pattern = ChannelPattern::parse(CHANNEL).expect("invariant: this is a channel");
    let now = Timestamp::now();
    let kept = app.router.snapshot(&pattern);
    let states = kept.iter().filter(|event| &*event.kind == STATE);
    // A client may publish what looks like a state and is none.
    let states = states.filter_map(|event| serde_json::from_slice::<State>(event.data.as_bytes()).ok());
    let mut agents: Vec<Agent> = states
        .map(|state| state.told(now))
        .filter(|agent| asked.doing.is_none_or(|doing| agent.doing == doing))
        .collect();
    agents.sort_by(|a, b| a.doing.cmp(&b.doing).then_with(|| a.since.cmp(&b.since)).then_with(|| a.id.cmp(&b.id)));
    let total = agents.len() as u64;
    agents.truncate(limit as usize);
    let source = app.ports().sources().into_iter().find(|source| source.name == SOURCE);
    let note = match source.map(|source| source.state) {
        Some(SourceState::Up) => None,
        Some(SourceState::Disabled) | None => Some(format!(
            "the source `{SOURCE}` is not enabled, so nobody keeps this up to date; a person can enable it: headwater source \
             enable {SOURCE}"
        )),
        Some(state) => Some(format!("the source `{SOURCE}` is {}, so this may be out of date", state.as_str())),
    };
    Ok(answer(&Answer { agents, total, note }))
}
