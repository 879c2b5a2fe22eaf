//! Events as clients hand them in, over WebSocket and over HTTP alike.

use crate::{ErrorCode, RequestError};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Payload, Retention, Severity, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// The most attributes of one event, and the longest of their names and values. They are held parsed for as long as
/// the event is; without a bound a small payload could hide a large event.
const MAX_ATTRIBUTES: usize = 32;
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// The longest type and the longest key of a retained event.
const MAX_WORD: usize = 128;

/// One event to be published.
#[derive(Debug)]
pub struct PublishItem {
    /// Everything but the source, which the gateway knows.
    draft: Draft,
}

impl PublishItem {
    /// The draft, from this source.
    pub fn into_draft(self, source: &Arc<str>) -> Draft {
        Draft { source: source.clone(), ..self.draft }
    }
}

/// The JSON of an item. `type` names the event over HTTP; in a WebSocket message, where `type` is `publish`, `event`
/// does.
#[derive(Deserialize)]
pub(crate) struct RawItem<'a> {
    #[serde(borrow, default)]
    pub channel: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub severity: Option<Cow<'a, str>>,
    #[serde(default)]
    pub attributes: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    pub timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub key: Option<Cow<'a, str>>,
}

impl RawItem<'_> {
    /// Checks the parts; `kind` is what names the event.
    pub(crate) fn check(self, kind: Option<Cow<'_, str>>) -> Result<PublishItem, RequestError> {
        let channel = self.channel.ok_or_else(|| RequestError::validation("`channel` is missing"))?;
        let channel =
            ChannelName::new(&channel).map_err(|error| RequestError::validation(format!("`channel`: {error}")))?;
        let kind = kind.ok_or_else(|| RequestError::validation("the event's type is missing"))?;
        if kind.is_empty() || kind.len() > MAX_WORD {
            return Err(RequestError::validation(format!("an event's type has 1 to {MAX_WORD} bytes")));
        }
        let data = self.data.map_or("null", RawValue::get);
        let data = Payload::new(Bytes::copy_from_slice(data.as_bytes()))
            .map_err(|error| RequestError::validation(format!("`data`: {error}")))?;
        let mut draft = Draft::new(channel, &kind, "", data);
        if let Some(word) = self.severity {
            draft.severity = Some(
                word.parse::<Severity>().map_err(|error| RequestError::validation(format!("`severity`: {error}")))?,
            );
        }
        if let Some(text) = self.timestamp {
            draft.time = Timestamp::parse(&text)
                .ok_or_else(|| RequestError::validation("`timestamp` is RFC 3339, as in 2026-01-31T12:00:00Z"))?;
        }
        if let Some(key) = self.key {
            if key.len() > MAX_WORD {
                return Err(RequestError::validation(format!("`key` has at most {MAX_WORD} bytes")));
            }
            draft.retention = Retention::Keep(key.into());
        }
        if let Some(attributes) = self.attributes {
            if attributes.len() > MAX_ATTRIBUTES {
                return Err(RequestError::validation(format!("`attributes` has at most {MAX_ATTRIBUTES} entries")));
            }
            if let Some((name, _)) = attributes.iter().find(|(n, v)| n.len().max(v.len()) > MAX_ATTRIBUTE_BYTES) {
                let name: String = name.chars().take(40).collect();
                return Err(RequestError::validation(format!(
                    "attribute `{name}` is longer than {MAX_ATTRIBUTE_BYTES} bytes"
                )));
            }
            draft.attributes = attributes.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        }
        Ok(PublishItem { draft })
    }
}

/// Reads one item of an HTTP body or of a list: `{"channel", "type", "data", …}`.
pub fn decode_item(json: &[u8]) -> Result<PublishItem, RequestError> {
    object(json)?;
    let mut raw: RawItem<'_> = serde_json::from_slice(json).map_err(|error| syntax(&error))?;
    let kind = raw.kind.take().or_else(|| raw.event.take());
    let kind = kind.map(|kind| Cow::Owned(kind.into_owned()));
    raw.check(kind)
}

/// Refuses what is no object: serde would read a list as the fields in order.
pub(crate) fn object(json: &[u8]) -> Result<(), RequestError> {
    match json.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => Ok(()),
        Some(_) => Err(RequestError::new(ErrorCode::InvalidJson, "a JSON object is expected")),
        None => Err(RequestError::new(ErrorCode::InvalidJson, "the message is empty")),
    }
}

/// A JSON error as the client is told: broken text and a wrong field are two things.
pub(crate) fn syntax(error: &serde_json::Error) -> RequestError {
    let code = match error.classify() {
        serde_json::error::Category::Data => ErrorCode::Validation,
        _ => ErrorCode::InvalidJson,
    };
    RequestError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_a_channel_and_a_type() {
        let item = decode_item(br#"{"channel":"a","type":"t","data":{"x":1},"severity":"high","key":"k"}"#).unwrap();
        let draft = item.into_draft(&"client".into());
        assert_eq!((draft.channel.as_str(), &*draft.kind, &*draft.source), ("a", "t", "client"));
        assert_eq!(draft.severity, Some(Severity::Error));
        assert_eq!(draft.retention, Retention::Keep("k".into()));
        assert_eq!(draft.data.as_bytes(), br#"{"x":1}"#);
    }

    #[test]
    fn a_wrong_item_names_the_field() {
        for (json, word) in [
            (r#"{"type":"t"}"#, "channel"),
            (r#"{"channel":"a"}"#, "type"),
            (r#"{"channel":"a b","type":"t"}"#, "column 2"),
            (r#"{"channel":"a","type":"t","severity":"loud"}"#, "severity"),
            (r#"{"channel":"a","type":"t","timestamp":"now"}"#, "timestamp"),
            (r#"{"channel":"a","channel":"b","type":"t"}"#, "duplicate"),
            (r#"{"channel":"a","type":"t","attributes":{"a":1}}"#, "string"),
        ] {
            let error = decode_item(json.as_bytes()).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{json}: {error}");
        }
        for broken in ["{", "", "[]", r#"["a","t"]"#] {
            assert_eq!(decode_item(broken.as_bytes()).unwrap_err().code, ErrorCode::InvalidJson, "{broken}");
        }
    }
}
