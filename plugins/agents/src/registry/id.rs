//! The id of an agent or of a task: a text that is cheap to pass around, and short enough for the key of a snapshot.

use serde::{Serialize, Serializer};
use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

/// The longest id, in bytes: it is the key of a snapshot, and the bus takes no longer ones.
pub(super) const LONGEST: usize = 128;

/// The longest id that is made here. What makes it unique comes behind it.
const MADE: usize = 120;

/// An id that is made of what emitters say: one that is too long keeps its beginning, and what is cut off is hashed, so that
/// two of them stay two. The same text gives the same id in every life of the source.
pub(super) fn made(text: String) -> String {
    if text.len() <= MADE {
        return text;
    }
    // FNV-1a: the standard library's hash is another one in each process.
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}~{hash:016x}", &text[..text.floor_char_boundary(MADE - 17)])
}

/// An id, unique in the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(Arc<str>);

impl From<String> for Id {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
