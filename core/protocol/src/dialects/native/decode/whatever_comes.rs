//! Properties of the decoder: whatever a client sends, the answer is a request or a short error, never a panic.

use super::request;
use crate::ErrorCode;
use proptest::prelude::*;
use serde_json::{Value, json};

/// One of each message, with every field that it knows.
fn messages() -> Vec<Value> {
    let filter =
        json!({"types": ["a*"], "severity": "high", "attributes": {"a": "b"}, "sources": "s", "where": "true"});
    let from = json!({"epoch": "00000000000000ab", "offset": 1});
    let options = json!({"include_historical": true, "filter_level": "low", "buffer_size": 100, "throttle_ms": 1,
        "streaming_mode": "buffered", "buffer_interval_ms": 10, "max_buffer_size": 5, "priority_events": ["a"],
        "lag_policy": {"policy": "latest", "key": "type"}});
    let event = json!({"channel": "a", "type": "t", "data": {"x": [1]}, "severity": "info", "attributes": {"a": "b"},
        "timestamp": "2024-01-01T00:00:00Z", "key": "k", "idempotency_key": "i"});
    let mut alone = event.clone();
    (alone["type"], alone["event"]) = ("publish".into(), "t".into());
    vec![
        alone,
        json!({"type": "publish", "events": [event], "idempotency_key": "k", "request_id": 1}),
        json!({"type": "subscribe", "channels": ["a", "b*"], "filter": filter, "from": from, "options": options}),
        json!({"type": "subscribe", "channels": "a", "from": {"a": from}}),
        json!({"type": "subscribe", "channels": "a", "from": {"time": "5m"}}),
        json!({"type": "unsubscribe", "channels": ["a"], "request_id": "r"}),
        json!({"type": "snapshot", "channels": "a"}),
        json!({"type": "request_historical_data", "channel": "a", "request_id": 1, "parameters": {
            "start_time": "1h", "end_time": "5m", "types": "a", "filter": {"where": "true"}, "order": "desc", "limit": 10,
            "cursor": "c", "granularity": "hour", "metrics": ["x"]}}),
        json!({"type": "replay", "channels": "a", "filter": filter, "start_time": "5m", "end_time": "1m", "speed": 2.0,
            "then": "live"}),
        json!({"type": "replay_control", "replay_id": "r", "action": "seek", "time": "1m", "speed": 0}),
        json!({"type": "command", "command": "c", "parameters": {}, "request_id": 1}),
        json!({"type": "heartbeat", "timestamp": "t"}),
        json!({"type": "auth", "token": "t", "reconnect_token": "r",
            "last_message_id": "019aa0c1-6f7e-7c3a-9d2e-2b9f1d3c4a5b"}),
        json!({"type": "disconnect", "reason": "r", "save_session": true}),
    ]
}

#[test]
fn each_message_is_read() {
    for message in messages() {
        let read = request(&message.to_string(), None);
        assert!(read.is_ok(), "{message}: {read:?}");
    }
}

/// What an error is, whatever it is about.
fn check(text: &str) -> Result<(), TestCaseError> {
    let Err(error) = request(text, None) else { return Ok(()) };
    let known = [ErrorCode::InvalidJson, ErrorCode::UnknownMessageType, ErrorCode::Validation];
    prop_assert!(known.contains(&error.code), "{error}");
    prop_assert!(!error.message.is_empty() && error.message.len() <= 512, "{error}");
    Ok(())
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (0_usize..5000).prop_map(|length| Value::from("x".repeat(length))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Puts `other` in the place of the `nth` value of a message, counted through all levels.
fn replace(value: &mut Value, nth: &mut usize, other: &Value) {
    let inner: Vec<&mut Value> = match value {
        Value::Object(map) => map.values_mut().collect(),
        Value::Array(list) => list.iter_mut().collect(),
        _ => Vec::new(),
    };
    for inner in inner {
        if *nth == 0 {
            *inner = other.clone();
        }
        *nth = nth.wrapping_sub(1);
        replace(inner, nth, other);
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_value_anywhere_is_answered(which in any::<prop::sample::Index>(), mut nth in 0_usize..24, other in anything()) {
        let messages = messages();
        let mut message = which.get(&messages).clone();
        replace(&mut message, &mut nth, &other);
        check(&message.to_string())?;
    }

    #[test]
    fn a_message_broken_anywhere_is_answered(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        with in prop::option::of(any::<char>()),
    ) {
        let messages = messages();
        let mut text: Vec<char> = which.get(&messages).to_string().chars().collect();
        let place = place.index(text.len());
        match with {
            Some(c) => text[place] = c,
            None => text.truncate(place),
        }
        check(&text.into_iter().collect::<String>())?;
    }
}
