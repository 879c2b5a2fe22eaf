//! Events and gaps as tools tell them: an event is what it is everywhere on the wire, and no answer is larger than its reader
//! has asked for.

use headwater_event::{Event, Gap};
use headwater_protocol::dialects;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// How much text of events one answer has, unless the caller says otherwise: about 8,000 tokens.
pub(super) const USUAL_BYTES: u64 = 32 * 1024;
/// The least and the most that a caller may say.
pub(super) const LEAST_BYTES: u64 = 1024;
pub(super) const MOST_BYTES: u64 = 1024 * 1024;
/// How much of the data of an event is shown that is too large as a whole.
const BEGINNING: usize = 400;

/// One event.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown(Map<String, Value>);

/// What stands in an event.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it is written by the dialect")]
struct Form {
    /// What happened.
    r#type: String,
    channel: String,
    /// When it was observed, RFC 3339 in UTC.
    timestamp: String,
    /// The event's own id, a UUID.
    message_id: String,
    /// The channel's numbering, 16 hexadecimal digits.
    epoch: String,
    /// Its number in the channel, from 1.
    offset: u64,
    /// Who published it: a source's name, or `client`.
    source: String,
    /// debug, info, warning, error or critical.
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    /// How the source knows: observed, inferred or polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    /// The key under which it is kept for late subscribers.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Whether it took the kept event of its key away.
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, String>>,
    /// What the event says; any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    /// Instead of `data`, when the event alone is larger than `max_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<Truncated>,
}

#[derive(Serialize, JsonSchema)]
struct Truncated {
    /// How large the data is.
    data_bytes: u64,
    /// Its first characters.
    beginning: String,
    /// How to see all of it.
    hint: String,
}

impl JsonSchema for Shown {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Form::json_schema(generator)
    }
}

/// Events that will never be seen: they are lost, or no longer kept.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Missing {
    channel: String,
    /// The first offset missing.
    from_offset: u64,
    /// The last offset missing.
    to_offset: u64,
    /// How many.
    events: u64,
    /// `slow_consumer`, `retention`, `source_drop`, `corruption`, or `epoch_change`: the numbering has begun anew.
    reason: String,
}

impl From<&Gap> for Missing {
    fn from(gap: &Gap) -> Self {
        Self {
            channel: gap.channel.to_string(),
            from_offset: gap.from.offset,
            to_offset: gap.to,
            events: (gap.to + 1).saturating_sub(gap.from.offset),
            reason: gap.reason.as_str().to_owned(),
        }
    }
}

/// As many of these events, from the first on, as fit into so many bytes of text; one at least.
pub(super) fn shown<'a>(events: impl IntoIterator<Item = &'a Arc<Event>>, most: u64) -> Vec<Shown> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (mut all, mut bytes, mut text) = (Vec::new(), 0, Vec::new());
    for event in events {
        text.clear();
        dialects::native().event(event, &mut text);
        let one = if text.len() > most { begun(event, most, &text) } else { whole(&text) };
        bytes += text.len().min(most);
        if bytes > most && !all.is_empty() {
            break;
        }
        all.push(one);
    }
    all
}

fn whole(text: &[u8]) -> Shown {
    Shown(serde_json::from_slice(text).expect("invariant: the dialect writes JSON objects"))
}

/// An event of which only the beginning is shown.
fn begun(event: &Event, most: usize, text: &[u8]) -> Shown {
    let Shown(mut members) = whole(text);
    members.remove("data");
    let data = event.data.as_bytes();
    let beginning = String::from_utf8_lossy(&data[..data.len().min(BEGINNING)]);
    let truncated = Truncated {
        data_bytes: data.len() as u64,
        beginning: beginning.trim_end_matches('\u{fffd}').to_owned(),
        hint: format!("ask again with max_bytes above {}, up to {MOST_BYTES}", text.len()),
    };
    // Attributes are for filtering; an event can have so many that they are what is too large.
    if text.len() - data.len() > most {
        members.remove("attributes");
    }
    let truncated = serde_json::to_value(truncated).expect("invariant: it has only strings as keys");
    members.insert("truncated".into(), truncated);
    Shown(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_event::{ChannelName, Draft, Epoch, Payload, Position};

    fn event(size: usize) -> Arc<Event> {
        let data = Payload::new(Bytes::from(format!("\"{}\"", "é".repeat(size / 2)))).unwrap();
        let draft = Draft::new(ChannelName::new("c").unwrap(), "t", "s", data);
        Arc::new(Event::new(draft, Position { epoch: Epoch(1), offset: 1 }, uuid::Uuid::nil()))
    }

    /// Harm prevented: one answer fills a model's context.
    #[test]
    fn an_answer_is_as_large_as_it_may_be() {
        let events: Vec<_> = std::iter::repeat_with(|| event(1_000)).take(100).collect();
        for most in [1_024, 5_000, 32 * 1024] {
            let shown = shown(&events, most);
            let bytes = serde_json::to_vec(&shown).unwrap().len();
            assert!(!shown.is_empty() && bytes as u64 <= most + 1_000, "{most}: {bytes}");
        }
    }

    #[test]
    fn an_event_that_is_too_large_is_begun_and_says_how_to_see_it() {
        let shown = shown(&[event(100_000)], 1_024);
        let Shown(members) = &shown[0];
        assert!(!members.contains_key("data"));
        assert_eq!(members["truncated"]["data_bytes"], 100_002);
        assert!(members["truncated"]["beginning"].as_str().unwrap().starts_with("\"éé"));
        assert!(serde_json::to_vec(&shown).unwrap().len() < 2_000);
    }
}
