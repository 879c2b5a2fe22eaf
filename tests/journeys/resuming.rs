//! Coming back: with a position after a long time, with a token after a break or a restart.

use crate::delivery::{publish_run, unlimited};
use headwater_tests::{Client, Daemon, World, eventually};
use serde_json::{Value, json};

async fn restarted(mut daemon: Daemon) -> Daemon {
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    daemon.again().await
}

/// A bus whose memory holds little.
fn small() -> World {
    World::new().config(&unlimited("60s")).config("[router]\nchannel_events = 20")
}

async fn position(client: &mut Client, channel: &str) -> Value {
    client.subscribe(&[channel]).await["positions"][channel].clone()
}

#[tokio::test]
async fn a_client_that_was_away_for_longer_than_the_log_holds_misses_nothing() {
    let mut daemon = small().start().await;
    let position = position(&mut daemon.client().await, "load").await;
    publish_run(&mut daemon.client().await, "load", 1, 2_000, 10).await;
    for round in 0..2 {
        let mut client = daemon.client().await;
        let answer = client.subscribe_with(json!({"channels": "load", "from": position})).await;
        assert_eq!(answer["positions"]["load"], position);
        for n in 1..=2_000 {
            assert_eq!(client.next().await["data"]["n"], n, "round {round}");
        }
        drop(client);
        // The daemon's memory is empty then, and the position is as good as before.
        daemon = restarted(daemon).await;
    }
}

#[tokio::test]
async fn what_retention_has_dropped_is_an_exact_gap() {
    let keep = "[[history.channel]]\npattern = \"load\"\nevents = 100";
    let daemon = small().config(keep).start().await;
    let position = position(&mut daemon.client().await, "load").await;
    let mut publisher = daemon.client().await;
    publish_run(&mut publisher, "load", 1, 1_000, 10).await;
    // Retention has caught up when the oldest of the history is one of the last hundred.
    let first = eventually("retention drops the oldest", async || {
        let page = daemon.get("/v1/history?channel=load&limit=1").await.json();
        page["events"][0]["offset"].as_u64().filter(|first| *first > 900)
    });
    let first = first.await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": "load", "from": position})).await;
    let gap = client.next().await;
    assert_eq!((&gap["type"], &gap["reason"]), (&json!("gap"), &json!("retention")), "{gap}");
    assert_eq!((&gap["from"], &gap["to"]), (&json!(1), &json!(first - 1)), "{gap}");
    for n in first..=1_000 {
        assert_eq!(client.next().await["offset"], n);
    }
}

#[tokio::test]
async fn a_subscription_begins_where_a_time_lies() {
    let daemon = small().start().await;
    let mut publisher = daemon.client().await;
    for second in 0..50 {
        let time = format!("2026-01-31T12:00:{second:02}Z");
        let event = json!({"type": "publish", "channel": "load", "event": "n", "timestamp": time, "request_id": 1});
        publisher.send(&event).await;
        publisher.next().await;
    }
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": "load", "from": {"time": "2026-01-31T12:00:17Z"}})).await;
    for offset in 18..=50 {
        assert_eq!(client.next().await["offset"], offset);
    }
}

#[tokio::test]
async fn a_session_goes_on_in_the_next_life_of_the_daemon() {
    let daemon = small().start().await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": "load", "filter": {"where": "data.n % 2 == 0"}})).await;
    client.subscribe(&["other*"]).await;
    let mut publisher = daemon.client().await;
    publish_run(&mut publisher, "load", 1, 100, 10).await;
    let mut last = Value::Null;
    while last["data"]["n"] != 60 {
        last = client.next().await;
    }
    drop(publisher);
    daemon.signal("TERM").await;
    let lost = client.next_of("error").await;
    assert_eq!((&lost["error_code"], &lost["retry_info"]["auto_reconnect"]), (&json!("CONNECTION_LOST"), &json!(true)));
    let token = lost["details"]["reconnect_token"].clone();
    drop(client);
    let mut daemon = daemon;
    assert_eq!(daemon.ended().await, Some(0));
    let daemon = daemon.again().await;
    publish_run(&mut daemon.client().await, "load", 101, 110, 10).await;
    publish_run(&mut daemon.client().await, "other_things", 1, 1, 10).await;
    let mut client = daemon.client().await;
    let auth = json!({"type": "auth", "reconnect_token": token, "last_message_id": last["message_id"]});
    client.send(&auth).await;
    let answer = client.next().await;
    assert_eq!(answer["status"], "success", "{answer}");
    assert_eq!(answer["resumed"]["subscriptions"], json!(["load", "other*"]));
    assert_eq!(answer["resumed"]["positions"]["load"]["offset"], 60);
    let (mut next, mut other) = (62, false);
    while next <= 110 || !other {
        let event = client.next().await;
        if event["channel"] == "load" {
            assert_eq!(event["data"]["n"], next);
            next += 2;
        } else {
            assert_eq!((&event["channel"], &event["offset"]), (&json!("other_things"), &json!(1)));
            other = true;
        }
    }
}

#[tokio::test]
async fn a_client_saves_its_session_and_takes_it_up_on_another_connection() {
    let daemon = World::new().start().await;
    let mut client = daemon.client().await;
    let token = client.subscribe(&["load"]).await["reconnect_token"].clone();
    client.send(&json!({"type": "disconnect", "save_session": true})).await;
    assert_eq!(client.closed().await.code, Some(1000));
    publish_run(&mut daemon.client().await, "load", 1, 3, 1).await;
    let mut client = daemon.client().await;
    client.send(&json!({"type": "auth", "reconnect_token": token})).await;
    assert_eq!(client.next().await["resumed"]["subscriptions"], json!(["load"]));
    for n in 1..=3 {
        assert_eq!(client.next().await["data"]["n"], n);
    }
    let mut stranger = daemon.client().await;
    stranger.send(&json!({"type": "auth", "reconnect_token": "0".repeat(32)})).await;
    assert_eq!(stranger.next().await["error_code"], "AUTHENTICATION_FAILED");
}
