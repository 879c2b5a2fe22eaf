//! `/v1/channels` and `/v1/snapshot`: which channels there are, and what they retain.

use super::{answer, app::App, problem::Problem};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use headwater_event::ChannelPattern;
use headwater_protocol::ErrorCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize)]
struct Channels {
    channels: Vec<Channel>,
}

#[derive(Serialize)]
struct Channel {
    #[serde(rename = "channel")]
    name: String,
    epoch: String,
    first: u64,
    head: u64,
    events: u64,
    bytes: u64,
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    let channels = app.router.channels().into_iter().map(|info| Channel {
        name: info.channel.to_string(),
        epoch: info.epoch.to_string(),
        first: info.first,
        head: info.head,
        events: info.events,
        bytes: info.bytes,
    });
    answer::json(StatusCode::OK, &Channels { channels: channels.collect() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// A name or a pattern; all channels without one.
    channel: Option<String>,
}

pub(super) async fn snapshot(
    State(app): State<Arc<App>>,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = query.map_err(|error| bad_query(&error))?;
    let pattern = ChannelPattern::parse(which.channel.as_deref().unwrap_or("*"))
        .map_err(|error| Problem::new(ErrorCode::Validation, format!("`channel`: {error}")))?;
    Ok(answer::events(app.router.snapshot(&pattern)))
}

/// A query that is not the one of its route. Misspelt keys are told, not ignored.
pub(super) fn bad_query(error: &QueryRejection) -> Problem {
    Problem::new(ErrorCode::Validation, format!("the query: {}", error.body_text()))
}
