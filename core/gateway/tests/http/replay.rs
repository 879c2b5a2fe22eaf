//! Replays: the past comes again, at its own speed, and goes over into the present.

use crate::{
    session::{draft, message, narrow_session, publish, session, subscribe, tell},
    store::Store,
    wire::Client,
    world::World,
};
use headwater_event::{Draft, Timestamp};
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

const SECOND: i64 = 1_000_000_000;

/// An event of this channel at so many milliseconds after 1970 began.
fn at(channel: &str, milliseconds: i64) -> Draft {
    Draft { time: Timestamp(milliseconds * 1_000_000), ..draft(channel, "1") }
}

/// A log that holds five events of a channel, over a store that holds all.
fn stored() -> (World, Arc<Store>) {
    let store = Store::new();
    let limits = LogLimits { channel_events: 5, ..LogLimits::default() };
    (World::on(store.clone(), limits, |_| {}), store)
}

fn time(milliseconds: i64) -> String {
    Timestamp(milliseconds * 1_000_000).to_string()
}

/// Begins a replay; its name.
async fn replay(client: &mut Client, mut request: Value) -> String {
    request["type"] = "replay".into();
    request["request_id"] = "begin".into();
    tell(client, &request).await;
    let answer = message(client).await;
    assert_eq!((&answer["type"], &answer["request_id"]), (&json!("replay_response"), &json!("begin")), "{answer}");
    assert_eq!(answer["state"], "playing", "{answer}");
    answer["replay_id"].as_str().unwrap().to_owned()
}

async fn steer(client: &mut Client, id: &str, mut action: Value) -> Value {
    action["type"] = "replay_control".into();
    action["replay_id"] = id.into();
    action["request_id"] = "steer".into();
    tell(client, &action).await;
    loop {
        let answer = message(client).await;
        if answer["request_id"] == "steer" {
            return answer;
        }
    }
}

/// Channels and offsets up to the state that ends it, and that state.
async fn until_state(client: &mut Client) -> (Vec<(String, u64)>, Value) {
    let mut came = Vec::new();
    loop {
        let message = message(client).await;
        if message["type"] == "replay_state" {
            return (came, message);
        }
        came.push((message["channel"].as_str().unwrap().to_owned(), message["offset"].as_u64().unwrap()));
    }
}

#[tokio::test]
async fn a_range_comes_again_ordered_by_time_across_channels() {
    let (world, _store) = stored();
    publish(&world, (1..=30).map(|n| at("a", n * 10)).collect());
    publish(&world, (1..=30).map(|n| at("b", n * 10 + 5)).collect());
    let mut client = session(&world).await;
    let range = json!({"channels": ["a", "b", "a"], "start_time": time(100), "end_time": time(200), "speed": 0});
    replay(&mut client, range).await;
    let (came, end) = until_state(&mut client).await;
    let expected: Vec<(String, u64)> = (10..20).flat_map(|n| [("a".to_owned(), n), ("b".to_owned(), n)]).collect();
    assert_eq!(came, expected);
    assert_eq!((&end["state"], &end["positions"]["a"]["offset"]), (&json!("completed"), &json!(19)));
}

#[tokio::test]
async fn the_past_goes_over_into_the_present_without_a_gap_and_without_doubles() {
    let (world, _store) = stored();
    publish(&world, (1..=200).map(|n| at("a", n)).collect());
    let mut client = session(&world).await;
    let from = json!({"channels": ["a", "n*"], "start_time": time(51), "speed": 0, "filter": {"types": "t"}});
    replay(&mut client, from).await;
    // While it plays: of the channel that it plays, of one that begins, and one that its filter does not want.
    publish(&world, vec![at("a", 1_000), Draft { kind: "other".into(), ..at("a", 1_001) }, at("new", 1_002)]);
    let mut offsets = Vec::new();
    let (mut live, mut new) = (false, false);
    while offsets.last() != Some(&203) {
        let message = message(&mut client).await;
        match (message["type"].as_str().unwrap(), message["channel"].as_str()) {
            ("replay_state", _) => {
                assert_eq!(message["state"], "live");
                live = true;
                publish(&world, vec![at("a", 2_000)]);
            }
            ("t", Some("new")) => new = true,
            ("t", _) => offsets.push(message["offset"].as_u64().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<u64> = (51..=201).chain([203]).collect();
    assert_eq!((offsets, live, new), (expected, true, true));
    tell(&mut client, &json!({"type": "unsubscribe", "channels": ["a", "n*"]})).await;
    assert_eq!(message(&mut client).await["unsubscribed_channels"], json!(["a", "n*"]), "it has become ordinary");
}

#[tokio::test]
async fn a_channel_that_is_read_already_goes_on_as_it_is() {
    let (world, _store) = stored();
    publish(&world, (1..=20).map(|n| at("a", n)).collect());
    let mut client = session(&world).await;
    subscribe(&mut client, "a*").await;
    publish(&world, vec![at("a", 21)]);
    assert_eq!(message(&mut client).await["offset"], 21);
    replay(&mut client, json!({"channels": "a", "start_time": time(15), "speed": 0})).await;
    let (came, end) = until_state(&mut client).await;
    assert_eq!(came.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), (15..=21).collect::<Vec<_>>());
    assert_eq!(end["state"], "live");
    publish(&world, vec![at("a", 22)]);
    assert_eq!(message(&mut client).await["offset"], 22, "once");
}

#[tokio::test]
async fn it_takes_as_long_as_it_took_divided_by_its_speed() {
    let (world, _store) = stored();
    publish(&world, vec![at("a", 0), at("a", 200), at("a", 600)]);
    let mut client = session(&world).await;
    for (speed, least) in [(1.0, 600), (2.0, 300)] {
        let began = Instant::now();
        replay(&mut client, json!({"channels": "a", "start_time": time(0), "end_time": time(5_000), "speed": speed}))
            .await;
        let (came, _) = until_state(&mut client).await;
        let took = began.elapsed();
        assert_eq!(came.len(), 3);
        assert!(took >= Duration::from_millis(least), "{took:?} at {speed}");
    }
}

#[tokio::test]
async fn it_can_be_paused_sought_sped_up_and_stopped() {
    let (world, _store) = stored();
    publish(&world, (0..100).map(|hour| at("a", hour * 3_600_000)).collect());
    let mut client = session(&world).await;
    let range = json!({"channels": "a", "start_time": time(0), "end_time": time(100 * 3_600_000)});
    let id = replay(&mut client, range.clone()).await;
    assert_eq!(message(&mut client).await["offset"], 1, "the next one is an hour away");
    let answer = steer(&mut client, &id, json!({"action": "pause"})).await;
    assert_eq!((&answer["state"], &answer["positions"]["a"]["offset"]), (&json!("paused"), &json!(1)));
    let answer = steer(&mut client, &id, json!({"action": "seek", "time": time(49 * 3_600_000)})).await;
    assert_eq!((&answer["state"], &answer["positions"]["a"]["offset"]), (&json!("sought"), &json!(49)));
    let answer = steer(&mut client, &id, json!({"action": "speed", "speed": 0})).await;
    assert_eq!(answer["state"], "paused", "a pause stays one");
    let answer = steer(&mut client, &id, json!({"action": "resume"})).await;
    assert_eq!(answer["state"], "playing");
    let (came, end) = until_state(&mut client).await;
    assert_eq!(came.first().map(|(_, offset)| *offset), Some(50));
    assert_eq!((came.len(), &end["state"]), (51, &json!("completed")));
    // It is over, and cannot be steered.
    let answer = steer(&mut client, &id, json!({"action": "pause"})).await;
    assert_eq!(answer["error_code"], "RESOURCE_NOT_FOUND");
    let id = replay(&mut client, range.clone()).await;
    assert_eq!(message(&mut client).await["offset"], 1);
    assert_eq!(steer(&mut client, &id, json!({"action": "stop"})).await["state"], "stopped");
    // A connection has four.
    for _ in 0..4 {
        replay(&mut client, json!({"channels": "none", "start_time": time(0), "end_time": time(1)})).await;
        assert_eq!(message(&mut client).await["state"], "completed", "and they make room when they end");
    }
    let mut paused = Vec::new();
    for _ in 0..4 {
        paused.push(replay(&mut client, range.clone()).await);
        assert_eq!(message(&mut client).await["offset"], 1);
    }
    tell(&mut client, &json!({"type": "replay", "channels": "a", "start_time": "5m"})).await;
    assert_eq!(message(&mut client).await["error_code"], "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_store_that_fails_leaves_a_gap_or_a_refusal_and_never_a_hang() {
    let (world, store) = stored();
    publish(&world, (1..=30).map(|n| at("a", n)).collect());
    let mut client = session(&world).await;
    let range = json!({"channels": "a", "start_time": time(0), "end_time": time(31), "speed": 0.01});
    let id = replay(&mut client, range.clone()).await;
    steer(&mut client, &id, json!({"action": "pause"})).await;
    store.broken.store(true, Ordering::Relaxed);
    // Where it goes on from cannot be found.
    let answer = steer(&mut client, &id, json!({"action": "seek", "time": time(0)})).await;
    assert_eq!(answer["error_code"], "SYSTEM_UNAVAILABLE");
    store.broken.store(false, Ordering::Relaxed);
    tell(&mut client, &json!({"type": "replay", "channels": "a", "start_time": time(0), "filter": {"where": "="}}))
        .await;
    assert_eq!(message(&mut client).await["error_code"], "VALIDATION_ERROR");
}

/// Harm prevented: a client that asks for a year and does not read gets it into the daemon's memory.
#[tokio::test]
async fn who_does_not_read_stops_its_replay() {
    let world = World::over(LogLimits { channel_bytes: 64 << 20, ..LogLimits::default() }, |_| {});
    let large = format!("\"{}\"", "x".repeat(10_000));
    let event = |n: i64| Draft { time: Timestamp(n * SECOND), ..draft("a", &large) };
    publish(&world, (1..=500).map(event).collect());
    let mut client = narrow_session(&world).await;
    replay(&mut client, json!({"channels": "a", "start_time": time(0), "end_time": time(501_000), "speed": 0})).await;
    let mut other = session(&world).await;
    tell(&mut other, &json!({"type": "heartbeat"})).await;
    assert_eq!(message(&mut other).await["type"], "heartbeat_response", "others go on");
    let (came, _) = until_state(&mut client).await;
    assert_eq!(came.len(), 500);
}
