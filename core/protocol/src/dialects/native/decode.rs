//! From a text message to a request. Fields that are not known are ignored, so that a newer client is understood as far
//! as it goes; a field that is known and wrong is refused.

mod publish;

use crate::{
    CommandRequest, ErrorCode, FilterSpec, LagPolicy, OneOrMany, Options, Request, RequestError, RequestId, Start,
    StartAt, Subscribe,
    publish::{ItemObject, Text, object, syntax},
};
use bytes::Bytes;
use headwater_event::{ChannelName, ChannelPattern, Epoch, Position};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The most channels and patterns of one message; more would make one small message cost much.
const MAX_CHANNELS: usize = 128;
/// The longest filter, in bytes: it is run for each event.
const MAX_FILTER: usize = 4096;

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
    #[serde(borrow, default)]
    key: Option<Text<'a>>,
    #[serde(borrow, default)]
    events: Option<Vec<ItemObject<'a>>>,
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

pub(super) fn request(text: &str) -> Result<Request, RequestError> {
    object(text.as_bytes())?;
    match serde_json::from_str::<Message<'_>>(text) {
        Ok(message) if message.kind.as_ref().is_some_and(|Text(kind)| kind == "publish") => {
            let request_id = message.request_id.clone();
            let items = publish::items(message).map_err(|error| error.answering(request_id.clone()))?;
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
        "subscribe" => subscribe(text, id.cloned()).map(Request::Subscribe),
        "unsubscribe" => channels(text).map(|channels| Request::Unsubscribe { channels, request_id: id.cloned() }),
        "snapshot" => channels(text).map(|channels| Request::Snapshot { channels, request_id: id.cloned() }),
        "publish" => Err(publish::wrong_item(text)),
        "command" => command(text, id.cloned()),
        "heartbeat" => {
            #[derive(Deserialize)]
            struct Heartbeat {
                #[serde(default)]
                timestamp: Option<String>,
            }
            from_str(text).map(|Heartbeat { timestamp }| Request::Heartbeat { timestamp })
        }
        "auth" => {
            #[derive(Deserialize)]
            struct Auth {
                token: String,
            }
            from_str(text).map(|Auth { token }| Request::Authenticate { token })
        }
        "disconnect" => {
            #[derive(Deserialize)]
            struct Disconnect {
                #[serde(default)]
                reason: Option<String>,
            }
            from_str(text).map(|Disconnect { reason }| Request::Disconnect { reason })
        }
        other => Err(RequestError::new(
            ErrorCode::UnknownMessageType,
            format!(
                "no message type `{}`; known: subscribe, unsubscribe, publish, snapshot, command, heartbeat, auth, disconnect",
                other.chars().take(64).collect::<String>()
            ),
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

fn subscribe(text: &str, request_id: Option<RequestId>) -> Result<Subscribe, RequestError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        channels: OneOrMany,
        #[serde(borrow, default)]
        filter: Option<&'a RawValue>,
        #[serde(borrow, default)]
        from: Option<&'a RawValue>,
        #[serde(default)]
        options: Option<RawOptions>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct RawOptions {
        include_historical: bool,
        filter_level: Option<String>,
        lag_policy: LagPolicy,
        streaming_mode: Option<String>,
        throttle_ms: Option<u64>,
        buffer_interval_ms: Option<u64>,
        max_buffer_size: Option<u64>,
        buffer_size: Option<u64>,
        priority_events: Option<Vec<String>>,
    }
    let body: Body<'_> = from_str(text)?;
    let options = body.options.unwrap_or_default();
    // An option that this version does not honour is refused: a client that asked for at most ten events a second and
    // was sent a thousand would have been lied to. The values that mean "as it comes" are fine.
    let unsupported = [
        ("streaming_mode", options.streaming_mode.as_deref().is_some_and(|mode| mode != "realtime")),
        ("throttle_ms", options.throttle_ms.is_some_and(|ms| ms > 0)),
        ("buffer_interval_ms", options.buffer_interval_ms.is_some()),
        ("max_buffer_size", options.max_buffer_size.is_some()),
        ("buffer_size", options.buffer_size.is_some()),
        ("priority_events", options.priority_events.is_some_and(|events| !events.is_empty())),
    ];
    if let Some((name, _)) = unsupported.iter().find(|(_, asked)| *asked) {
        return Err(RequestError::validation(format!("option `{name}` is not supported; leave it out")));
    }
    let (mut patterns, mut refused) = (Vec::new(), Vec::new());
    for name in bounded(body.channels)? {
        match ChannelPattern::parse(&name) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => refused.push((name, error.to_string())),
        }
    }
    let filter_level = options
        .filter_level
        .map(|word| word.parse().map_err(|error| RequestError::validation(format!("`filter_level`: {error}"))))
        .transpose()?;
    Ok(Subscribe {
        channels: patterns,
        refused,
        filter: body.filter.map_or_else(|| Ok(FilterSpec::default()), filter)?,
        start: body.from.map_or(Ok(Start::At(StartAt::Latest)), start)?,
        options: Options {
            include_historical: options.include_historical,
            filter_level,
            lag_policy: options.lag_policy,
        },
        request_id,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPosition {
    epoch: String,
    offset: u64,
}

impl RawPosition {
    fn position(self) -> Result<Position, RequestError> {
        let epoch = Epoch::parse(&self.epoch)
            .ok_or_else(|| RequestError::validation("`epoch` is the 16 hexadecimal digits of an earlier answer"))?;
        Ok(Position { epoch, offset: self.offset })
    }
}

fn filter(raw: &RawValue) -> Result<FilterSpec, RequestError> {
    if raw.get().len() > MAX_FILTER {
        return Err(RequestError::validation(format!("`filter` has at most {MAX_FILTER} bytes")));
    }
    from_str(raw.get())
}

fn start(raw: &RawValue) -> Result<Start, RequestError> {
    let wrong = || {
        RequestError::validation(
            "`from` is \"latest\", \"earliest\", {\"epoch\", \"offset\"}, or an object of those by channel",
        )
    };
    if let Ok(word) = serde_json::from_str::<String>(raw.get()) {
        return match word.as_str() {
            "latest" => Ok(Start::At(StartAt::Latest)),
            "earliest" => Ok(Start::At(StartAt::Earliest)),
            _ => Err(wrong()),
        };
    }
    object(raw.get().as_bytes()).map_err(|_| wrong())?;
    if let Ok(position) = serde_json::from_str::<RawPosition>(raw.get()) {
        return Ok(Start::At(StartAt::After(position.position()?)));
    }
    let by_channel: BTreeMap<String, RawPosition> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    if by_channel.len() > MAX_CHANNELS {
        return Err(RequestError::validation(format!("`from` names at most {MAX_CHANNELS} channels")));
    }
    let mut positions = Vec::with_capacity(by_channel.len());
    for (name, raw) in by_channel {
        let name =
            ChannelName::new(&name).map_err(|error| RequestError::validation(format!("`from`, `{name}`: {error}")))?;
        positions.push((name, raw.position()?));
    }
    Ok(Start::ByChannel(positions))
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
        request(text).unwrap_err()
    }

    #[test]
    fn subscribe_takes_a_name_or_a_list() {
        for text in [
            r#"{"type":"subscribe","channels":"workflow:*"}"#,
            r#"{"type":"subscribe","channels":["workflow:*"],"options":{"include_historical":false}}"#,
        ] {
            let Request::Subscribe(subscribe) = request(text).unwrap() else { panic!("{text}") };
            assert_eq!(subscribe.channels, [ChannelPattern::parse("workflow:*").unwrap()]);
            assert_eq!(subscribe.start, Start::At(StartAt::Latest));
        }
    }

    #[test]
    fn a_bad_name_makes_a_partial_subscription() {
        let text = r#"{"type":"subscribe","channels":["tmux","no good"],"request_id":7}"#;
        let Request::Subscribe(subscribe) = request(text).unwrap() else { panic!() };
        assert_eq!((subscribe.channels.len(), subscribe.refused.len()), (1, 1));
        assert_eq!(subscribe.request_id.unwrap().as_json(), "7");
    }

    #[test]
    fn from_is_a_word_a_position_or_positions_by_channel() {
        let start = |from: &str| {
            let text = format!(r#"{{"type":"subscribe","channels":"a","from":{from}}}"#);
            request(&text).map(|request| match request {
                Request::Subscribe(subscribe) => subscribe.start,
                _ => unreachable!(),
            })
        };
        let position = Position { epoch: Epoch(0xab), offset: 12 };
        assert_eq!(start("\"earliest\"").unwrap(), Start::At(StartAt::Earliest));
        assert_eq!(start(r#"{"epoch":"00000000000000ab","offset":12}"#).unwrap(), Start::At(StartAt::After(position)));
        assert_eq!(
            start(r#"{"a":{"epoch":"00000000000000ab","offset":12}}"#).unwrap(),
            Start::ByChannel(vec![(ChannelName::new("a").unwrap(), position)])
        );
        for wrong in ["1", "\"soon\"", r#"{"epoch":"zz","offset":1}"#, r#"["00000000000000ab",1]"#] {
            assert_eq!(start(wrong).unwrap_err().code, ErrorCode::Validation, "{wrong}");
        }
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
        let Request::Command(command) = request(text).unwrap() else { panic!() };
        assert_eq!((command.target.as_str(), &*command.parameters), ("measure", &b"{}"[..]));
    }

    #[test]
    fn publish_takes_one_event_or_a_list_and_names_the_wrong_item() {
        let one = r#"{"type":"publish","channel":"a","event":"t","data":1}"#;
        assert!(matches!(request(one).unwrap(), Request::Publish { items, .. } if items.len() == 1));
        let list = r#"{"type":"publish","events":[{"channel":"a","type":"t"},{"channel":"a b","type":"t"}]}"#;
        assert!(refused(list).message.contains("item 1"));
        let mistyped =
            r#"{"type":"publish","events":[{"channel":"a","type":"t"},{"channel":7,"type":"t"}],"request_id":1}"#;
        let error = refused(mistyped);
        assert!(error.message.contains("item 1") && error.request_id.is_some(), "{error}");
        assert!(refused(r#"{"type":"publish","events":[["a","t"]]}"#).message.contains("item 0"));
        assert!(refused(r#"{"type":"publish","channel":"a","event":7}"#).message.contains("string"));
        assert!(refused(r#"{"type":"publish","channel":"a","event":"t","events":7}"#).message.contains("sequence"));
    }

    #[test]
    fn an_option_that_would_not_be_honoured_is_refused() {
        let text = r#"{"type":"subscribe","channels":"a","options":{"throttle_ms":100}}"#;
        assert!(refused(text).message.contains("throttle_ms"));
    }
}
