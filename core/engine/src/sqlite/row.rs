//! How an event stands in a row, and how it comes back. Used by writing, reading and verifying.

use super::{fault::Fault, lineage::Lineage, schema};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Epoch, Event, Evidence, Payload, Position, Retention, Severity, Timestamp};
use rusqlite::{CachedStatement, Row, params};
use serde::de::{Deserializer, MapAccess, Visitor};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The columns of `event` that [`Reader::read`] expects, in its order.
pub(crate) const COLUMNS: &str = "at, id, time, type, source, severity, evidence, key, forgotten, attributes, data";

/// The same of `snapshot`, whose epoch stands in the row: see [`Reader::read_snapshot`].
pub(crate) const SNAPSHOT_COLUMNS: &str =
    "at, id, time, type, source, severity, evidence, key, NULL, attributes, data, channel, epoch";

/// What a row costs beside its texts.
const FIXED: usize = 48;

/// How many types and sources are remembered while a page is read.
const RECENT: usize = 8;

/// About how many bytes an event takes in the file; `sized` in the schema says the same of a row.
pub(crate) fn size(event: &Event) -> u64 {
    let key = match &event.retention {
        Retention::None => 0,
        Retention::Keep(key) | Retention::Forget(key) => key.len(),
    };
    let attributes: usize = event.attributes.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let braces = usize::from(!event.attributes.is_empty());
    (FIXED + event.data.as_bytes().len() + attributes + braces + event.kind.len() + event.source.len() + key) as u64
}

/// Writes an event as the snapshot of its channel and key.
pub(crate) fn insert_snapshot(
    statement: &mut CachedStatement<'_>,
    channel: i64,
    key: &str,
    event: &Event,
) -> Result<(), Fault> {
    statement.execute(params![
        channel,
        key,
        schema::at(channel, event.position.offset),
        event.position.epoch.0 as i64,
        &event.id.as_bytes()[..],
        event.time.0,
        &*event.kind,
        &*event.source,
        event.severity.map(|severity| severity as u8),
        event.evidence.map(|evidence| evidence as u8),
        attributes_text(event),
        data_text(event),
    ])?;
    Ok(())
}

/// The payload as text.
pub(crate) fn data_text(event: &Event) -> &str {
    std::str::from_utf8(event.data.as_bytes()).expect("invariant: a payload is JSON, which is UTF-8")
}

/// The attributes as a JSON object, in their order; `None` where there are none.
pub(crate) fn attributes_text(event: &Event) -> Option<String> {
    if event.attributes.is_empty() {
        return None;
    }
    let mut text = String::from("{");
    for (name, value) in &event.attributes {
        if text.len() > 1 {
            text.push(',');
        }
        let quoted = |word: &str| serde_json::to_string(word).expect("invariant: any text can be quoted");
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(&quoted(value));
    }
    text.push('}');
    Some(text)
}

/// Makes events of rows. What repeats from row to row (type, source) is shared.
pub(crate) struct Reader {
    recent: Vec<Arc<str>>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { recent: Vec::new() }
    }

    /// The event in a row of [`COLUMNS`].
    pub(crate) fn read(&mut self, row: &Row<'_>, channel: &ChannelName, lineage: &Lineage) -> Result<Event, Fault> {
        let offset = schema::offset(row.get(0)?);
        self.event(row, channel.clone(), Position { epoch: lineage.of(offset), offset })
    }

    /// The event in a row of [`SNAPSHOT_COLUMNS`].
    pub(crate) fn read_snapshot(&mut self, row: &Row<'_>, channel: &ChannelName) -> Result<Event, Fault> {
        let epoch = Epoch(row.get::<_, i64>(12)? as u64);
        self.event(row, channel.clone(), Position { epoch, offset: schema::offset(row.get(0)?) })
    }

    fn event(&mut self, row: &Row<'_>, channel: ChannelName, position: Position) -> Result<Event, Fault> {
        let wrong = |what: &str| Fault::Odd(format!("the {what} of `{channel}` {position} cannot be"));
        let id = row.get_ref(1)?.as_blob().map_err(|_| wrong("id"))?;
        let id = Uuid::from_slice(id).map_err(|_| wrong("id"))?;
        let key = row.get_ref(7)?.as_str_or_null().map_err(|_| wrong("key"))?;
        let retention = match (key, row.get::<_, Option<i64>>(8)?) {
            (None, _) => Retention::None,
            (Some(key), None) => Retention::Keep(key.into()),
            (Some(key), Some(_)) => Retention::Forget(key.into()),
        };
        let attributes = match row.get_ref(9)?.as_str_or_null().map_err(|_| wrong("attributes"))? {
            None => Box::default(),
            Some(text) => attributes(text).map_err(|_| wrong("attributes"))?,
        };
        let severity = match row.get::<_, Option<u8>>(5)? {
            None => None,
            Some(number) => Some(Severity::from_number(number).ok_or_else(|| wrong("severity"))?),
        };
        let evidence = match row.get::<_, Option<u8>>(6)? {
            None => None,
            Some(number) => Some(Evidence::from_number(number).ok_or_else(|| wrong("evidence"))?),
        };
        let data = row.get_ref(10)?.as_str().map_err(|_| wrong("data"))?;
        let data = Payload::new(Bytes::copy_from_slice(data.as_bytes())).map_err(|_| wrong("data"))?;
        let draft = Draft {
            kind: self.shared(row.get_ref(3)?.as_str().map_err(|_| wrong("type"))?),
            time: Timestamp(row.get(2)?),
            source: self.shared(row.get_ref(4)?.as_str().map_err(|_| wrong("source"))?),
            severity,
            attributes,
            evidence,
            retention,
            data,
            channel,
            idempotency_key: None,
        };
        Ok(Event::new(draft, position, id))
    }

    fn shared(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.recent.iter().find(|known| &***known == word) {
            return known.clone();
        }
        let new: Arc<str> = word.into();
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(new.clone());
        new
    }
}

type Attributes = Box<[(Box<str>, Box<str>)]>;

/// Reads a JSON object of texts, in its order.
fn attributes(text: &str) -> Result<Attributes, serde_json::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Attributes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                found.push((name.into_boxed_str(), value.into_boxed_str()));
            }
            Ok(found.into())
        }
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let found = parser.deserialize_map(InOrder)?;
    parser.end()?;
    Ok(found)
}
