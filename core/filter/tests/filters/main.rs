//! The filter language from outside: the page that describes it, the CEL crate's own interpreter as the judge of what an
//! expression means, and texts that nobody should send.
#![allow(clippy::unwrap_used)]

mod hostile;
mod oracle;
mod page;

use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Epoch, Event, Payload, Position, Retention, Timestamp};
use serde_json::Value;
use uuid::Uuid;

/// An event as `docs/filters.md` writes it.
fn event(json: &Value) -> Event {
    let text = |key: &str| json[key].as_str();
    let word = |key: &str| text(key).map(str::to_owned);
    let attributes = json["attributes"].as_object().into_iter().flatten();
    let draft = Draft {
        severity: word("severity").map(|word| word.parse().unwrap()),
        evidence: word("evidence").map(|word| word.parse().unwrap()),
        retention: text("key").map_or(Retention::None, |key| Retention::Keep(key.into())),
        attributes: attributes.map(|(name, value)| (name.as_str().into(), value.as_str().unwrap().into())).collect(),
        time: text("time").map_or(Timestamp(0), |time| Timestamp::parse(time).unwrap()),
        ..Draft::new(
            ChannelName::new(text("channel").unwrap_or("a")).unwrap(),
            text("type").unwrap_or("a"),
            text("source").unwrap_or("a"),
            Payload::new(Bytes::from(json["data"].to_string())).unwrap(),
        )
    };
    Event::new(draft, Position { epoch: Epoch(1), offset: json["offset"].as_u64().unwrap_or(1) }, Uuid::nil())
}
