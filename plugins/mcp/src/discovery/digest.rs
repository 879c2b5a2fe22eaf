//! The hash of what a config says about a server: what a pin is compared with.

use data_encoding::HEXLOWER;
use headwater_plugin::{
    ConfigType,
    schema::Schema,
    serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _},
};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// How a hash is written: as `sha256sum` prints it, after its name.
const PREFIX: &str = "sha256:";

/// `sha256:…`, over all parts of a text that decide what would run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// What is no hash.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a hash is `sha256:` and 64 hex digits, as the command list_mcp_servers shows it")]
pub struct DigestError;

/// Takes parts in an order. Each goes in with its length: `["ab", "c"]` is not `["a", "bc"]`.
#[derive(Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    pub(crate) fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// A part that may be absent; an empty one is something else.
    pub(crate) fn maybe(&mut self, part: Option<&[u8]>) -> &mut Self {
        match part {
            Some(part) => self.add(b"some").add(part),
            None => self.add(b"none"),
        }
    }

    /// How many parts follow.
    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        self.0.update((count as u64).to_le_bytes());
        self
    }

    pub(crate) fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Digest {
    /// The first eight digits, for names.
    pub(crate) fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(DigestError)?;
        let bytes = HEXLOWER.decode(digits.to_ascii_lowercase().as_bytes()).map_err(|_| DigestError)?;
        bytes.try_into().map(Self).map_err(|_| DigestError)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A setting that is none is refused with its place, before the source sees it.
impl ConfigType for Digest {
    const SCHEMA: &'static Schema = &Schema::Text { format: Some("sha256-digest"), example: None };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> Digest {
        let mut all = Parts::default();
        for part in parts {
            all.add(part);
        }
        all.digest()
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let digest = of(&[b"a"]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().to_uppercase().replace("SHA256", "sha256").parse(), Ok(digest));
        for wrong in ["", "sha256:", "sha256:abc", "md5:00", &digest.to_string()[7..], &format!("{digest}00")] {
            assert_eq!(wrong.parse::<Digest>(), Err(DigestError), "{wrong}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab"]), of(&[b"ab", b""]));
        let maybe = |part: Option<&[u8]>| {
            let mut parts = Parts::default();
            parts.maybe(part);
            parts.digest()
        };
        assert_ne!(maybe(None), maybe(Some(b"")));
    }
}
