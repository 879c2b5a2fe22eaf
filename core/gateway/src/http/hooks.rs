//! `POST /v1/hooks/{emitter}` and `POST /v1/logs`: what agents say of themselves. An agent waits for its hook, so that the
//! answer comes as soon as the router has the events, and not when they are kept.

use super::{
    answer,
    app::{App, Peer},
    channels::bad_query,
    ingest::{idempotency_key, too_fast, uncompressed, unpublished, whole},
    items::Format,
    problem::{Kind, Problem},
};
use axum::{
    Extension,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use headwater_event::Draft;
use headwater_protocol::{
    ErrorCode, RequestError,
    hooks::{self, EMITTERS, Text},
    publish::share_key,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{sync::Arc, time::Instant};

#[derive(Serialize)]
struct Taken {
    accepted: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    text: Option<String>,
}

pub(super) async fn hook(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Path(emitter): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let text = text(&head.uri)?;
    let emitter = known(&emitter)?;
    let format = format(&head.headers, "send application/json (one hook) or application/x-ndjson (one hook a line)")?;
    let body = whole(body, &head.headers, app.options.max_ingest_bytes).await?;
    let items = match format {
        Format::Json => hooks::decode(emitter, &body, text).map(|item| vec![item]),
        Format::Lines => hooks::decode_lines(emitter, &body, text),
    };
    let items = items.map_err(|error| refused(&error))?;
    let accepted = items.len();
    publish(&app, &peer, &head.headers, items)?;
    Ok(answer::json(StatusCode::ACCEPTED, &Taken { accepted }))
}

pub(super) async fn logs(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let text = text(&head.uri)?;
    let how = "send application/json: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json";
    if format(&head.headers, how)? != Format::Json {
        return Err(Problem::new(Kind::MEDIA_TYPE, how));
    }
    let body = whole(body, &head.headers, app.options.max_ingest_bytes).await?;
    let logs = hooks::decode_logs(&body, text).map_err(|error| refused(&error))?;
    if !logs.items.is_empty() {
        publish(&app, &peer, &head.headers, logs.items)?;
    }
    Ok(answer::json(StatusCode::OK, &json!({ "partialSuccess": partial(logs.rejected) })))
}

/// The answer that the protocol wants: nothing, or what was left out. Numbers of 64 bits are strings in it.
fn partial(rejected: usize) -> Value {
    match rejected {
        0 => json!({}),
        count => json!({
            "rejectedLogRecords": count.to_string(),
            "errorMessage": "too many records in one request; lower OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        }),
    }
}

fn publish(app: &App, peer: &Peer, headers: &HeaderMap, mut items: Vec<Draft>) -> Result<(), Problem> {
    if let Some(key) = idempotency_key(headers)? {
        share_key(&mut items, key).map_err(|error| refused(&error))?;
    }
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    app.ingest.take(peer.address.ip(), count, Instant::now()).map_err(|wait| too_fast(app, wait))?;
    let ack = app.publisher.publish(items).map_err(|error| unpublished(&error, "nothing was published"))?;
    // The events are on their way. Whether the disk has them is for nobody to wait for: an agent stands still meanwhile.
    drop(ack);
    Ok(())
}

/// The table's own copy of an emitter's name.
fn known(emitter: &str) -> Result<&'static str, Problem> {
    EMITTERS.into_iter().find(|known| *known == emitter).ok_or_else(|| {
        let detail = format!("no emitter has this name; the emitters are {}", EMITTERS.join(", "));
        Problem::new(ErrorCode::NotFound, detail)
    })
}

fn text(uri: &Uri) -> Result<Text, Problem> {
    let Query(asked) = Query::<Asked>::try_from_uri(uri).map_err(|error| bad_query(&error))?;
    match asked.text.as_deref() {
        None | Some("0" | "false") => Ok(Text::Sizes),
        Some("1" | "true") => Ok(Text::Kept),
        Some(_) => Err(Problem::new(ErrorCode::Validation, "`text` is 1, to keep prompts and answers, or 0")),
    }
}

/// Of what form a body is, by its media type. A page of another site can send none of these without asking first.
fn format(headers: &HeaderMap, how: &str) -> Result<Format, Problem> {
    uncompressed(headers)?;
    Format::of(headers).ok_or_else(|| Problem::new(Kind::MEDIA_TYPE, how))
}

fn refused(error: &RequestError) -> Problem {
    Problem::new(error.code, format!("{}; nothing was published", error.message))
}
