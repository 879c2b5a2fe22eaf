//! The five tools that clients of the services before this bus know by name. Their rooms are the channels here, and what they
//! count is counted.

use super::{
    arguments,
    publish::{self, publish},
    tools::{Call, Outcome, answer},
};
use crate::http::App;
use headwater_event::Timestamp;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    /// The ids of the WebSocket connections.
    connections: Vec<String>,
    /// By name.
    rooms: BTreeMap<String, Room>,
    total_connections: u64,
    total_rooms: u64,
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
    connection_ids: Vec<String>,
}

pub(super) async fn status(call: Call) -> Outcome {
    let app = &call.client.app;
    let (connections, rooms) = census(app).await;
    Ok(answer(&Status {
        server: Server {
            status: status_of(app).to_owned(),
            host: app.options.listen.ip().to_string(),
            port: app.options.listen.port(),
        },
        total_connections: connections.len() as u64,
        connections,
        total_rooms: rooms.len() as u64,
        rooms,
    }))
}

/// The connections, and who reads each channel.
async fn census(app: &App) -> (Vec<String>, BTreeMap<String, Room>) {
    let readers = app.census().await;
    // After the census: a channel that somebody reads is there.
    let channels = app.router.channels().into_iter();
    let mut rooms: BTreeMap<String, Room> = channels.map(|info| (info.channel.to_string(), Room::default())).collect();
    let mut connections = Vec::with_capacity(readers.len());
    for reader in readers {
        for channel in reader.channels {
            let room = rooms.entry(channel.to_string()).or_default();
            room.subscribers += 1;
            room.connection_ids.push(reader.connection.clone());
        }
        connections.push(reader.connection);
    }
    (connections, rooms)
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Rooms {
    /// By name.
    rooms: BTreeMap<String, Subscribers>,
    total_rooms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Subscribers {
    subscribers: u64,
}

pub(super) async fn list(call: Call) -> Outcome {
    let (_, rooms) = census(&call.client.app).await;
    let rooms: BTreeMap<String, Subscribers> =
        rooms.into_iter().map(|(name, room)| (name, Subscribers { subscribers: room.subscribers })).collect();
    Ok(answer(&Rooms { total_rooms: rooms.len() as u64, rooms }))
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
    /// WebSocket connections that were subscribed to the room when it was published.
    subscribers: u64,
    message: String,
}

pub(super) async fn broadcast(call: Call) -> Outcome {
    let asked: TestEvent = arguments::read(&call.arguments)?;
    let mut data = asked.data.unwrap_or_default();
    data.insert("timestamp".into(), Timestamp::now().to_string().into());
    data.insert("test".into(), true.into());
    let event = publish::Arguments::plain(&asked.room, &asked.event_type, data.into());
    let position = publish(&call.client, &event).await?;
    let readers = call.client.app.census().await;
    let reads = readers.iter().filter(|reader| reader.channels.iter().any(|channel| channel.as_str() == asked.room));
    Ok(answer(&Broadcast {
        status: "broadcasted".into(),
        message: format!("`{}` is event {} of `{}`", asked.event_type, position.offset, asked.room),
        event_type: asked.event_type,
        subscribers: reads.count() as u64,
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
