//! `publish_event`: one event in, by the same checks, limits and keys as over HTTP.

use super::{
    arguments,
    caller::Client,
    fault::Fault,
    tools::{Call, Outcome, answer},
    which::Level,
};
use crate::http::ingest::{too_fast, unpublished};
use headwater_event::Position;
use headwater_protocol::publish::decode_item;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Instant};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Where: letters, digits and `_ . : / -`. It comes to be with its first event.
    channel: String,
    /// What happened, as in `deploy.finished`; 1 to 128 bytes.
    r#type: String,
    /// What there is to say about it; any JSON, usually an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Level>,
    /// At most 32 flat strings to filter by.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, String>>,
    /// When it was observed, if not now: RFC 3339, as in `2026-01-31T12:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    /// Keeps the event as the last one of this key, for late subscribers and `get_snapshot`; at most 128 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The same key in the same channel is published once within two minutes, and answered alike; 1 to 128 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
}

impl Arguments {
    /// An event that says no more than this.
    pub(super) fn plain(channel: &str, kind: &str, data: Value) -> Self {
        Self { channel: channel.to_owned(), r#type: kind.to_owned(), data: Some(data), ..Self::default() }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    channel: String,
    /// The channel's numbering, 16 hexadecimal digits.
    epoch: String,
    /// The event's number in the channel.
    offset: u64,
    /// For `wait_for_event`: waits for what comes in this channel after the event, such as an answer to it.
    live_cursor: String,
}

pub(super) async fn run(call: Call) -> Outcome {
    let asked: Arguments = arguments::read(&call.arguments)?;
    let position = publish(&call.client, &asked).await?;
    Ok(answer(&Answer {
        live_cursor: format!("{}@{position}", asked.channel),
        channel: asked.channel,
        epoch: position.epoch.to_string(),
        offset: position.offset,
    }))
}

/// Publishes one event and waits until it is kept.
pub(super) async fn publish(client: &Client, event: &Arguments) -> Result<Position, Fault> {
    let app = &client.app;
    let json = serde_json::to_vec(event).expect("invariant: an event has only strings as keys");
    let item = decode_item(&json)?;
    app.ingest.take(client.address, 1, Instant::now()).map_err(|wait| too_fast(app, wait))?;
    let published = app.publisher.publish(vec![item]);
    let ack = published.map_err(|error| unpublished(&error, "nothing was published"))?;
    let positions =
        ack.await.map_err(|error| unpublished(&error.into(), "the event may have been seen, but is not kept"))?;
    Ok(*positions.first().expect("invariant: an ack has a position for each draft"))
}
