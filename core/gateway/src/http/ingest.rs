//! `POST /v1/events`: events in over HTTP. The whole call is published or nothing of it.

use super::{
    answer,
    app::{App, Peer},
    channels::bad_query,
    cloudevents,
    items::{self, Format},
    problem::{Kind, Problem},
};
use crate::refusal;
use axum::{
    Extension,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use headwater_event::{ChannelName, Epoch, Position};
use headwater_protocol::{ErrorCode, cloudevents::Mode, publish::share_key};
use headwater_router::RouterError;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Serialize, Serializer};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a body may take to arrive. One byte a minute would otherwise hold a connection for years.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// The answer. It borrows: a body of thousands of events has an answer of thousands of positions.
#[derive(Serialize)]
struct Published<'a> {
    accepted: usize,
    positions: Vec<At<'a>>,
}

#[derive(Serialize)]
struct At<'a> {
    channel: &'a str,
    epoch: Digits,
    offset: u64,
}

/// An epoch as answers have it.
struct Digits(Epoch);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'a> Published<'a> {
    fn new(channels: &'a [ChannelName], positions: &[Position]) -> Self {
        let at = |(channel, position): (&'a ChannelName, &Position)| At {
            channel: channel.as_str(),
            epoch: Digits(position.epoch),
            offset: position.offset,
        };
        Self { accepted: channels.len(), positions: channels.iter().zip(positions).map(at).collect() }
    }
}

/// What a body holds.
#[derive(Clone, Copy)]
enum Form {
    Items(Format),
    CloudEvents(Mode),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    /// For CloudEvents that name no channel themselves.
    channel: Option<String>,
}

impl To {
    fn channel(self, form: Form) -> Result<Option<ChannelName>, Problem> {
        let Some(name) = self.channel else { return Ok(None) };
        if let Form::Items(_) = form {
            let detail = "`channel` in the query is for CloudEvents; name it in each event";
            return Err(Problem::new(ErrorCode::Validation, detail));
        }
        let name = ChannelName::new(&name);
        name.map(Some).map_err(|error| Problem::new(ErrorCode::Validation, format!("`channel`: {error}")))
    }
}

pub(super) async fn publish(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let Query(to) = Query::<To>::try_from_uri(&head.uri).map_err(|error| bad_query(&error))?;
    // What cannot be read is refused before its body is.
    let form = form(&head.headers)?;
    let to = to.channel(form)?;
    let body = whole(body, &head.headers, app.options.max_ingest_bytes).await?;
    let mut items = match form {
        Form::Items(format) => items::decode(format, &body)?,
        Form::CloudEvents(mode) => cloudevents::decode(mode, &head.headers, &body, to.as_ref())?,
    };
    if let Some(key) = idempotency_key(&head.headers)? {
        share_key(&mut items, key).map_err(|error| Problem::new(error.code, error.message))?;
    }
    drop(body);
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    app.ingest.take(peer.address.ip(), count, Instant::now()).map_err(|wait| too_fast(&app, wait))?;
    let channels: Vec<ChannelName> = items.iter().map(|item| item.channel.clone()).collect();
    let ack = app.publisher.publish(items).map_err(|error| unpublished(&error, "nothing was published"))?;
    // By now a local engine has handed the events to their readers; only their keeping has failed.
    let positions =
        ack.await.map_err(|error| unpublished(&error.into(), "the events may have been seen, but are not kept"))?;
    Ok(answer::json(StatusCode::ACCEPTED, &Published::new(&channels, &positions)))
}

/// `Idempotency-Key`: a string in quotes, as the draft standard has it, or just as most clients send it.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::new(ErrorCode::Validation, "`Idempotency-Key` is no plain text"))?;
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    Ok(Some(inner.into()))
}

/// Refuses a body that is compressed.
pub(super) fn uncompressed(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let detail = "the body is compressed; send it as it is";
        return Err(Problem::new(Kind::MEDIA_TYPE, detail)
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    Ok(())
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    uncompressed(headers)?;
    if let Some(mode) = cloudevents::mode(headers)? {
        return Ok(Form::CloudEvents(mode));
    }
    Format::of(headers).map(Form::Items).ok_or_else(|| {
        let detail =
            "send application/json (one event or an array), application/x-ndjson (one event a line) or CloudEvents";
        Problem::new(Kind::MEDIA_TYPE, detail)
    })
}

/// The body, if it is small enough and comes in time.
pub(crate) async fn whole(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!(
            "the body has more than {limit} bytes; send fewer events at once or raise \
             gateway.max_ingest_bytes"
        );
        Problem::new(Kind::TOO_LARGE, detail)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Before the first byte is read: a client that waits for `100 Continue` need not send it at all.
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::new(ErrorCode::Validation, format!("the body ended early: {error}"))),
        Err(_) => {
            let detail = format!("the body took longer than {} s", BODY_DEADLINE.as_secs());
            Err(Problem::new(Kind::TOO_SLOW, detail))
        }
    }
}

pub(crate) fn too_fast(app: &App, wait: Duration) -> Problem {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    let rate = app.options.limits.publish_per_second;
    Problem::new(ErrorCode::RateLimit, format!("at most {rate} events a second; come back in {seconds} s"))
        .header(header::RETRY_AFTER, seconds)
}

pub(crate) fn unpublished(error: &RouterError, outcome: &str) -> Problem {
    let mut refused = refusal::by_router(error);
    refused.message = format!("{}; {outcome}", refused.message);
    refused.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::{Body as HttpBody, Frame};
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    /// A body of which nothing ever comes.
    struct Never;

    impl HttpBody for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    /// Harm prevented: a body that never ends holds its connection for ever.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let start = tokio::time::Instant::now();
        let problem = whole(Body::new(Never), &HeaderMap::new(), 1000).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::TOO_SLOW);
        assert!(start.elapsed() >= BODY_DEADLINE);
    }
}
