//! The payload of an event: one JSON value as raw bytes, validated once and never parsed again on the way.

use bytes::Bytes;
use serde_json::value::RawValue;

/// Why bytes are no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not one JSON value in UTF-8.
    #[error("the data is no valid JSON: {0}")]
    NotJson(String),
}

/// One valid JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Bytes);

impl Payload {
    /// Validates bytes and keeps them as they are, but for white space around them. A raw newline between tokens is
    /// replaced by a space, so that a payload never breaks a line-based format.
    #[expect(clippy::needless_pass_by_value, reason = "the payload takes the buffer over")]
    pub fn new(bytes: Bytes) -> Result<Self, PayloadError> {
        let raw: &RawValue =
            serde_json::from_slice(&bytes).map_err(|error| PayloadError::NotJson(error.to_string()))?;
        let text = raw.get().as_bytes();
        Ok(Self(flattened(text).unwrap_or_else(|| bytes.slice_ref(text))))
    }

    /// Copies a value that has been validated as part of something larger.
    pub fn from_raw(raw: &RawValue) -> Self {
        let text = raw.get().as_bytes();
        Self(flattened(text).unwrap_or_else(|| Bytes::copy_from_slice(text)))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The JSON text, shared.
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }
}

/// The text without line breaks, where it has any. Inside strings JSON allows no raw control character, so a line break
/// always stands between tokens.
fn flattened(text: &[u8]) -> Option<Bytes> {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    // `contains` looks at many bytes at once; almost every payload passes here and nothing else is done.
    let broken = text.contains(&b'\n') || text.contains(&b'\r');
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
}
