//! From a text message to a request. Fields that are not known are ignored, so that a newer client is understood as far
//! as it goes; a field that is known and wrong is refused.

mod field;
mod history;
mod options;
mod publish;
mod replay;
mod session;
mod subscribe;
#[cfg(test)]
mod whatever_comes;

use crate::{
    CommandRequest, ErrorCode, FilterSpec, OneOrMany, Request, RequestError, RequestId,
    publish::{Items, Text, object, syntax},
};
use bytes::Bytes;
use headwater_event::{ChannelPattern, Draft};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The most channels and patterns of one message; more would make one small message cost much.
const MAX_CHANNELS: usize = 128;
/// The longest filter, in bytes: it is run for each event.
const MAX_FILTER: usize = 4096;
/// Every message type, for whoever wrote another one.
const KNOWN: &str = "subscribe, unsubscribe, publish, snapshot, request_historical_data, replay, replay_control, command, \
                     heartbeat, auth, disconnect";

/// A message in one pass: what every message may have, and what `publish` has, which comes most often.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    command: Option<&'a RawValue>,
    #[serde(default)]
    request_id: Option<RequestId>,
    #[serde(borrow, default)]
    channel: Option<Text<'a>>,
    #[serde(borrow, default)]
    event: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    severity: Option<Text<'a>>,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    timestamp: Option<Text<'a>>,
    #[serde(default)]
    key: Option<Box<str>>,
    #[serde(default)]
    idempotency_key: Option<Box<str>>,
    #[serde(default)]
    events: Option<Items>,
}

/// What says which message it is, when the rest cannot be read.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    command: Option<&'a RawValue>,
    #[serde(default)]
    request_id: Option<RequestId>,
}

pub(super) fn request(text: &str, before: Option<&Draft>) -> Result<Request, RequestError> {
    object(text.as_bytes())?;
    match serde_json::from_str::<Message<'_>>(text) {
        Ok(message) if message.kind.as_ref().is_some_and(|Text(kind)| kind == "publish") => {
            let request_id = message.request_id.clone();
            let items = publish::items(message, before).map_err(|error| error.answering(request_id.clone()))?;
            Ok(Request::Publish { items, request_id })
        }
        Ok(Message { kind, command, request_id, .. }) => {
            by_kind(text, kind.as_ref(), command.is_some(), request_id.as_ref())
        }
        // A field is wrong, perhaps one that its message does not have: by its kind it is known what is wrong with it.
        Err(_) => {
            let Head { kind, command, request_id } = from_str(text)?;
            by_kind(text, kind.as_ref(), command.is_some(), request_id.as_ref())
        }
    }
}

/// Reads a message whose kind is known with the fields of that kind.
fn by_kind(
    text: &str,
    kind: Option<&Text<'_>>,
    commands: bool,
    id: Option<&RequestId>,
) -> Result<Request, RequestError> {
    let refuse = |error: RequestError| error.answering(id.cloned());
    let kind = match kind {
        Some(Text(kind)) => kind,
        None if commands => "command",
        None => return Err(refuse(RequestError::validation("`type` is missing"))),
    };
    match kind {
        "subscribe" => subscribe::request(text, id.cloned()).map(Request::Subscribe),
        "unsubscribe" => channels(text).map(|channels| Request::Unsubscribe { channels, request_id: id.cloned() }),
        "snapshot" => channels(text).map(|channels| Request::Snapshot { channels, request_id: id.cloned() }),
        "publish" => Err(publish::wrong_item(text)),
        "command" => command(text, id.cloned()),
        "request_historical_data" => history::request(text, id.cloned()).map(Request::History),
        "replay" => replay::request(text, id.cloned()).map(Request::Replay),
        "replay_control" => replay::control(text, id.cloned()),
        "heartbeat" => session::heartbeat(text),
        "auth" => session::authenticate(text, id.cloned()),
        "disconnect" => session::disconnect(text),
        other => Err(RequestError::new(
            ErrorCode::UnknownMessageType,
            format!("no message type `{}`; known: {KNOWN}", other.chars().take(64).collect::<String>()),
        )),
    }
    .map_err(refuse)
}

fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RequestError> {
    serde_json::from_str(text).map_err(|error| syntax(&error))
}

fn channels(text: &str) -> Result<Vec<ChannelPattern>, RequestError> {
    #[derive(Deserialize)]
    struct Channels {
        channels: OneOrMany,
    }
    let Channels { channels } = from_str(text)?;
    let names = bounded(channels)?;
    names
        .iter()
        .map(|name| {
            ChannelPattern::parse(name).map_err(|error| RequestError::validation(format!("channel `{name}`: {error}")))
        })
        .collect()
}

fn filter(raw: Option<&RawValue>) -> Result<FilterSpec, RequestError> {
    let Some(raw) = raw else { return Ok(FilterSpec::default()) };
    if raw.get().len() > MAX_FILTER {
        return Err(RequestError::validation(format!("`filter` has at most {MAX_FILTER} bytes")));
    }
    field::is_object("`filter`", raw)?;
    serde_json::from_str(raw.get()).map_err(|error| RequestError::validation(format!("`filter`: {error}")))
}

fn bounded(channels: OneOrMany) -> Result<Vec<String>, RequestError> {
    let names = channels.into_vec();
    if names.is_empty() {
        return Err(RequestError::validation("`channels` is empty; name at least one channel or pattern"));
    }
    if names.len() > MAX_CHANNELS {
        return Err(RequestError::validation(format!("`channels` has at most {MAX_CHANNELS} entries a message")));
    }
    Ok(names)
}

fn command(text: &str, request_id: Option<RequestId>) -> Result<Request, RequestError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        command: String,
        #[serde(borrow, default)]
        parameters: Option<&'a RawValue>,
    }
    let body: Body<'_> = from_str(text)?;
    let request_id = request_id
        .ok_or_else(|| RequestError::validation("`request_id` is missing; the answers to a command carry it"))?;
    let parameters = body.parameters.map_or("{}", RawValue::get);
    object(parameters.as_bytes()).map_err(|_| RequestError::validation("`parameters` is an object"))?;
    Ok(Request::Command(CommandRequest {
        target: body.command,
        parameters: Bytes::copy_from_slice(parameters.as_bytes()),
        request_id,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> RequestError {
        request(text, None).unwrap_err()
    }

    #[test]
    fn an_error_carries_the_request_id_and_says_what_is_known() {
        let error = refused(r#"{"type":"dance","request_id":"r1"}"#);
        assert_eq!(error.code, ErrorCode::UnknownMessageType);
        assert_eq!(error.request_id.unwrap().as_json(), "\"r1\"");
        assert!(error.message.contains("subscribe"));
        assert_eq!(refused("{").code, ErrorCode::InvalidJson);
        assert_eq!(refused("[]").code, ErrorCode::InvalidJson);
        assert_eq!(refused("{}").code, ErrorCode::Validation);
        assert_eq!(refused(r#"{"type":"heartbeat","type":"publish"}"#).code, ErrorCode::Validation);
        assert!(refused(r#"{"type":"command","command":"x"}"#).message.contains("request_id"));
        assert!(refused(r#"{"type":"heartbeat","request_id":{}}"#).message.contains("request_id"));
    }

    #[test]
    fn a_command_without_a_type_is_understood() {
        let text = r#"{"command":"measure","request_id":"r"}"#;
        let Request::Command(command) = request(text, None).unwrap() else { panic!() };
        assert_eq!((command.target.as_str(), &*command.parameters), ("measure", &b"{}"[..]));
    }

    #[test]
    fn a_publish_can_be_sent_again() {
        let keys = |text: &str| -> Vec<String> {
            let Ok(Request::Publish { items, .. }) = request(text, None) else { panic!("{text}") };
            items.iter().map(|item| item.idempotency_key.as_deref().unwrap_or("").to_owned()).collect()
        };
        assert_eq!(keys(r#"{"type":"publish","channel":"a","event":"t","idempotency_key":"k"}"#), ["k"]);
        let list = r#"{"type":"publish","events":[{"channel":"a","type":"t","idempotency_key":"own"},{"channel":"a","type":"t"}],"idempotency_key":"k"}"#;
        assert_eq!(keys(list), ["own", "k:1"]);
        assert_eq!(keys(r#"{"type":"publish","channel":"a","event":"t"}"#), [""]);
        let long = format!(r#"{{"type":"publish","channel":"a","event":"t","idempotency_key":"{}"}}"#, "k".repeat(129));
        assert!(refused(&long).message.contains("`idempotency_key` has 1 to 128 bytes"));
    }

    #[test]
    fn publish_takes_one_event_or_a_list_and_names_the_wrong_item() {
        let one = r#"{"type":"publish","channel":"a","event":"t","data":1}"#;
        assert!(matches!(request(one, None).unwrap(), Request::Publish { items, .. } if items.len() == 1));
        let list = r#"{"type":"publish","events":[{"channel":"a","type":"t"},{"channel":"a b","type":"t"}]}"#;
        assert!(refused(list).message.contains("item 1"));
        let mistyped =
            r#"{"type":"publish","events":[{"channel":"a","type":"t"},{"channel":7,"type":"t"}],"request_id":1}"#;
        let error = refused(mistyped);
        assert!(error.message.contains("item 1") && error.request_id.is_some(), "{error}");
        assert!(refused(r#"{"type":"publish","events":[["a","t"]]}"#).message.contains("item 0"));
        assert!(refused(r#"{"type":"publish","channel":"a","event":7}"#).message.contains("string"));
        assert!(
            refused(r#"{"type":"publish","channel":"a","event":"t","events":7}"#)
                .message
                .contains("list of JSON objects")
        );
    }
}
