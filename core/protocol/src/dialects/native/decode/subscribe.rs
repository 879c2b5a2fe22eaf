//! From a `subscribe` message to a subscription. Its options are read in `options.rs`.

use super::{MAX_CHANNELS, bounded, filter, from_str, options};
use crate::{OneOrMany, RequestError, RequestId, Start, StartAt, Subscribe, moment, publish::object};
use headwater_event::{ChannelName, ChannelPattern, Epoch, MAX_NAME, Position};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub(super) fn request(text: &str, request_id: Option<RequestId>) -> Result<Subscribe, RequestError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        channels: OneOrMany,
        #[serde(borrow, default)]
        filter: Option<&'a RawValue>,
        #[serde(borrow, default)]
        from: Option<&'a RawValue>,
        #[serde(borrow, default)]
        options: Option<&'a RawValue>,
    }
    let body: Body<'_> = from_str(text)?;
    let (mut patterns, mut refused) = (Vec::new(), Vec::new());
    for name in bounded(body.channels)? {
        match ChannelPattern::parse(&name) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => refused.push((shown(name), error.to_string())),
        }
    }
    Ok(Subscribe {
        channels: patterns,
        refused,
        filter: filter(body.filter)?,
        start: body.from.map_or(Ok(Start::At(StartAt::Latest)), start)?,
        options: options::read(body.options)?,
        request_id,
    })
}

/// A name that is none, as the answer shows it: it may be as long as a message can be, and the answer must not be.
fn shown(name: String) -> String {
    if name.chars().nth(MAX_NAME).is_none() {
        return name;
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTime {
    time: String,
}

fn start(raw: &RawValue) -> Result<Start, RequestError> {
    let wrong = || {
        RequestError::validation(
            "`from` is \"latest\", \"earliest\", {\"epoch\", \"offset\"}, an object of those by channel, or {\"time\"}",
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
    // A channel may be called `time`: then a position stands there and no text.
    if let Ok(RawTime { time }) = serde_json::from_str(raw.get()) {
        return Ok(Start::At(StartAt::Since(moment("from.time", &time)?)));
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

#[cfg(test)]
mod tests {
    use super::super::request;
    use super::*;
    use crate::{ErrorCode, Request};
    use headwater_event::{Severity, Timestamp};

    fn subscribed(rest: &str) -> Result<Subscribe, RequestError> {
        match request(&format!(r#"{{"type":"subscribe","channels":"a",{rest}}}"#), None)? {
            Request::Subscribe(subscribe) => Ok(subscribe),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn subscribe_takes_a_name_or_a_list() {
        for text in [
            r#"{"type":"subscribe","channels":"workflow:*"}"#,
            r#"{"type":"subscribe","channels":["workflow:*"],"options":{"include_historical":false}}"#,
        ] {
            let Request::Subscribe(subscribe) = request(text, None).unwrap() else { panic!("{text}") };
            assert_eq!(subscribe.channels, [ChannelPattern::parse("workflow:*").unwrap()]);
            assert_eq!(subscribe.start, Start::At(StartAt::Latest));
        }
    }

    #[test]
    fn a_bad_name_makes_a_partial_subscription() {
        let text = r#"{"type":"subscribe","channels":["tmux","no good"],"request_id":7}"#;
        let Request::Subscribe(subscribe) = request(text, None).unwrap() else { panic!() };
        assert_eq!((subscribe.channels.len(), subscribe.refused.len()), (1, 1));
        assert_eq!(subscribe.request_id.unwrap().as_json(), "7");
        let long = format!(r#"{{"type":"subscribe","channels":"{}"}}"#, "é".repeat(100_000));
        let Request::Subscribe(subscribe) = request(&long, None).unwrap() else { panic!() };
        assert_eq!(subscribe.refused[0].0.chars().count(), MAX_NAME);
    }

    #[test]
    fn from_is_a_word_a_position_or_positions_by_channel() {
        let start = |from: &str| {
            let text = format!(r#"{{"type":"subscribe","channels":"a","from":{from}}}"#);
            request(&text, None).map(|request| match request {
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
    fn from_is_a_time_too() {
        let text = r#""from":{"time":"2024-01-01T00:00:00Z"}"#;
        let since = Timestamp(1_704_067_200_000_000_000);
        assert_eq!(subscribed(text).unwrap().start, Start::At(StartAt::Since(since)));
        let earliest = Timestamp::now();
        let Start::At(StartAt::Since(ago)) = subscribed(r#""from":{"time":"5m"}"#).unwrap().start else { panic!() };
        let span = 300_000_000_000;
        assert!(ago.0 >= earliest.0 - span && ago.0 <= Timestamp::now().0 - span);
        assert!(subscribed(r#""from":{"time":"soon"}"#).unwrap_err().message.contains("from.time"));
        assert!(subscribed(r#""from":{"time":7}"#).unwrap_err().message.contains("`from` is"));
        // A channel of this name can still be resumed.
        let by_channel = subscribed(r#""from":{"time":{"epoch":"00000000000000ab","offset":1}}"#).unwrap();
        assert!(matches!(by_channel.start, Start::ByChannel(positions) if positions[0].0.as_str() == "time"));
    }

    #[test]
    fn a_filter_takes_an_expression_and_names_what_is_wrong() {
        let filter = subscribed(r#""filter":{"types":"a.*","severity":"medium","where":"data.x > 1"}"#).unwrap().filter;
        assert_eq!((filter.types.as_slice(), filter.severity), (&["a.*".to_owned()][..], Some(Severity::Warning)));
        assert_eq!(filter.expression.as_deref(), Some("data.x > 1"));
        let long = format!(r#""filter":{{"where":"{}"}}"#, "x".repeat(5000));
        for (wrong, word) in [
            (r#""filter":{"where":7}"#, "`filter`"),
            (r#""filter":{"wher":"x"}"#, "wher"),
            (r#""filter":["a"]"#, "`filter` is an object"),
            (&long, "4096"),
        ] {
            let error = subscribed(wrong).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{wrong}: {error}");
        }
    }
}
