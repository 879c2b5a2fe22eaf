//! What sessions owe their clients when several of them, or much at once, come together: every event once or a notice,
//! nobody closed for what he did not do, nobody held up by another.

use crate::{
    session::{draft, message, publish, session, subscribe, tell, until_heartbeat},
    wire::text_frame,
    world::{World, until},
};
use headwater_event::{Draft, Retention};
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_pattern_meets_a_channel_that_another_client_named_first() {
    let world = World::start();
    let (mut by_pattern, mut by_name) = (session(&world).await, session(&world).await);
    subscribe(&mut by_pattern, "f*").await;
    subscribe(&mut by_name, "foo").await;
    publish(&world, vec![draft("foo", "1"), draft("foo", "2")]);
    for client in [&mut by_pattern, &mut by_name] {
        assert_eq!(message(client).await["offset"], 1);
        assert_eq!(message(client).await["offset"], 2);
    }
}

#[tokio::test]
async fn a_pattern_meets_a_channel_whose_name_was_asked_for_and_given_up() {
    let world = World::start();
    let (mut fleeting, mut by_pattern) = (session(&world).await, session(&world).await);
    subscribe(&mut fleeting, "foo").await;
    tell(&mut fleeting, &json!({"type": "unsubscribe", "channels": "foo"})).await;
    message(&mut fleeting).await;
    subscribe(&mut by_pattern, "f*").await;
    publish(&world, vec![draft("foo", "1")]);
    assert_eq!(message(&mut by_pattern).await["offset"], 1);
}

#[tokio::test]
async fn a_shard_that_was_overrun_reads_new_channels_from_their_first_event() {
    let limits = LogLimits { inbox_events: 2, ..LogLimits::default() };
    let world = World::over(limits, |options| options.flush_interval = Duration::from_millis(200));
    let mut client = session(&world).await;
    subscribe(&mut client, "*").await;
    publish(&world, vec![draft("warm", "1")]);
    message(&mut client).await;
    // The next turn is 200 ms away; the inbox holds two of these.
    for _ in 0..6 {
        publish(&world, vec![draft("new", "1")]);
    }
    for offset in 1..=6 {
        assert_eq!(message(&mut client).await["offset"], offset);
    }
    assert!(world.router.counters().overflows > 0, "the inbox was overrun");
}

#[tokio::test]
async fn a_large_answer_does_not_close_a_client_that_reads() {
    let world = World::start();
    let big = format!("\"{}\"", "x".repeat(30_000));
    for key in ["a", "b", "c", "d"] {
        publish(&world, vec![Draft { retention: Retention::Keep(key.into()), ..draft("s", &big) }]);
    }
    let mut client = session(&world).await;
    let mut bytes = text_frame(r#"{"type":"snapshot","channels":"s"}"#);
    bytes.extend(text_frame(r#"{"type":"heartbeat"}"#));
    client.send(&bytes).await;
    assert_eq!(message(&mut client).await["events"].as_array().unwrap().len(), 4);
    assert_eq!(message(&mut client).await["type"], "heartbeat_response");
}

#[tokio::test]
async fn a_client_that_asks_and_does_not_read_waits_for_itself() {
    let world = World::with(|options| {
        options.limits.messages_per_second = 1_000_000;
        options.limits.message_burst = 1_000_000;
        options.limits.frames_per_second = 1_000_000;
    });
    let big = format!("\"{}\"", "x".repeat(60_000));
    publish(&world, vec![Draft { retention: Retention::Keep("a".into()), ..draft("s", &big) }]);
    let mut client = session(&world).await;
    // 60 MB of answers to 40 KB of questions.
    let question = text_frame(r#"{"type":"snapshot","channels":"s"}"#);
    let asked = 1000;
    client.send(&question.repeat(asked)).await;
    for _ in 0..asked {
        assert_eq!(message(&mut client).await["type"], "snapshot");
    }
    assert_eq!(until_heartbeat(&mut client).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_subscription_that_takes_the_place_of_another_leaves_nothing_out() {
    let limits = LogLimits { channel_bytes: 64 << 20, channel_events: 100_000, ..LogLimits::default() };
    let world = World::over(limits, |_| {});
    let mut client = session(&world).await;
    subscribe(&mut client, "a*").await;
    let big = format!("\"{}\"", "x".repeat(3_000));
    let all = 4_000;
    for _ in 0..all / 100 {
        publish(&world, vec![draft("a", &big); 100]);
    }
    until(async || world.get("/metrics").await.text().contains("headwater_lagging_connections 1")).await;
    tell(&mut client, &json!({"type": "subscribe", "channels": "a"})).await;
    let mut offset = 0;
    while offset < all {
        let message = message(&mut client).await;
        if message["type"] == "t" {
            offset += 1;
            assert_eq!(message["offset"], offset);
        } else {
            assert_eq!(message["type"], "subscription_response");
        }
    }
}

#[tokio::test]
async fn a_replacement_that_is_refused_leaves_what_was_there() {
    let world = World::start();
    publish(&world, vec![draft("a", "1")]);
    let mut client = session(&world).await;
    let answer = subscribe(&mut client, "a").await;
    let ahead = json!({"epoch": answer["positions"]["a"]["epoch"], "offset": 99});
    tell(&mut client, &json!({"type": "subscribe", "channels": "a", "from": ahead})).await;
    let refused = message(&mut client).await;
    assert_eq!(refused["failed_channels"][0]["error_code"], "POSITION_AHEAD");
    assert_eq!(refused["subscribed_channels"], json!(["a"]));
    publish(&world, vec![draft("a", "2")]);
    assert_eq!(message(&mut client).await["offset"], 2);
}

#[tokio::test]
async fn a_closed_client_that_goes_on_sending_is_cut() {
    let world = World::with(|options| options.pong_timeout = Duration::from_millis(300));
    let mut client = session(&world).await;
    client.send(&[0x81, 0x01, b'x']).await;
    assert_eq!(client.frame().await.0, 8, "not masked: closed");
    let began = Instant::now();
    while client.stream.write_all(b"xxxxxxxxxxx").await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(10), "it is still there");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_slow_reader_that_makes_progress_is_not_taken_for_dead() {
    let limits = LogLimits { channel_bytes: 64 << 20, channel_events: 100_000, ..LogLimits::default() };
    let world = World::over(limits, |options| {
        options.ping_interval = Duration::from_millis(500);
        options.pong_timeout = Duration::from_millis(500);
    });
    let mut client = session(&world).await;
    subscribe(&mut client, "a").await;
    let big = format!("\"{}\"", "x".repeat(3_000));
    for _ in 0..40 {
        publish(&world, vec![draft("a", &big); 100]);
    }
    // For four seconds it reads about as fast as a poor line would; a ping queued behind all this would be late.
    let began = Instant::now();
    let mut seen = 0_u64;
    while began.elapsed() < Duration::from_secs(4) {
        assert_eq!(message(&mut client).await["offset"], seen + 1);
        seen += 1;
        let due = Duration::from_millis(seen * 10);
        // Sleeps because its slowness is what is tried.
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
    }
    while seen < 4_000 {
        let (opcode, payload) = client.frame().await;
        assert_ne!(opcode, 8, "it was closed: {}", String::from_utf8_lossy(&payload));
        seen += u64::from(opcode == 1);
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_is_counted_once_and_told_once() {
    let world = World::over(LogLimits { channels: 2, ..LogLimits::default() }, |_| {});
    publish(&world, vec![draft("a", "1"), draft("b", "1")]);
    let mut client = session(&world).await;
    let one = |channel: &str| text_frame(&json!({"type": "publish", "channel": channel, "event": "t"}).to_string());
    client.send(&[one("a"), one("b"), one("z")].concat()).await;
    let told = until_heartbeat(&mut client).await;
    assert_eq!((told.len(), &told[0]["error_code"]), (1, &json!("VALIDATION_ERROR")));
    let counters = world.router.counters();
    assert_eq!((counters.published, counters.rejected), (2, 3));
}
