//! Subscriptions that begin in the past, also in what only the store still has.

use crate::{
    session::{draft, message, publish, session, story, subscribe, subscribe_with, tell},
    store::Store,
    world::World,
};
use headwater_event::{Draft, Timestamp};
use headwater_router::LogLimits;
use serde_json::json;
use std::sync::atomic::Ordering;

/// A log that holds ten events of a channel, over a store that holds all.
fn ten_in_memory() -> World {
    on(&Store::new())
}

fn on(store: &std::sync::Arc<Store>) -> World {
    World::on(store.clone(), LogLimits { channel_events: 10, ..LogLimits::default() }, |_| {})
}

fn run(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|offset| offset.to_string()).collect()
}

#[tokio::test]
async fn who_was_away_for_longer_than_the_log_holds_misses_nothing() {
    let world = ten_in_memory();
    let mut client = session(&world).await;
    let answer = subscribe(&mut client, "a").await;
    let start = &answer["positions"]["a"];
    publish(&world, vec![draft("a", "1"); 3_000]);
    for position in [start.clone(), json!({"a": start})] {
        let mut again = session(&world).await;
        let answer = subscribe_with(&mut again, json!({"channels": "a", "from": position})).await;
        assert_eq!(answer["positions"]["a"]["offset"], 0, "it stands where it asked to");
        assert_eq!(story(&mut again, 3_000).await, run(1, 3_000));
    }
    let mut again = session(&world).await;
    subscribe_with(&mut again, json!({"channels": "a", "from": "earliest"})).await;
    publish(&world, vec![draft("a", "1")]);
    assert_eq!(story(&mut again, 3_001).await, run(1, 3_001));
}

#[tokio::test]
async fn history_by_the_option_is_what_the_log_holds() {
    let world = ten_in_memory();
    publish(&world, vec![draft("a", "1"); 100]);
    let mut client = session(&world).await;
    subscribe_with(&mut client, json!({"channels": "a", "options": {"include_historical": true}})).await;
    assert_eq!(story(&mut client, 100).await, run(91, 100));
}

#[tokio::test]
async fn a_subscription_begins_at_a_time_and_what_is_said_next_waits_for_it() {
    let world = ten_in_memory();
    let at = |second: i64| Draft { time: Timestamp(second * 1_000_000_000), ..draft("a", "1") };
    publish(&world, (1..=100).map(at).collect());
    let mut client = session(&world).await;
    let from = json!({"time": "1970-01-01T00:00:40Z"});
    tell(&mut client, &json!({"type": "subscribe", "channels": ["a", "later"], "from": from})).await;
    tell(&mut client, &json!({"type": "unsubscribe", "channels": "later"})).await;
    let answer = message(&mut client).await;
    assert_eq!(answer["subscribed_channels"], json!(["a", "later"]));
    assert_eq!(answer["positions"]["a"]["offset"], 39);
    let mut left = message(&mut client).await;
    while left["type"] != "unsubscription_response" {
        left = message(&mut client).await;
    }
    assert_eq!(left["subscribed_channels"], json!(["a"]));
    publish(&world, vec![draft("a", "1")]);
    let rest = story(&mut client, 101).await;
    assert_eq!(rest.last().unwrap(), "101");
}

#[tokio::test]
async fn many_channels_come_from_the_store_side_by_side() {
    let world = ten_in_memory();
    for channel in ["a", "b", "c"] {
        publish(&world, vec![draft(channel, "1"); 400]);
    }
    let mut client = session(&world).await;
    subscribe_with(&mut client, json!({"channels": "*", "from": "earliest"})).await;
    let mut next = std::collections::BTreeMap::from([("a", 1), ("b", 1), ("c", 1)]);
    for _ in 0..1_200 {
        let message = message(&mut client).await;
        let next = next.get_mut(message["channel"].as_str().unwrap()).unwrap();
        assert_eq!(message["offset"], *next);
        *next += 1;
    }
}

#[tokio::test]
async fn a_filter_holds_for_what_comes_from_the_store_too() {
    let world = ten_in_memory();
    let kinds = ["x", "y", "z"].into_iter().cycle().take(300);
    publish(&world, kinds.map(|kind| Draft { kind: kind.into(), ..draft("a", "1") }).collect());
    let mut client = session(&world).await;
    subscribe_with(&mut client, json!({"channels": "a", "from": "earliest", "filter": {"types": "z"}})).await;
    let expected: Vec<String> = (1..=100).map(|n| (n * 3).to_string()).collect();
    assert_eq!(story(&mut client, 300).await, expected);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_becomes_a_gap_and_live_events_come() {
    let store = Store::new();
    let world = on(&store);
    publish(&world, vec![draft("a", "1"); 100]);
    store.broken.store(true, Ordering::Relaxed);
    let mut client = session(&world).await;
    subscribe_with(&mut client, json!({"channels": "a", "from": "earliest"})).await;
    let mut expected = vec!["gap 1-90 corruption".to_owned()];
    expected.extend(run(91, 100));
    assert_eq!(story(&mut client, 100).await, expected);
    let since = json!({"time": "2020-01-01T00:00:00Z"});
    let answer = subscribe_with(&mut client, json!({"channels": "a", "from": since})).await;
    assert_eq!(answer["failed_channels"][0]["error_code"], "SYSTEM_UNAVAILABLE", "{answer}");
    publish(&world, vec![draft("a", "1")]);
    assert_eq!(message(&mut client).await["offset"], 101, "what was subscribed before goes on");
}

/// Harm prevented: a page that a client waits for holds up the shard, and with it everybody else.
#[tokio::test]
async fn who_reads_the_past_does_not_hold_up_who_reads_the_present() {
    let store = Store::new();
    let world = on(&store);
    publish(&world, vec![draft("a", "1"); 100]);
    let (mut past, mut present) = (session(&world).await, session(&world).await);
    subscribe(&mut present, "a").await;
    let slow_disk = store.gate.lock().await;
    subscribe_with(&mut past, json!({"channels": "a", "from": "earliest"})).await;
    publish(&world, vec![draft("a", "1")]);
    assert_eq!(message(&mut present).await["offset"], 101);
    drop(slow_disk);
    assert_eq!(story(&mut past, 101).await, run(1, 101));
}
