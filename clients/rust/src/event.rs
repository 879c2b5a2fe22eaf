//! An event as it came: the line, and its fields read when they are wanted.

use crate::Error;
use headwater_event::{Epoch, Position};
use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One event from the bus. Most programs pass the line on, so only what a subscription needs is read at once.
#[derive(Clone, Debug)]
pub struct Event {
    line: Utf8Bytes,
    channel: Box<str>,
    position: Position,
}

/// The fields of an event, borrowed from its line.
#[derive(Debug, Deserialize)]
pub struct Fields<'a> {
    /// What happened.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// Where it was published.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// When it was observed, RFC 3339.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// The key for de-duplication.
    #[serde(borrow)]
    pub message_id: Cow<'a, str>,
    /// Who published it.
    #[serde(borrow, default)]
    pub source: Cow<'a, str>,
    /// Absent counts as info.
    #[serde(borrow, default)]
    pub severity: Option<Cow<'a, str>>,
    /// How the source knows.
    #[serde(borrow, default)]
    pub evidence: Option<Cow<'a, str>>,
    /// A few flat strings, in the publisher's order.
    #[serde(default, deserialize_with = "pairs")]
    pub attributes: Vec<(String, String)>,
    /// The key of a retained event.
    #[serde(borrow, default)]
    pub key: Option<Cow<'a, str>>,
    /// The payload.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

impl Event {
    /// One line of JSON, as the daemon sent it.
    pub fn line(&self) -> &str {
        self.line.as_str()
    }

    /// Where it was published.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Its place in the channel.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Reads a line that an earlier program kept.
    pub fn from_line(line: &str) -> Result<Self, Error> {
        let raw = serde_json::from_str(line).map_err(|error| Error::Protocol(format!("an event of it: {error}")))?;
        Self::from_raw(raw)
    }

    /// Reads the other fields.
    pub fn fields(&self) -> Result<Fields<'_>, Error> {
        serde_json::from_str(&self.line).map_err(|error| Error::Protocol(format!("an event of it: {error}")))
    }

    pub(crate) fn new(line: Utf8Bytes, channel: Box<str>, position: Position) -> Self {
        Self { line, channel, position }
    }

    /// An event out of a list of them.
    pub(crate) fn from_raw(raw: Box<RawValue>) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Place<'a> {
            #[serde(borrow)]
            channel: Cow<'a, str>,
            #[serde(borrow)]
            epoch: Cow<'a, str>,
            offset: u64,
        }
        let place: Place<'_> =
            serde_json::from_str(raw.get()).map_err(|error| Error::Protocol(format!("an event of it: {error}")))?;
        let epoch =
            Epoch::parse(&place.epoch).ok_or_else(|| Error::Protocol(format!("`{}` is no epoch", place.epoch)))?;
        let channel: Box<str> = place.channel.into();
        let position = Position { epoch, offset: place.offset };
        Ok(Self { channel, position, line: String::from(Box::<str>::from(raw)).into() })
    }
}

/// Two events are equal when they are the same text.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.line == other.line
    }
}

/// Reads an object of strings and keeps its order; what is no string is shown as its JSON.
fn pairs<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                let text = match value {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                pairs.push((name, text));
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(Pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_the_line() {
        let line = r#"{"type":"agent.status","channel":"tmux","timestamp":"2026-11-20T10:02:11Z","message_id":"m","epoch":"00000000000000ab","offset":7,"source":"tmux","attributes":{"session":"api","pane":"%1"},"data":{"a":1}}"#;
        let event = Event::from_raw(serde_json::from_str(line).unwrap()).unwrap();
        assert_eq!(event.line(), line);
        assert_eq!((event.channel(), event.position().to_string().as_str()), ("tmux", "00000000000000ab:7"));
        let fields = event.fields().unwrap();
        assert_eq!(fields.kind, "agent.status");
        assert_eq!(fields.attributes, [("session".into(), "api".into()), ("pane".into(), "%1".into())]);
        assert_eq!(fields.data.unwrap().get(), r#"{"a":1}"#);
        assert_eq!(fields.severity, None);
    }

    #[test]
    fn an_event_without_a_position_is_refused() {
        let raw = serde_json::from_str(r#"{"channel":"a","epoch":"zz","offset":1}"#).unwrap();
        assert!(Event::from_raw(raw).is_err());
    }
}
