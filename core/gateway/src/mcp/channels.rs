//! `list_channels` and `get_snapshot`: what there is to read, and what is true now.

use super::{
    arguments::{self, within, wrong},
    event::{LEAST_BYTES, MOST_BYTES, Shown, USUAL_BYTES, shown},
    fault::Fault,
    tools::{Call, Outcome, answer},
};
use headwater_event::{ChannelPattern, Event};
use headwater_router::{ChannelLog, PageLimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

/// The channels, or kept events, of an answer, usually and at most.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Only channels that fit this pattern, as in `workflow:*`. Without it, all.
    channel: Option<String>,
    /// The most channels of the answer, 1 to 1000. Default 100.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    /// By name.
    channels: Vec<Channel>,
    /// How many there are in all.
    total: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Channel {
    #[serde(rename = "channel")]
    name: String,
    /// Events that are in memory; the history may hold more.
    events: u64,
    /// The number of the first event in memory.
    first_offset: u64,
    /// The number of the last event there was; 0 before the first.
    last_offset: u64,
    /// When the last event was observed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_at: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_type: Option<String>,
    /// Kept events, one for each key: `get_snapshot` gives them.
    kept: u64,
    /// Sources that publish here. Clients may publish to any channel.
    sources: Vec<String>,
}

pub(super) fn run(call: &Call) -> Outcome {
    let asked: Arguments = arguments::read(&call.arguments)?;
    let limit = within("limit", asked.limit, USUAL, 1..=MOST)?;
    let pattern = pattern(asked.channel.as_deref().unwrap_or("*"))?;
    let app = &call.client.app;
    let logs = app.router.logs(&pattern);
    let mut kept: HashMap<String, u64> = HashMap::new();
    for event in app.router.snapshot(&pattern) {
        *kept.entry(event.channel.to_string()).or_default() += 1;
    }
    let sources: Vec<(String, Vec<ChannelPattern>)> = app
        .ports()
        .sources()
        .into_iter()
        .map(|source| {
            (source.name, source.channels.iter().filter_map(|text| ChannelPattern::parse(text).ok()).collect())
        })
        .collect();
    let describe = |log: &Arc<ChannelLog>| {
        let info = log.info();
        let name = info.channel.as_str();
        let last = last(log, info.head);
        let publishes = |(_, patterns): &&(String, Vec<ChannelPattern>)| patterns.iter().any(|one| one.matches(name));
        Channel {
            events: info.events,
            first_offset: info.first,
            last_offset: info.head,
            last_event_at: last.as_ref().map(|event| event.time.to_string()),
            last_event_type: last.map(|event| event.kind.to_string()),
            kept: kept.get(name).copied().unwrap_or(0),
            sources: sources.iter().filter(publishes).map(|(source, _)| source.clone()).collect(),
            name: name.to_owned(),
        }
    };
    let channels = logs.iter().take(limit as usize).map(describe).collect();
    Ok(answer(&Answer { channels, total: logs.len() as u64 }))
}

/// The last event, if memory holds it.
fn last(log: &ChannelLog, head: u64) -> Option<Arc<Event>> {
    let mut events = Vec::new();
    log.read(head, PageLimit { events: 1, bytes: usize::MAX }, &mut events);
    events.pop()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotArguments {
    /// A channel or a pattern.
    channel: String,
    /// Only the kept event of this key.
    key: Option<String>,
    /// The most events of the answer, 1 to 1000. Default 100.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u64>,
    /// The most text of events in this answer, in bytes, 1024 to 1048576. Default 32768, about 8000 tokens.
    #[schemars(range(min = 1024, max = 1_048_576))]
    max_bytes: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Snapshot {
    /// By channel, then by key.
    events: Vec<Shown>,
    /// How many there are in all; narrow the question down where not all are here.
    total: u64,
}

pub(super) fn snapshot(call: &Call) -> Outcome {
    let asked: SnapshotArguments = arguments::read(&call.arguments)?;
    let limit = within("limit", asked.limit, USUAL, 1..=MOST)?;
    let most = within("max_bytes", asked.max_bytes, USUAL_BYTES, LEAST_BYTES..=MOST_BYTES)?;
    let mut kept = call.client.app.router.snapshot(&pattern(&asked.channel)?);
    if let Some(key) = &asked.key {
        kept.retain(|event| kept_under(event) == Some(key));
    }
    let events = shown(kept.iter().take(limit as usize), most);
    Ok(answer(&Snapshot { events, total: kept.len() as u64 }))
}

fn kept_under(event: &Event) -> Option<&str> {
    match &event.retention {
        headwater_event::Retention::Keep(key) => Some(key),
        _ => None,
    }
}

fn pattern(text: &str) -> Result<ChannelPattern, Fault> {
    ChannelPattern::parse(text).map_err(|error| wrong(format!("`channel`: {error}")))
}
