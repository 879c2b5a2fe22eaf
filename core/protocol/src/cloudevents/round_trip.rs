//! Properties of both forms: what is written is valid, and is read back as the event that it was.

use super::{decode_batch, decode_binary, decode_structured, encode, headers, is_name};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Epoch, Event, Payload, Position, Retention, Severity, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What is the same on the other side.
#[derive(Debug, PartialEq)]
struct Kept {
    channel: String,
    kind: String,
    time: Timestamp,
    severity: Option<Severity>,
    attributes: BTreeMap<String, String>,
    retention: Retention,
    data: Value,
}

fn kept(draft: &Draft) -> Kept {
    Kept {
        channel: draft.channel.to_string(),
        kind: draft.kind.to_string(),
        time: draft.time,
        severity: draft.severity,
        attributes: draft.attributes.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        retention: draft.retention.clone(),
        data: serde_json::from_slice(draft.data.as_bytes()).unwrap(),
    }
}

/// The event, and what it must be read back as.
fn sent(draft: Draft) -> (Event, Kept) {
    let id = Uuid::from_u128(0x019a_a0c1_6f7e_7c3a_9d2e_2b9f_1d3c_4a5b);
    let mut expected = kept(&draft);
    let mut source = String::from("/headwater/");
    crate::percent::encode(&mut source, &draft.source, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    expected.attributes.entry("id".into()).or_insert_with(|| id.to_string());
    expected.attributes.entry("source".into()).or_insert(source);
    (Event::new(draft, Position { epoch: Epoch(0xab), offset: 7 }, id), expected)
}

/// Names that extensions can have, that they cannot have, and that mean something already.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9]{1,24}", any::<String>(), "(id|source|subject|time|key|data|dataschema|channel|attributes)"]
}

/// Words without what the specification forbids: in a type or a key that is replaced and does not come back.
const WORD: &str = "[a-zA-Z0-9 \"%\\\\\u{e9}\u{20ac}\u{1f600}._-]{1,20}";

prop_compose! {
    fn draft()(
        channel in "[a-z0-9_.:/-]{1,20}",
        kind in WORD,
        source in any::<String>(),
        micros in 0_i64..4_000_000_000_000_000,
        severity in 0_u8..=5,
        attributes in prop::collection::btree_map(name(), any::<String>(), 0..5),
        key in prop::option::of(prop_oneof![WORD, Just(String::new())]),
        data in prop_oneof![any::<String>().prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)],
    ) -> Draft {
        let data = Payload::new(Bytes::from(serde_json::to_vec(&data).unwrap())).unwrap();
        let mut draft = Draft::new(ChannelName::new(&channel).unwrap(), &kind, &source, data);
        draft.time = Timestamp(micros * 1000);
        draft.severity = Severity::from_number(severity);
        draft.attributes = attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        draft.retention = key.map_or(Retention::None, |key| Retention::Keep(key.into()));
        draft
    }
}

/// What the specification says of every attribute: its name, its type, and the characters of a string.
fn is_valid(event: &Value) -> bool {
    let allowed = |c: char| !c.is_control() && !matches!(c, '\u{fdd0}'..='\u{fdef}') && u32::from(c) & 0xfffe != 0xfffe;
    let attributes = event.as_object().unwrap().iter().filter(|(name, _)| *name != "data");
    let required = ["id", "source", "specversion", "type"];
    attributes.into_iter().all(|(name, value)| {
        is_name(name) && (value.is_boolean() || value.as_str().is_some_and(|text| text.chars().all(allowed)))
    }) && required.iter().all(|name| event[name].as_str().is_some_and(|text| !text.is_empty()))
        && event.get("subject").is_none_or(|subject| subject != "")
}

proptest! {
    #[test]
    fn an_event_comes_back_from_json(draft in draft()) {
        let (event, expected) = sent(draft);
        let mut json = Vec::new();
        encode(&event, &mut json);
        prop_assert!(is_valid(&serde_json::from_slice(&json).unwrap()), "{}", String::from_utf8_lossy(&json));
        let item = decode_structured(&json, None);
        prop_assert!(item.is_ok(), "{item:?}: {}", String::from_utf8_lossy(&json));
        prop_assert_eq!(kept(&item.unwrap()), expected);
    }

    #[test]
    fn an_event_comes_back_from_headers(draft in draft()) {
        let (event, expected) = sent(draft);
        let headers = headers(&event);
        for (name, value) in &headers {
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()), "{name}: {value}");
        }
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let item = decode_binary(pairs, event.data.as_bytes(), None);
        prop_assert!(item.is_ok(), "{item:?}: {headers:?}");
        prop_assert_eq!(kept(&item.unwrap()), expected);
    }

    #[test]
    fn a_batch_comes_back(drafts in prop::collection::vec(draft(), 0..4)) {
        let (events, expected): (Vec<Event>, Vec<Kept>) = drafts.into_iter().map(sent).unzip();
        let mut json = Vec::new();
        crate::text::list(&mut json, &events, |out, event| encode(event, out));
        let items = decode_batch(&json, None).unwrap();
        prop_assert_eq!(items.iter().map(kept).collect::<Vec<_>>(), expected);
    }

    /// Types and keys with characters that the specification forbids are written valid all the same.
    #[test]
    fn whatever_an_event_holds_is_written_valid(kind in any::<String>(), key in any::<String>()) {
        let data = Payload::new(Bytes::from_static(b"1")).unwrap();
        let mut draft = Draft::new(ChannelName::new("a").unwrap(), &format!("t{kind}"), "s", data);
        draft.retention = Retention::Forget(key.into());
        let (event, _) = sent(draft);
        let mut json = Vec::new();
        encode(&event, &mut json);
        let json: Value = serde_json::from_slice(&json).unwrap();
        prop_assert!(is_valid(&json), "{json}");
        prop_assert_eq!(&json["forgotten"], &Value::Bool(true));
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        let _ = (decode_structured(&bytes, None), decode_structured(text.as_bytes(), None));
        let _ = decode_binary([("ce-id", bytes.as_slice()), (text.as_str(), &bytes)], &bytes, None);
    }
}
