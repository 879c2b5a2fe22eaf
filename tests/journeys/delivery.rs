//! Events reach those who asked, in order, once; and whoever is too slow is told what is missing.

use headwater_tests::{Client, World, eventually};
use serde_json::{Value, json};

/// Publishes events `from` to `to` of a channel, each with its number and some padding.
pub(crate) async fn publish_run(publisher: &mut Client, channel: &str, from: u64, to: u64, padding: usize) {
    let padding = "x".repeat(padding);
    for chunk in (from..=to).collect::<Vec<_>>().chunks(50) {
        let item = |n: &u64| json!({"channel": channel, "type": "n", "data": {"n": n, "padding": padding}});
        let events: Vec<Value> = chunk.iter().map(item).collect();
        publisher.send(&json!({"type": "publish", "events": events, "request_id": chunk[0]})).await;
        let answer = publisher.next().await;
        assert_eq!(answer["type"], "publish_response", "{answer}");
    }
}

/// No rate stands in the way; `stall` is how long a client may take nothing.
pub(crate) fn unlimited(stall: &str) -> String {
    let rates = "messages_per_second = 1000000
message_burst = 1000000
frames_per_second = 1000000";
    format!(
        "[gateway]
max_message_bytes = \"1MiB\"
stall_timeout = \"{stall}\"
[gateway.limits]
{rates}
"
    )
}

#[tokio::test]
async fn a_hundred_subscribers_see_every_event_once_and_in_order() {
    let daemon = World::new().config(&unlimited("60s")).start().await;
    let mut subscribers = Vec::new();
    for _ in 0..100 {
        let mut client = daemon.client().await;
        client.subscribe(&["load"]).await;
        subscribers.push(client);
    }
    let mut publisher = daemon.client().await;
    publish_run(&mut publisher, "load", 1, 500, 50).await;
    for client in &mut subscribers {
        for n in 1..=500 {
            let event = client.next().await;
            assert_eq!((&event["offset"], &event["data"]["n"]), (&json!(n), &json!(n)));
        }
    }
}

#[tokio::test]
async fn a_slow_client_is_told_its_gap_and_goes_on() {
    // Without a store below it, what falls off the log is gone.
    let small = "[history]\nenabled = false\n[router]\nchannel_events = 200\n";
    let daemon = World::new().config(&unlimited("60s")).config(small).start().await;
    let mut slow = daemon.client().await;
    slow.subscribe(&["load"]).await;
    let mut publisher = daemon.client().await;
    // More than the sockets hold: about 0.7 MB in the kernel's buffers, 16 MB here.
    publish_run(&mut publisher, "load", 1, 1600, 10_000).await;
    let (mut next, mut gaps, mut lags) = (1, 0, 0);
    while next <= 1600 {
        let message = slow.next().await;
        match message["type"].as_str().unwrap() {
            "n" => {
                assert_eq!(message["offset"], next, "an event is neither missing nor doubled without a notice");
                next += 1;
            }
            "gap" => {
                assert_eq!((&message["from"], &message["reason"]), (&json!(next), &json!("slow_consumer")));
                next = message["to"].as_u64().unwrap() + 1;
                gaps += 1;
            }
            "lag" => lags += 1,
            other => panic!("unexpected {other}"),
        }
    }
    assert!(gaps >= 1, "16 MB cannot have been held for it");
    assert!(lags <= gaps + 1);
    let metrics = daemon.get("/metrics").await.body;
    assert!(metrics.contains("headwater_gaps_total{reason=\"slow_consumer\"}"), "{metrics}");
}

#[tokio::test]
async fn a_slow_client_does_not_hold_up_the_fast_ones() {
    let daemon = World::new().config(&unlimited("60s")).start().await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut client = daemon.client().await;
        client.subscribe(&["load"]).await;
        stalled.push(client);
    }
    let mut fast = daemon.client().await;
    fast.subscribe(&["load"]).await;
    let mut publisher = daemon.client().await;
    for round in 0..20u64 {
        publish_run(&mut publisher, "load", round * 50 + 1, round * 50 + 50, 10_000).await;
        for n in 1..=50 {
            assert_eq!(fast.next().await["offset"], round * 50 + n);
        }
    }
    // They were not cut off either, and catch up from the log.
    for client in &mut stalled {
        assert_eq!(
            client.next_that(|message| message["type"] == "n").await["data"]["padding"].as_str().unwrap().len(),
            10_000
        );
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_with_nothing_kept_for_it() {
    let daemon = World::new().config(&unlimited("1s")).start().await;
    let mut stalled = daemon.client().await;
    stalled.subscribe(&["load"]).await;
    let mut publisher = daemon.client().await;
    publish_run(&mut publisher, "load", 1, 800, 10_000).await;
    let what = "the stalled connection is closed with 4410";
    let metric = "headwater_closed_connections_total{code=\"4410\"} 1";
    eventually(what, async || daemon.get("/metrics").await.body.contains(metric).then_some(())).await;
}

#[tokio::test]
async fn patterns_meet_channels_that_appear_later() {
    let daemon = World::new().start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["workflow:*"]).await;
    let mut publisher = daemon.client().await;
    for channel in ["workflow:1", "other", "workflow:2", "workflow:1"] {
        publisher.publish(channel, "step", json!({})).await;
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = client.next().await;
        seen.push((event["channel"].as_str().unwrap().to_owned(), event["offset"].as_u64().unwrap()));
    }
    assert_eq!(seen, [("workflow:1".into(), 1), ("workflow:2".into(), 1), ("workflow:1".into(), 2)]);
}

#[tokio::test]
async fn a_client_that_comes_back_with_its_position_misses_nothing() {
    let daemon = World::new().start().await;
    let mut publisher = daemon.client().await;
    let mut client = daemon.client().await;
    client.subscribe(&["resumed"]).await;
    publish_run(&mut publisher, "resumed", 1, 10, 1).await;
    let mut last = Value::Null;
    for _ in 0..5 {
        last = client.next().await;
    }
    drop(client);
    publish_run(&mut publisher, "resumed", 11, 20, 1).await;
    let mut again = daemon.client().await;
    let from = json!({"epoch": last["epoch"], "offset": last["offset"]});
    again.subscribe_with(json!({"channels": "resumed", "from": from})).await;
    for n in 6..=20 {
        assert_eq!(again.next().await["data"]["n"], n);
    }
}

#[tokio::test]
async fn a_position_ahead_of_the_channel_is_refused() {
    let daemon = World::new().start().await;
    let mut client = daemon.client().await;
    let answer = client.subscribe(&["short"]).await;
    let epoch = answer["positions"]["short"]["epoch"].clone();
    let answer = client.subscribe_with(json!({"channels": "short", "from": {"epoch": epoch, "offset": 99}})).await;
    assert_eq!(answer["failed_channels"][0]["error_code"], "POSITION_AHEAD", "{answer}");
}

#[tokio::test]
async fn on_sigterm_every_client_is_told_where_to_resume() {
    let mut daemon = World::new().start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["last"]).await;
    let mut publisher = daemon.client().await;
    publish_run(&mut publisher, "last", 1, 3, 1).await;
    daemon.signal("TERM").await;
    let lost = client.next_of("error").await;
    assert_eq!(lost["error_code"], "CONNECTION_LOST");
    assert_eq!(lost["details"]["positions"]["last"]["offset"], 3);
    assert_eq!(client.closed().await.code, Some(1012));
    assert_eq!(daemon.ended().await, Some(0));
}
