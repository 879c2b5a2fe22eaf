//! The event with its position, and its encoded forms, which those who read it later share.

use crate::{ChannelName, Draft, Evidence, Payload, Position, Severity, Timestamp, digits::HEXADECIMAL};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// How many encodings an event can hold at once; the protocol crate gives out the numbers.
pub const ENCODINGS: usize = 4;

/// The number of one encoding, such as a dialect's finished WebSocket frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding(pub u8);

/// Whether an event is kept for late subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retention {
    /// It passes.
    None,
    /// The last one of this key is the snapshot.
    Keep(Box<str>),
    /// The snapshot of this key is gone.
    Forget(Box<str>),
}

/// One event of a channel. Immutable but for the encoded forms, which fill on first use.
#[derive(Debug)]
pub struct Event {
    /// Its place: epoch and offset.
    pub position: Position,
    /// A `UUIDv7`; the key for de-duplication, `message_id` on the wire.
    pub id: Uuid,
    /// Where it was published.
    pub channel: ChannelName,
    /// What happened.
    pub kind: Arc<str>,
    /// When it was observed.
    pub time: Timestamp,
    /// Who published it.
    pub source: Arc<str>,
    /// Absent counts as info.
    pub severity: Option<Severity>,
    /// A few flat strings for cheap filtering.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// How the source knows.
    pub evidence: Option<Evidence>,
    /// Whether it is a snapshot.
    pub retention: Retention,
    /// The payload.
    pub data: Payload,
    encoded: OnceLock<Box<[OnceLock<Bytes>; ENCODINGS]>>,
}

impl Event {
    /// Gives a draft its position and id.
    pub fn new(draft: Draft, position: Position, id: Uuid) -> Self {
        Self {
            position,
            id,
            channel: draft.channel,
            kind: draft.kind,
            time: draft.time,
            source: draft.source,
            severity: draft.severity,
            attributes: draft.attributes,
            evidence: draft.evidence,
            retention: draft.retention,
            data: draft.data,
            encoded: OnceLock::new(),
        }
    }

    /// The severity that filters see.
    pub fn effective_severity(&self) -> Severity {
        self.severity.unwrap_or(Severity::Info)
    }

    /// The id as text, in ASCII: `01930000-0000-7000-8000-000000000000`.
    pub fn id_digits(&self) -> [u8; 36] {
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let mut text = [b'-'; 36];
        for (place, byte) in PLACES.into_iter().zip(self.id.into_bytes()) {
            text[place..place + 2].copy_from_slice(&HEXADECIMAL[usize::from(byte)]);
        }
        text
    }

    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| &**n == name).map(|(_, value)| &**value)
    }

    /// The encoded form; `fill` makes it on first use, every later reader shares the bytes.
    ///
    /// # Panics
    /// When the number is not below [`ENCODINGS`].
    pub fn encoded(&self, encoding: Encoding, fill: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.encoded.get_or_init(Box::default)[usize::from(encoding.0)].get_or_init(|| fill(self))
    }

    /// The encoded form, if somebody has made it.
    pub fn if_encoded(&self, encoding: Encoding) -> Option<&Bytes> {
        self.encoded.get()?[usize::from(encoding.0)].get()
    }

    /// Frees what it holds, all but its names, which many share.
    pub(crate) fn clear(&mut self) {
        self.attributes = Box::default();
        self.retention = Retention::None;
        self.data = Payload::null();
        self.encoded = OnceLock::new();
    }

    /// About how many bytes it holds in memory, for the budget of the logs. The frame counts before it exists:
    /// otherwise a budget kept at publish would be broken by reading.
    pub fn weight(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(n, v)| n.len() + v.len() + 32).sum();
        let encoded = size_of::<[OnceLock<Bytes>; ENCODINGS]>();
        size_of::<Self>() + encoded + attributes + 2 * self.data.as_bytes().len() + self.kind.len() + 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;

    #[test]
    fn an_id_is_written_as_uuids_are() {
        let channel = ChannelName::new("a").unwrap();
        let data = Payload::new(Bytes::from_static(b"1")).unwrap();
        let draft = Draft::new(channel, "t", "s", data);
        for id in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0193_89ab_cdef_7012_8345_6789_abcd_ef01)] {
            let event = Event::new(draft.clone(), Position { epoch: Epoch(1), offset: 1 }, id);
            assert_eq!(std::str::from_utf8(&event.id_digits()).unwrap(), id.to_string());
        }
    }
}
