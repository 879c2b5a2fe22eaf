//! Subscriptions with a pace of their own: throttled, buffered, and what goes past both.

use crate::{
    session::{draft, message, narrow_session, publish, session, story, subscribe_with},
    wire::Client,
    world::{World, until},
};
use headwater_event::Draft;
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than a test takes: what waits for it does not come by itself.
const NEVER: u64 = 3_600_000;

fn of(kind: &str) -> Draft {
    Draft { kind: kind.into(), ..draft("a", "1") }
}

async fn paced(world: &World, options: Value) -> Client {
    let mut client = session(world).await;
    subscribe_with(&mut client, json!({"channels": "a", "options": options})).await;
    client
}

fn run(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|offset| offset.to_string()).collect()
}

/// Nothing else was on its way: an event that is published now on another channel comes next.
async fn nothing_else(world: &World, client: &mut Client) {
    subscribe_with(client, json!({"channels": "mark"})).await;
    publish(world, vec![draft("mark", "1")]);
    assert_eq!(message(client).await["channel"], "mark");
}

#[tokio::test]
async fn a_buffer_is_flushed_early_when_it_is_full_and_in_order() {
    let world = World::start();
    let options = json!({"streaming_mode": "buffered", "buffer_interval_ms": NEVER, "max_buffer_size": 4});
    let mut client = paced(&world, options).await;
    publish(&world, vec![of("t"); 3]);
    nothing_else(&world, &mut client).await;
    publish(&world, vec![of("t"); 2]);
    assert_eq!(story(&mut client, 4).await, run(1, 4));
    // The fifth came with the same batch and waits.
    publish(&world, vec![of("t"); 3]);
    assert_eq!(story(&mut client, 8).await, run(5, 8));
}

#[tokio::test]
async fn a_buffer_is_flushed_when_its_time_has_come() {
    let world = World::start();
    let mut client = paced(&world, json!({"streaming_mode": "buffered", "buffer_interval_ms": 200})).await;
    let began = Instant::now();
    for round in 0..3 {
        publish(&world, vec![of("t"); 5]);
        assert_eq!(story(&mut client, round * 5 + 5).await, run(round * 5 + 1, round * 5 + 5));
    }
    // Three flushes lie two whole intervals apart, whenever in an interval this began.
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_has_priority_waits_for_no_buffer_and_does_not_come_twice() {
    let world = World::start();
    let options = json!({"streaming_mode": "buffered", "buffer_interval_ms": NEVER, "max_buffer_size": 3,
        "priority_events": ["alarm"]});
    let mut client = paced(&world, options).await;
    publish(&world, vec![of("t"), of("alarm"), of("t")]);
    assert_eq!(message(&mut client).await["offset"], 2);
    nothing_else(&world, &mut client).await;
    publish(&world, vec![of("t"), of("t")]);
    assert_eq!(story(&mut client, 4).await, ["1", "3", "4"]);
}

#[tokio::test]
async fn a_throttle_lets_the_first_go_and_the_newest_at_the_end_of_the_window() {
    let world = World::start();
    let mut client = paced(&world, json!({"throttle_ms": 300, "priority_events": ["alarm"]})).await;
    let began = Instant::now();
    publish(&world, vec![of("a"), of("a"), of("b"), of("alarm"), of("a"), of("alarm"), of("b")]);
    let first = [
        message(&mut client).await,
        message(&mut client).await,
        message(&mut client).await,
        message(&mut client).await,
    ];
    assert_eq!(first.map(|event| event["offset"].as_u64()), [1, 3, 4, 6].map(Some));
    let mut newest = [message(&mut client).await, message(&mut client).await].map(|event| event["offset"].as_u64());
    newest.sort_unstable();
    assert_eq!(newest, [Some(5), Some(7)]);
    assert!(began.elapsed() >= Duration::from_millis(300));
    nothing_else(&world, &mut client).await;
}

#[tokio::test]
async fn the_past_comes_without_a_pace_and_the_pace_begins_behind_it() {
    let world = World::start();
    for options in [
        json!({"streaming_mode": "buffered", "buffer_interval_ms": NEVER, "max_buffer_size": 1000, "include_historical": true}),
        json!({"throttle_ms": NEVER, "include_historical": true}),
    ] {
        let head = world.router.log("a").map_or(0, |log| log.head());
        publish(&world, vec![of("t"); 20]);
        let mut client = paced(&world, options.clone()).await;
        assert_eq!(story(&mut client, head + 20).await, run(1, head + 20));
        publish(&world, vec![of("t"); 3]);
        if options["throttle_ms"] != Value::Null {
            assert_eq!(message(&mut client).await["offset"], head + 21);
        }
        nothing_else(&world, &mut client).await;
    }
}

#[tokio::test]
async fn who_waits_says_that_it_has_not_got_what_waits() {
    let world = World::start();
    let buffered = json!({"streaming_mode": "buffered", "buffer_interval_ms": NEVER});
    for (options, place) in [(buffered, 1), (json!({"throttle_ms": NEVER}), 2)] {
        let mut client = paced(&world, options).await;
        let head = world.router.log("a").unwrap().head();
        publish(&world, vec![of("a"), of("b"), of("a"), of("b")]);
        until(async || world.get("/v1/channels").await.json()["channels"][0]["offset"] != head).await;
        let sub = subscribe_with(&mut client, json!({"channels": "else"})).await;
        let mut at = sub;
        while at["type"] != "subscription_response" {
            at = message(&mut client).await;
        }
        assert_eq!(at["positions"]["a"]["offset"], head + place - u64::from(place == 1), "{at}");
    }
}

/// Harm prevented: what a client does not read waits for it in memory because it asked for it at a pace.
#[tokio::test]
async fn who_stalls_gets_everything_later_and_holds_nothing_meanwhile() {
    let limits = LogLimits { channel_bytes: 64 << 20, ..LogLimits::default() };
    let large = |kind: &str| Draft { kind: kind.into(), ..draft("a", &format!("\"{}\"", "x".repeat(10_000))) };
    let world = World::over(limits.clone(), |_| {});
    let mut client = narrow_session(&world).await;
    let options = json!({"streaming_mode": "buffered", "buffer_interval_ms": NEVER, "max_buffer_size": 5,
        "priority_events": ["alarm"]});
    subscribe_with(&mut client, json!({"channels": "a", "options": options})).await;
    for round in 0..20 {
        publish(&world, (0..10).map(|n| large(if n == 3 && round > 10 { "alarm" } else { "t" })).collect());
    }
    until(async || world.get("/metrics").await.text().contains("headwater_lagging_connections 1")).await;
    // The last ones would wait for more, but one of priority lets all go that lie before it.
    publish(&world, vec![large("alarm")]);
    assert_eq!(story(&mut client, 201).await, run(1, 201));
    // A throttle: the newest of each type comes, whatever else did.
    let world = World::over(limits, |_| {});
    let mut client = narrow_session(&world).await;
    subscribe_with(&mut client, json!({"channels": "a", "options": {"throttle_ms": 1, "priority_events": ["alarm"]}}))
        .await;
    for number in 0..300 {
        let kind = ["a", "b", "alarm"][number % 3];
        publish(&world, vec![large(kind)]);
    }
    let mut seen = Vec::new();
    while seen.len() < 3 || !(298..=300).all(|last| seen.contains(&last)) {
        seen.push(message(&mut client).await["offset"].as_u64().unwrap());
    }
    let alarms = seen.iter().filter(|offset| *offset % 3 == 0).count();
    assert_eq!(alarms, 100, "none of those that go first is missing: {seen:?}");
    let mut once = seen.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "none comes twice: {seen:?}");
}

#[tokio::test]
async fn a_flush_leaves_out_nothing_of_the_other_channels_of_its_batch() {
    let world = World::start();
    for (round, channel) in [(0, "a"), (1, "*")] {
        let mut client = session(&world).await;
        let options = json!({"streaming_mode": "buffered", "buffer_interval_ms": NEVER, "max_buffer_size": 2});
        subscribe_with(&mut client, json!({"channels": "b", "options": options})).await;
        subscribe_with(&mut client, json!({"channels": channel})).await;
        publish(&world, vec![draft("a", "1"), draft("b", "1"), draft("b", "1"), draft("a", "1")]);
        let mut got = Vec::new();
        for _ in 0..4 {
            let event = message(&mut client).await;
            got.push((event["channel"].as_str().unwrap().to_owned(), event["offset"].as_u64().unwrap() - 2 * round));
        }
        got.sort();
        assert_eq!(got, [("a", 1), ("a", 2), ("b", 1), ("b", 2)].map(|(name, offset)| (name.to_owned(), offset)));
    }
}

#[tokio::test]
async fn a_socket_that_is_full_in_the_middle_of_a_batch_loses_no_paced_event() {
    for options in [json!({"throttle_ms": NEVER}), json!({"streaming_mode": "buffered", "max_buffer_size": 1})] {
        let world = World::start();
        let mut other = session(&world).await;
        subscribe_with(&mut other, json!({"channels": "x"})).await;
        let mut client = narrow_session(&world).await;
        subscribe_with(&mut client, json!({"channels": "b"})).await;
        subscribe_with(&mut client, json!({"channels": "x", "options": options})).await;
        let lagging =
            async |is| world.get("/metrics").await.text().contains(&format!("headwater_lagging_connections {is}"));
        // It takes all, but no more: what it reads makes room for what waits.
        let big = format!("\"{}\"", "x".repeat(10_000));
        let mut left = 0;
        while !lagging(1).await {
            publish(&world, vec![draft("b", &big); 10]);
            left += 10;
        }
        while !lagging(0).await {
            assert_eq!(message(&mut client).await["channel"], "b");
            left -= 1;
        }
        // With the event of `x` the batch is as large as it may be: it is written, and not all of it goes through.
        let mut batch = vec![draft("b", &big); 25];
        batch.push(draft("x", &big));
        publish(&world, batch);
        until(async || lagging(1).await).await;
        let mut came = Vec::new();
        for _ in 0..left + 26 {
            came.push(message(&mut client).await["channel"].clone());
        }
        assert_eq!(came.iter().filter(|channel| **channel == "x").count(), 1);
    }
}
