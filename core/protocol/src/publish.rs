//! Events as clients hand them in, over WebSocket and over HTTP alike.

use crate::{ErrorCode, RequestError};
use headwater_event::{ChannelName, Draft, Payload, Retention, Severity, Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

/// The most events of one message or batch.
pub const MAX_ITEMS: usize = 1000;

type Attributes = Box<[(Box<str>, Box<str>)]>;

/// A list that has more than a few gets room for so many more at once: who sends one mostly has many to send. One of a few gets
/// no more than it needs.
const USUAL: usize = 32;

/// The most attributes of one event, and the longest of their names and values. They are held parsed for as long as
/// the event is; without a bound a small payload could hide a large event.
const MAX_ATTRIBUTES: usize = 32;
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// The longest type, the longest key of a retained event, and the longest idempotency key.
const MAX_WORD: usize = 128;

/// Text that is borrowed where it needs no unescaping.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The JSON of an item. `type` names the event over HTTP; in a WebSocket message, where `type` is `publish`, `event`
/// does.
#[derive(Deserialize)]
pub(crate) struct RawItem<'a> {
    #[serde(borrow, default)]
    pub channel: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub event: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub severity: Option<Text<'a>>,
    #[serde(default)]
    pub attributes: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    pub timestamp: Option<Text<'a>>,
    // The two keys are kept as they are read; the rest is looked at where it stands.
    #[serde(default)]
    pub key: Option<Box<str>>,
    #[serde(default)]
    pub idempotency_key: Option<Box<str>>,
}

/// The events of a list, each checked as it is read. One more than [`MAX_ITEMS`] are kept at most, so that it shows.
pub(crate) struct Items(pub Vec<Draft>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of JSON objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let (mut items, now) = (Vec::new(), Timestamp::now());
                while items.len() <= MAX_ITEMS {
                    if items.len() == items.capacity() && !items.is_empty() {
                        items.reserve(USUAL);
                    }
                    if list.next_element_seed(Next { items: &mut items, now })?.is_none() {
                        return Ok(Items(items));
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Reads one more item behind those before, straight into the list: each step of the parser would otherwise move it. It must
/// be an object: a derived struct would also read a list as its fields in order.
struct Next<'b> {
    items: &'b mut Vec<Draft>,
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let raw = RawItem::deserialize(MapAccessDeserializer::new(map))?;
        match raw.check(self.items.last(), self.now) {
            Ok(item) => self.items.push(item),
            Err(error) => return Err(A::Error::custom(error.message)),
        }
        Ok(())
    }
}

impl RawItem<'_> {
    /// Checks the parts of an item in a list or a body. Names are shared with the item before, which mostly has the
    /// same ones. `now` is the time of an item that says none.
    pub(crate) fn check(mut self, before: Option<&Draft>, now: Timestamp) -> Result<Draft, RequestError> {
        let kind = self.kind.take().or_else(|| self.event.take());
        self.check_as(kind, before, now)
    }

    /// The same, where `kind` is what names the event.
    pub(crate) fn check_as(
        self,
        kind: Option<Text<'_>>,
        before: Option<&Draft>,
        now: Timestamp,
    ) -> Result<Draft, RequestError> {
        let Text(channel) = self.channel.ok_or_else(|| RequestError::validation("`channel` is missing"))?;
        let channel = match before.map(|before| &before.channel) {
            Some(same) if same.as_str() == channel => same.clone(),
            _ => ChannelName::met(&channel).map_err(|error| RequestError::validation(format!("`channel`: {error}")))?,
        };
        let Text(kind) = kind.ok_or_else(|| RequestError::validation("the event's type is missing"))?;
        if kind.is_empty() || kind.len() > MAX_WORD {
            return Err(RequestError::validation(format!("an event's type has 1 to {MAX_WORD} bytes")));
        }
        let kind = match before.map(|before| &before.kind) {
            Some(same) if **same == *kind => same.clone(),
            _ => kind.into(),
        };
        Ok(Draft {
            channel,
            kind,
            time: time(self.timestamp, now)?,
            source: before.map_or_else(client, |before| before.source.clone()),
            severity: severity(self.severity)?,
            attributes: attributes(self.attributes)?,
            evidence: None,
            retention: retention(self.key)?,
            data: self.data.map_or_else(Payload::null, Payload::from_raw),
            idempotency_key: self.idempotency_key.map(checked_key).transpose()?,
        })
    }
}

/// The source of every event that a client hands in.
pub(crate) fn client() -> Arc<str> {
    // One for each thread: those who count the holders of one and the same wait for each other.
    thread_local!(static CLIENT: Arc<str> = "client".into());
    CLIENT.with(Arc::clone)
}

fn time(timestamp: Option<Text<'_>>, now: Timestamp) -> Result<Timestamp, RequestError> {
    let Some(Text(text)) = timestamp else { return Ok(now) };
    Timestamp::parse(&text)
        .ok_or_else(|| RequestError::validation("`timestamp` is RFC 3339, as in 2026-01-31T12:00:00Z"))
}

fn severity(word: Option<Text<'_>>) -> Result<Option<Severity>, RequestError> {
    let read =
        |Text(word): Text<'_>| word.parse().map_err(|error| RequestError::validation(format!("`severity`: {error}")));
    word.map(read).transpose()
}

fn retention(key: Option<Box<str>>) -> Result<Retention, RequestError> {
    match key {
        None => Ok(Retention::None),
        Some(key) if key.len() > MAX_WORD => {
            Err(RequestError::validation(format!("`key` has at most {MAX_WORD} bytes")))
        }
        Some(key) => Ok(Retention::Keep(key)),
    }
}

fn checked_key(key: Box<str>) -> Result<Box<str>, RequestError> {
    if key.is_empty() || key.len() > MAX_WORD {
        return Err(RequestError::validation(format!("`idempotency_key` has 1 to {MAX_WORD} bytes")));
    }
    Ok(key)
}

/// Gives the events of one request the request's idempotency key: one event the key itself, several the key and their
/// number, so that the request sent again is known event by event. What has a key of its own keeps it.
pub fn share_key(items: &mut [Draft], key: Box<str>) -> Result<(), RequestError> {
    let key = checked_key(key)?;
    if let [one] = items {
        one.idempotency_key.get_or_insert(key);
        return Ok(());
    }
    for (index, item) in items.iter_mut().enumerate() {
        item.idempotency_key.get_or_insert_with(|| format!("{key}:{index}").into());
    }
    Ok(())
}

fn attributes(given: Option<BTreeMap<String, String>>) -> Result<Attributes, RequestError> {
    let Some(given) = given else { return Ok(Attributes::default()) };
    if given.len() > MAX_ATTRIBUTES {
        return Err(RequestError::validation(format!("`attributes` has at most {MAX_ATTRIBUTES} entries")));
    }
    if let Some((name, _)) = given.iter().find(|(n, v)| n.len().max(v.len()) > MAX_ATTRIBUTE_BYTES) {
        let name: String = name.chars().take(40).collect();
        return Err(RequestError::validation(format!("attribute `{name}` is longer than {MAX_ATTRIBUTE_BYTES} bytes")));
    }
    Ok(given.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
}

/// Reads one item of an HTTP body or of a list: `{"channel", "type", "data", …}`.
pub fn decode_item(json: &[u8]) -> Result<Draft, RequestError> {
    object(json)?;
    let raw: RawItem<'_> = serde_json::from_slice(json).map_err(|error| syntax(&error))?;
    raw.check(None, Timestamp::now())
}

/// Reads an item that comes after another one, which mostly has the same names, at this time.
pub fn decode_next(json: &str, before: Option<&Draft>, now: Timestamp) -> Result<Draft, RequestError> {
    object(json.as_bytes())?;
    let raw: RawItem<'_> = serde_json::from_str(json).map_err(|error| syntax(&error))?;
    raw.check(before, now)
}

/// The same error, about one item of a list.
pub(crate) fn in_item(list: &str, index: usize, error: &RequestError) -> RequestError {
    RequestError::new(error.code, format!("{list}, item {index}: {}", error.message))
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
        let draft = decode_item(br#"{"channel":"a","type":"t","data":{"x":1},"severity":"high","key":"k"}"#).unwrap();
        assert_eq!((draft.channel.as_str(), &*draft.kind, &*draft.source), ("a", "t", "client"));
        assert_eq!(draft.severity, Some(Severity::Error));
        assert_eq!(draft.retention, Retention::Keep("k".into()));
        assert_eq!(draft.data.as_bytes(), br#"{"x":1}"#);
    }

    #[test]
    fn a_request_s_key_is_shared_by_its_events() {
        let plain = || decode_item(br#"{"channel":"a","type":"t"}"#).unwrap();
        let keyed = || decode_item(br#"{"channel":"a","type":"t","idempotency_key":"own"}"#).unwrap();
        let keys = |items: &[Draft]| -> Vec<String> {
            items.iter().map(|item| item.idempotency_key.as_deref().unwrap_or("").to_owned()).collect()
        };
        assert_eq!(keys(&[plain(), keyed()]), ["", "own"]);
        let mut one = [plain()];
        share_key(&mut one, "k".into()).unwrap();
        assert_eq!(keys(&one), ["k"]);
        let mut several = [plain(), keyed(), plain()];
        share_key(&mut several, "k".into()).unwrap();
        assert_eq!(keys(&several), ["k:0", "own", "k:2"]);
        assert!(share_key(&mut several, "k".repeat(129).into()).is_err());
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
            (r#"{"channel":"a","type":"t","idempotency_key":""}"#, "`idempotency_key` has 1 to 128 bytes"),
        ] {
            let error = decode_item(json.as_bytes()).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{json}: {error}");
        }
        for broken in ["{", "", "[]", r#"["a","t"]"#] {
            assert_eq!(decode_item(broken.as_bytes()).unwrap_err().code, ErrorCode::InvalidJson, "{broken}");
        }
    }
}
