//! Reading JSON that may hold anything: each question has an answer or none. What is longer than it can mean is cut or left
//! out here, so that no later part holds what a stranger made large.

use jiff::Timestamp;
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The longest id or word, in bytes. A longer one is not one.
const MAX_WORD: usize = 256;
/// The longest path, in bytes; no system has longer ones.
const MAX_PATH: usize = 4096;
/// How much of a text is kept, in bytes: enough to know a prompt again.
const MAX_TEXT: usize = 4096;

/// The fields of a JSON value; of one that is no object there are none.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl<'a> Fields<'a> {
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The fields of the object under this key.
    pub(super) fn inner(self, key: &str) -> Option<Self> {
        self.get(key).filter(|value| value.is_object()).map(Self)
    }

    /// The same; without such an object, one of no fields.
    pub(super) fn within(self, key: &str) -> Self {
        self.inner(key).unwrap_or(Self(&Value::Null))
    }

    /// The first of these keys that has an object.
    pub(super) fn first(self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.inner(key))
    }

    pub(super) fn members(self) -> Option<&'a Map<String, Value>> {
        self.0.as_object()
    }

    /// A word to tell cases apart by: short, as it stands.
    pub(super) fn word(self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str().filter(|word| !word.is_empty() && word.len() <= MAX_WORD)
    }

    /// An id or a name. Numbers are taken as their digits: A2A and JSON-RPC allow both.
    pub(super) fn id(self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::Number(number) => Some(number.to_string()),
            _ => self.word(key).map(str::to_owned),
        }
    }

    /// The id under the first of these keys that has one.
    pub(super) fn first_id(self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.id(key))
    }

    pub(super) fn path(self, key: &str) -> Option<String> {
        self.get(key)?.as_str().filter(|path| !path.is_empty() && path.len() <= MAX_PATH).map(str::to_owned)
    }

    /// Text for people, cut when it is long.
    pub(super) fn text(self, key: &str) -> Option<String> {
        let text = self.get(key)?.as_str().filter(|text| !text.is_empty())?;
        Some(text[..text.floor_char_boundary(MAX_TEXT)].to_owned())
    }

    /// How many bytes a text has, or had before the gateway took it away.
    pub(super) fn bytes(self, key: &str) -> Option<u64> {
        match self.get(key).and_then(Value::as_str) {
            Some(text) => Some(text.len() as u64),
            None => self.number(&format!("{key}_bytes")),
        }
    }

    /// A whole number; some emitters write it as a string.
    pub(super) fn number(self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::String(digits) if digits.len() <= MAX_WORD => digits.parse().ok(),
            value => value.as_u64(),
        }
    }

    /// Whether it is so; some emitters write it as a string.
    pub(super) fn flag(self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(word) => word.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn milliseconds(self, key: &str) -> Option<Duration> {
        self.number(key).map(Duration::from_millis)
    }

    /// A time: RFC 3339, or milliseconds since 1970.
    pub(super) fn time(self, key: &str) -> Option<SystemTime> {
        match self.get(key)? {
            Value::String(text) if text.len() <= MAX_WORD => text.parse::<Timestamp>().ok().map(SystemTime::from),
            value => UNIX_EPOCH.checked_add(Duration::from_millis(value.as_u64()?)),
        }
    }
}

/// A word for the counts of what is not known.
pub(super) fn shown(word: Option<&str>) -> Cow<'_, str> {
    word.map_or(Cow::Borrowed("(no name)"), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_too_long_or_of_another_kind_is_not_there() {
        let value = json!({
            "id": "a", "number": 7, "long": "x".repeat(MAX_WORD + 1), "empty": "", "null": null, "list": ["a"],
            "text": "é".repeat(MAX_TEXT), "digits": "887", "yes": "true", "prompt_bytes": 6,
        });
        let fields = Fields(&value);
        assert_eq!((fields.id("id"), fields.id("number")), (Some("a".into()), Some("7".into())));
        assert_eq!(
            (fields.id("long"), fields.id("empty"), fields.id("null"), fields.id("list")),
            (None, None, None, None)
        );
        assert_eq!(fields.text("text").unwrap().len(), MAX_TEXT);
        assert_eq!((fields.number("digits"), fields.number("id"), fields.flag("yes")), (Some(887), None, Some(true)));
        assert_eq!((fields.bytes("prompt"), fields.bytes("text")), (Some(6), Some(2 * MAX_TEXT as u64)));
        assert!(Fields(&Value::Null).within("a").id("b").is_none());
    }

    #[test]
    fn a_time_is_a_date_or_milliseconds() {
        let value = json!({ "a": "1970-01-01T00:00:01.5Z", "b": 1500, "c": "soon", "d": u64::MAX, "e": "9999-99-99T00:00:00Z" });
        let fields = Fields(&value);
        let then = UNIX_EPOCH + Duration::from_millis(1500);
        assert_eq!(
            (fields.time("a"), fields.time("b"), fields.time("c"), fields.time("e")),
            (Some(then), Some(then), None, None)
        );
        let _ = fields.time("d");
    }
}
