//! The delivery options of the seeds, each as a client meets it.

use crate::delivery::unlimited;
use headwater_tests::{Client, Daemon, World};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn publish(publisher: &mut Client, event: Value) {
    let mut event = event;
    event["type"] = "publish".into();
    event["channel"] = "performance_metrics".into();
    event["request_id"] = 1.into();
    publisher.send(&event).await;
    assert_eq!(publisher.next().await["status"], "accepted");
}

async fn subscribed(daemon: &Daemon, options: Value) -> Client {
    let mut client = daemon.client().await;
    let answer = client.subscribe_with(json!({"channels": ["performance_metrics"], "options": options})).await;
    assert_eq!(answer["status"], "success", "{answer}");
    client
}

async fn offsets(client: &mut Client, count: usize) -> Vec<u64> {
    let mut offsets = Vec::new();
    for _ in 0..count {
        let message = client.next().await;
        offsets.push(message["offset"].as_u64().unwrap_or_else(|| panic!("no event: {message}")));
    }
    offsets
}

#[tokio::test]
async fn include_historical_brings_what_the_log_holds_before_live_events() {
    let daemon = World::new().config("[router]\nchannel_events = 10").start().await;
    let mut publisher = daemon.client().await;
    for n in 1..=25 {
        publish(&mut publisher, json!({"event": "update", "data": n})).await;
    }
    let mut with = subscribed(&daemon, json!({"include_historical": true})).await;
    let mut without = subscribed(&daemon, json!({"include_historical": false})).await;
    publish(&mut publisher, json!({"event": "update", "data": 26})).await;
    assert_eq!(offsets(&mut with, 11).await, (16..=26).collect::<Vec<_>>());
    assert_eq!(offsets(&mut without, 1).await, [26]);
}

#[tokio::test]
async fn filter_level_keeps_what_is_less_severe_away() {
    let daemon = World::new().start().await;
    let mut warning = subscribed(&daemon, json!({"filter_level": "warning"})).await;
    let mut info = subscribed(&daemon, json!({"filter_level": "info"})).await;
    let mut publisher = daemon.client().await;
    for severity in [Some("debug"), None, Some("info"), Some("warning"), Some("critical")] {
        let mut event = json!({"event": "update"});
        if let Some(severity) = severity {
            event["severity"] = severity.into();
        }
        publish(&mut publisher, event).await;
    }
    assert_eq!(offsets(&mut info, 4).await, [2, 3, 4, 5], "an event that says nothing counts as info");
    assert_eq!(offsets(&mut warning, 2).await, [4, 5]);
}

#[tokio::test]
async fn buffered_events_come_together_as_messages_of_their_own() {
    let daemon = World::new().start().await;
    let options = json!({"streaming_mode": "buffered", "buffer_interval_ms": 400, "max_buffer_size": 4});
    let mut client = subscribed(&daemon, options).await;
    let mut publisher = daemon.client().await;
    // Four are enough.
    let began = Instant::now();
    for n in 1..=5 {
        publish(&mut publisher, json!({"event": "update", "data": n})).await;
    }
    assert_eq!(offsets(&mut client, 4).await, [1, 2, 3, 4]);
    // The fifth comes when its time has come, which is counted from the flush before.
    assert_eq!(offsets(&mut client, 1).await, [5]);
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_throttle_keeps_the_newest_of_each_type() {
    let daemon = World::new().start().await;
    let mut client = subscribed(&daemon, json!({"streaming_mode": "realtime", "throttle_ms": 500})).await;
    let mut publisher = daemon.client().await;
    let began = Instant::now();
    for event in ["cpu", "memory", "cpu", "cpu", "memory", "cpu"] {
        publish(&mut publisher, json!({"event": event})).await;
    }
    assert_eq!(offsets(&mut client, 2).await, [1, 2], "the first of each at once");
    let mut newest = offsets(&mut client, 2).await;
    newest.sort_unstable();
    assert_eq!(newest, [5, 6]);
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn priority_events_go_past_throttle_and_buffer() {
    let daemon = World::new().start().await;
    let hour = 3_600_000;
    let first = json!(["performance_alert"]);
    let buffered = json!({"streaming_mode": "buffered", "buffer_interval_ms": hour, "max_buffer_size": 3, "priority_events": first});
    let mut buffered = subscribed(&daemon, buffered).await;
    let mut throttled = subscribed(&daemon, json!({"throttle_ms": hour, "priority_events": first})).await;
    let mut publisher = daemon.client().await;
    for event in ["update", "performance_alert", "update", "performance_alert", "update"] {
        publish(&mut publisher, json!({"event": event})).await;
    }
    assert_eq!(offsets(&mut buffered, 5).await, [2, 4, 1, 3, 5], "and do not come again with the others");
    assert_eq!(offsets(&mut throttled, 3).await, [1, 2, 4]);
}

#[tokio::test]
async fn buffer_size_bounds_how_far_a_client_falls_behind() {
    let daemon = World::new().config(&unlimited("60s")).start().await;
    let mut slow = Client::connect_narrow(daemon.address()).await;
    let options = json!({"buffer_size": 50, "priority_events": ["performance_alert"]});
    slow.subscribe_with(json!({"channels": "performance_metrics", "options": options})).await;
    let mut publisher = daemon.client().await;
    let padding = "x".repeat(10_000);
    for n in 1..=400 {
        let event = if n == 300 { "performance_alert" } else { "update" };
        publish(&mut publisher, json!({"event": event, "data": padding})).await;
    }
    let (mut next, mut gaps) = (1, Vec::new());
    while next <= 400 {
        let message = slow.next().await;
        match message["type"].as_str().unwrap() {
            "lag" => assert!(message["behind"].as_u64().unwrap() > 50, "{message}"),
            "gap" => {
                assert_eq!((&message["from"], &message["reason"]), (&json!(next), &json!("slow_consumer")));
                next = message["to"].as_u64().unwrap() + 1;
                gaps.push(next);
            }
            _ => {
                assert_eq!(message["offset"], next, "nothing is missing without a notice");
                next += 1;
            }
        }
    }
    assert!(gaps.contains(&300), "the alert was sent, and the gap ended before it: {gaps:?}");
    assert_eq!(gaps.last(), Some(&351), "it was given the last fifty: {gaps:?}");
}
