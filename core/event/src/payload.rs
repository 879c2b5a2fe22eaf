//! The payload of an event: one JSON value as raw bytes, validated once and never parsed again on the way.

use bytes::Bytes;
use serde_json::value::RawValue;
use std::fmt;

/// Why bytes are no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not one JSON value in UTF-8.
    #[error("the data is no valid JSON: {0}")]
    NotJson(String),
}

/// A text of so many bytes is held where the event is: many events say no more than a number or a word, and an allocation of
/// its own would be a good part of what such an event costs. The room is there anyway.
const SHORT: usize = 38;

/// One valid JSON value.
#[derive(Clone)]
pub struct Payload(Held);

#[derive(Clone)]
enum Held {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Bytes),
}

impl Payload {
    /// Validates bytes and keeps them as they are, but for white space around them. A raw newline between tokens is
    /// replaced by a space, so that a payload never breaks a line-based format.
    #[expect(clippy::needless_pass_by_value, reason = "the payload takes the buffer over")]
    pub fn new(bytes: Bytes) -> Result<Self, PayloadError> {
        let raw: &RawValue =
            serde_json::from_slice(&bytes).map_err(|error| PayloadError::NotJson(error.to_string()))?;
        Ok(Self::of(raw, |text| bytes.slice_ref(text)))
    }

    /// The value `null`.
    pub fn null() -> Self {
        let mut bytes = [0; SHORT];
        bytes[..4].copy_from_slice(b"null");
        Self(Held::Short { length: 4, bytes })
    }

    /// Copies a value that has been validated as part of something larger.
    pub fn from_raw(raw: &RawValue) -> Self {
        Self::of(raw, Bytes::copy_from_slice)
    }

    fn of(raw: &RawValue, long: impl FnOnce(&[u8]) -> Bytes) -> Self {
        let text = raw.get().as_bytes();
        let flat = flattened(text);
        let text = flat.as_deref().unwrap_or(text);
        if text.len() <= SHORT {
            let mut bytes = [0; SHORT];
            bytes[..text.len()].copy_from_slice(text);
            return Self(Held::Short { length: text.len() as u8, bytes });
        }
        Self(Held::Long(match flat {
            Some(flat) => flat,
            None => long(text),
        }))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Short { length, bytes } => &bytes[..usize::from(*length)],
            Held::Long(bytes) => bytes,
        }
    }

    /// The JSON text, shared where it is long.
    pub fn bytes(&self) -> Bytes {
        match &self.0 {
            Held::Short { .. } => Bytes::copy_from_slice(self.as_bytes()),
            Held::Long(bytes) => bytes.clone(),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Payload").field(&String::from_utf8_lossy(self.as_bytes())).finish()
    }
}

/// The text without line breaks, where it has any. Inside strings JSON allows no raw control character, so a line break
/// always stands between tokens.
fn flattened(text: &[u8]) -> Option<Bytes> {
    // All bytes are looked at, with no way out before the last: so the compiler looks at many at once. Almost every payload
    // passes here and nothing else is done.
    let lowest = text.iter().fold(u8::MAX, |lowest, byte| lowest.min(*byte));
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let broken = lowest < b' ' && text.iter().any(breaks);
    broken.then(|| text.iter().map(|byte| if breaks(byte) { b' ' } else { *byte }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text_and_refuses_what_is_no_json() {
        let payload = Payload::new(Bytes::from_static(b" {\"a\":\n 1.50} ")).unwrap();
        assert_eq!(payload.as_bytes(), b"{\"a\":  1.50}");
        for bad in ["", "{", "{} {}", "nul", "\"\u{0001}\""] {
            assert!(Payload::new(Bytes::copy_from_slice(bad.as_bytes())).is_err(), "{bad:?}");
        }
        assert!(Payload::new(Bytes::from_static(b"\"\xff\"")).is_err());
    }

    #[test]
    fn a_text_is_the_same_however_it_is_held() {
        assert_eq!(Payload::null(), Payload::from_raw(RawValue::NULL));
        for length in [0, 1, SHORT - 3, SHORT - 2, SHORT - 1, SHORT, 300] {
            for text in [format!("\"{}\"", "x".repeat(length)), format!("[\n{}]", " ".repeat(length))] {
                let flat = text.replace('\n', " ");
                let payload = Payload::new(Bytes::from(text.clone())).unwrap();
                let raw: &RawValue = serde_json::from_str(&text).unwrap();
                assert_eq!(payload, Payload::from_raw(raw));
                assert_eq!((payload.as_bytes(), &payload.bytes()[..]), (flat.as_bytes(), flat.as_bytes()));
                assert_eq!(payload.clone(), payload);
            }
        }
    }

    /// What is short takes no more room than a handle to what is long.
    #[test]
    fn it_is_no_larger_than_a_handle_and_a_tag() {
        assert_eq!(size_of::<Payload>(), size_of::<Bytes>() + 8);
    }
}
