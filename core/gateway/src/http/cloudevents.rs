//! `POST /v1/events` with CloudEvents: one event as an object, a batch, or headers and a body. The mapping is the
//! protocol's; here stand the query that gives a channel to events without one, and the answers.

use super::problem::{Kind, Problem};
use axum::http::{HeaderMap, HeaderValue, header};
use headwater_event::{ChannelName, Draft};
use headwater_protocol::{
    ErrorCode, RequestError,
    cloudevents::{self, Mode},
};

/// In which form a request holds CloudEvents, if it does.
pub(super) fn mode(headers: &HeaderMap) -> Result<Option<Mode>, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Mode::of(content_type, headers.contains_key("ce-specversion")).map_err(|error| {
        Problem::new(Kind::MEDIA_TYPE, error.message)
            .header(header::ACCEPT, HeaderValue::from_static("application/cloudevents+json, application/json"))
    })
}

/// All events of a request, or what is wrong with the first bad one.
pub(super) fn decode(
    mode: Mode,
    headers: &HeaderMap,
    body: &[u8],
    channel: Option<&ChannelName>,
) -> Result<Vec<Draft>, Problem> {
    let items = match mode {
        Mode::Structured => cloudevents::decode_structured(body, channel).map(|item| vec![item]),
        Mode::Batch => cloudevents::decode_batch(body, channel),
        Mode::Binary => {
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            cloudevents::decode_binary(headers, body, channel).map(|item| vec![item])
        }
    };
    let items = items.map_err(|error| refused(&error))?;
    if items.is_empty() {
        return Err(Problem::new(ErrorCode::Validation, "there is no event in the batch"));
    }
    Ok(items)
}

fn refused(error: &RequestError) -> Problem {
    Problem::new(error.code, format!("{}; nothing was published", error.message))
}
