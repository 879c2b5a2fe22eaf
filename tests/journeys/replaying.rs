//! The past comes again at a speed of its own, and goes over into the present.

use crate::delivery::{publish_run, unlimited};
use headwater_tests::World;
use serde_json::json;

#[tokio::test]
async fn a_replay_from_the_history_goes_over_into_live_events() {
    let daemon = World::new().config(&unlimited("60s")).config("[router]\nchannel_events = 20").start().await;
    let mut publisher = daemon.client().await;
    publish_run(&mut publisher, "load", 1, 500, 10).await;
    let mut client = daemon.client().await;
    let replay = json!({"type": "replay", "channels": "load", "start_time": "10m", "speed": 0, "request_id": "r"});
    client.send(&replay).await;
    let begun = client.next().await;
    assert_eq!((&begun["type"], &begun["state"]), (&json!("replay_response"), &json!("playing")), "{begun}");
    publish_run(&mut publisher, "load", 501, 520, 10).await;
    let (mut next, mut live) = (1, false);
    while next <= 520 || !live {
        let message = client.next().await;
        if message["type"] == "replay_state" {
            assert_eq!(message["state"], "live", "{message}");
            live = true;
        } else {
            assert_eq!(message["offset"], next, "neither a gap nor a double: {message}");
            next += 1;
        }
    }
    publish_run(&mut publisher, "load", 521, 521, 10).await;
    assert_eq!(client.next().await["offset"], 521);
}

#[tokio::test]
async fn an_hour_of_the_past_passes_in_a_second_and_can_be_paused_and_sought() {
    let daemon = World::new().start().await;
    let mut publisher = daemon.client().await;
    for minute in 0..60 {
        let time = format!("2026-01-31T12:{minute:02}:00Z");
        let event = json!({"type": "publish", "channel": "door", "event": "n", "timestamp": time, "request_id": 1});
        publisher.send(&event).await;
        publisher.next().await;
    }
    let mut client = daemon.client().await;
    let range = json!({"type": "replay", "channels": "door", "start_time": "2026-01-31T12:00:00Z",
        "end_time": "2026-01-31T13:00:00Z", "speed": 3600, "request_id": "r"});
    let began = std::time::Instant::now();
    client.send(&range).await;
    assert_eq!(client.next_of("replay_response").await["state"], "playing");
    for offset in 1..=60 {
        assert_eq!(client.next().await["offset"], offset);
    }
    assert_eq!(client.next().await["state"], "completed");
    assert!(began.elapsed().as_secs_f64() >= 59.0 / 60.0, "{:?}", began.elapsed());
    // At its own speed the second event is a minute away.
    let mut slowly = range;
    slowly["speed"] = 1.into();
    client.send(&slowly).await;
    let id = client.next_of("replay_response").await["replay_id"].clone();
    assert_eq!(client.next().await["offset"], 1);
    let mut steer = async |action: serde_json::Value| {
        let mut message = json!({"type": "replay_control", "replay_id": id, "request_id": "s"});
        for (key, value) in action.as_object().unwrap() {
            message[key] = value.clone();
        }
        client.send(&message).await;
        client.next_of("replay_response").await
    };
    assert_eq!(steer(json!({"action": "pause"})).await["state"], "paused");
    let sought = steer(json!({"action": "seek", "time": "2026-01-31T12:58:00Z"})).await;
    assert_eq!((&sought["state"], &sought["positions"]["door"]["offset"]), (&json!("sought"), &json!(58)));
    assert_eq!(steer(json!({"action": "speed", "speed": 0})).await["state"], "paused");
    assert_eq!(steer(json!({"action": "resume"})).await["state"], "playing");
    for offset in [59, 60] {
        assert_eq!(client.next().await["offset"], offset);
    }
    assert_eq!(client.next().await["state"], "completed");
}
