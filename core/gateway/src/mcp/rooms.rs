//! The five tools that clients of the services before this bus know by name. Their rooms are the channels here, and what they
//! count is counted.

use super::{
    arguments::{self, wrong},
    fault::Fault,
    publish::{self, publish},
    tools::{Call, Outcome, answer},
};
use crate::{
    http::App,
    websocket::{Counted, Question},
};
use headwater_event::{ChannelPattern, Timestamp};
use headwater_protocol::ErrorCode;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, iter::repeat_with};

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    /// healthy; error: it starts or ends; stopped: no daemon runs.
    status: String,
    /// What to do where it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// WebSocket connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u64>,
    /// Channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<u64>,
    /// HTTP and WebSocket connections together.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<u64>,
    /// Messages a second of one WebSocket connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_rate_limit: Option<u32>,
}

pub(super) fn health(call: &Call) -> Value {
    let app = &call.client.app;
    let ready = app.ports().ready();
    answer(&Health {
        status: status_of(app).to_owned(),
        message: (!ready).then(|| "the daemon starts or ends; ask again in a moment".to_owned()),
        host: Some(app.options.listen.ip().to_string()),
        port: Some(app.options.listen.port()),
        connections: Some(app.websockets() as u64),
        rooms: Some(app.router.channels().len() as u64),
        max_connections: Some(app.options.max_connections as u64),
        message_rate_limit: Some(app.options.limits.messages_per_second),
    })
}

/// Without a daemon.
pub(super) fn stopped(why: &str) -> Value {
    json!({ "status": "stopped", "message": why })
}

fn status_of(app: &App) -> &'static str {
    if app.ports().ready() { "healthy" } else { "error" }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    server: Server,
    /// The ids of the WebSocket connections, at most 100.
    connections: Vec<String>,
    /// By name, at most 100.
    rooms: BTreeMap<String, Room>,
    /// All connections.
    total_connections: u64,
    /// All rooms that were asked for.
    total_rooms: u64,
    /// Only where not all connections, rooms or ids are told: what was left out is counted all the same, and `room` asks for
    /// fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Server {
    status: String,
    host: String,
    port: u16,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Room {
    /// WebSocket connections that are subscribed to it, by a pattern too.
    subscribers: u64,
    /// Their ids, at most 20.
    connection_ids: Vec<String>,
}

/// Which rooms.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Only rooms (channels) that fit this pattern, as in `workflow:*`. Without it, all.
    room: Option<String>,
}

pub(super) async fn status(call: Call) -> Outcome {
    let app = &call.client.app;
    let asked: Arguments = arguments::read(&call.arguments)?;
    let Census { rooms, total, connections } = census(app, &asked, STATUS).await?;
    let all_named = rooms.values().all(|room| room.connection_ids.len() as u64 == room.subscribers);
    let all = all_named && total == rooms.len() as u64 && connections.count == connections.names.len() as u64;
    Ok(answer(&Status {
        server: Server {
            status: status_of(app).to_owned(),
            host: app.options.listen.ip().to_string(),
            port: app.options.listen.port(),
        },
        total_connections: connections.count,
        connections: connections.names,
        total_rooms: total,
        rooms,
        truncated: (!all).then_some(true),
    }))
}

/// How much one answer tells. A thousand connections that read a thousand channels each would be a million ids.
#[derive(Clone, Copy)]
struct Most {
    /// The first rooms by name.
    rooms: usize,
    /// Ids of each.
    readers: usize,
    /// Ids of all.
    connections: usize,
}

const STATUS: Most = Most { rooms: 100, readers: 20, connections: 100 };
const LIST: Most = Most { rooms: 1_000, readers: 0, connections: 0 };
const COUNT: Most = Most { rooms: 1, ..LIST };

/// The rooms that were asked for, and who is there.
struct Census {
    rooms: BTreeMap<String, Room>,
    /// All that were asked for.
    total: u64,
    connections: Counted,
}

async fn census(app: &App, which: &Arguments, most: Most) -> Result<Census, Fault> {
    let pattern = ChannelPattern::parse(which.room.as_deref().unwrap_or("*"));
    let logs = app.router.logs(&pattern.map_err(|error| wrong(format!("`room`: {error}")))?);
    let channels = logs.iter().take(most.rooms).map(|log| log.name().clone()).collect();
    let Most { readers, connections, .. } = most;
    let question = Question { channels, readers, connections };
    let Some(found) = app.census(question.clone()).await else {
        return Err(Fault::new(ErrorCode::Unavailable, "many others are asking for the same"));
    };
    let room = |readers: Counted| Room { subscribers: readers.count, connection_ids: readers.names };
    let names = question.channels.iter().map(ToString::to_string);
    Ok(Census {
        // A gateway that ends knows of nobody.
        rooms: names.zip(found.channels.into_iter().chain(repeat_with(Counted::default)).map(room)).collect(),
        total: logs.len() as u64,
        connections: found.connections,
    })
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed {
    /// By name, at most 1000.
    rooms: BTreeMap<String, Subscribers>,
    /// All that were asked for.
    total_rooms: u64,
    /// Only where not all are told; `room` asks for fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Subscribers {
    subscribers: u64,
}

pub(super) async fn list(call: Call) -> Outcome {
    let asked: Arguments = arguments::read(&call.arguments)?;
    let Census { rooms, total, .. } = census(&call.client.app, &asked, LIST).await?;
    let rooms: BTreeMap<String, Subscribers> =
        rooms.into_iter().map(|(name, room)| (name, Subscribers { subscribers: room.subscribers })).collect();
    Ok(answer(&Listed { total_rooms: total, truncated: (total > rooms.len() as u64).then_some(true), rooms }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestEvent {
    /// Its type.
    event_type: String,
    /// The channel.
    room: String,
    /// More for its data.
    data: Option<JsonObject>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Broadcast {
    /// broadcasted
    status: String,
    event_type: String,
    room: String,
    /// WebSocket connections that were subscribed to the room when it was published; absent where it could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribers: Option<u64>,
    message: String,
}

pub(super) async fn broadcast(call: Call) -> Outcome {
    let asked: TestEvent = arguments::read(&call.arguments)?;
    let mut data = asked.data.unwrap_or_default();
    data.insert("timestamp".into(), Timestamp::now().to_string().into());
    data.insert("test".into(), true.into());
    let event = publish::Arguments::plain(&asked.room, &asked.event_type, data.into());
    let position = publish(&call.client, &event).await?;
    // A name is a pattern that means itself.
    let readers = census(&call.client.app, &Arguments { room: Some(asked.room.clone()) }, COUNT).await.ok();
    let subscribers = readers.and_then(|census| Some(census.rooms.get(&asked.room)?.subscribers));
    Ok(answer(&Broadcast {
        status: "broadcasted".into(),
        message: format!("`{}` is event {} of `{}`", asked.event_type, position.offset, asked.room),
        event_type: asked.event_type,
        subscribers,
        room: asked.room,
    }))
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Figures {
    uptime_seconds: f64,
    /// Events published since the daemon started.
    total_broadcasts: u64,
    /// Events published a second, on average since the daemon started.
    average_message_rate: f64,
    /// The most WebSocket connections at once since the daemon started.
    peak_connections: u64,
    /// WebSocket connections.
    current_connections: u64,
}

pub(super) fn metrics(call: &Call) -> Value {
    let app = &call.client.app;
    let (uptime, published) = (app.uptime().as_secs_f64(), app.router.counters().published);
    answer(&Figures {
        uptime_seconds: (uptime * 1000.0).round() / 1000.0,
        total_broadcasts: published,
        average_message_rate: published as f64 / uptime.max(0.001),
        peak_connections: app.peak() as u64,
        current_connections: app.websockets() as u64,
    })
}
