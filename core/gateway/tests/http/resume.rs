//! Clients that come back: by their reconnect token, with all that they had, behind the last place that they have read.

use crate::{
    session::{draft, message, publish, session, story, subscribe, subscribe_with, tell},
    wire::{Client, client_frame},
    world::{World, until},
};
use headwater_protocol::CloseCode;
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::time::Duration;

fn run(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|offset| offset.to_string()).collect()
}

fn token(answer: &Value) -> String {
    let token = answer["reconnect_token"].as_str().expect("the answer has it").to_owned();
    assert_eq!(token.len(), 32);
    token
}

async fn come_back(world: &World, token: &str, last: Option<&Value>) -> (Client, Value) {
    let mut client = session(world).await;
    let mut auth = json!({"type": "auth", "reconnect_token": token, "request_id": "back"});
    if let Some(last) = last {
        auth["last_message_id"] = last.clone();
    }
    tell(&mut client, &auth).await;
    let answer = message(&mut client).await;
    assert_eq!((&answer["type"], &answer["request_id"]), (&json!("auth_response"), &json!("back")), "{answer}");
    (client, answer)
}

/// The client's end breaks; the daemon has noticed.
async fn break_off(world: &World, client: Client) {
    drop(client);
    until(async || world.get("/metrics").await.text().contains("headwater_closed_connections_total{code=\"1006\"} 1"))
        .await;
}

/// Answers the next ping; its payload. Messages before it are passed over.
async fn answer_ping(client: &mut Client) -> String {
    loop {
        let (opcode, payload) = client.frame().await;
        if opcode == 9 {
            client.send(&client_frame(0xa, &payload)).await;
            return String::from_utf8(payload).unwrap();
        }
    }
}

#[tokio::test]
async fn a_broken_session_goes_on_with_all_that_it_had() {
    let world = World::start();
    let mut client = session(&world).await;
    let options = json!({"streaming_mode": "buffered", "buffer_interval_ms": 3_600_000, "max_buffer_size": 2});
    let answer =
        subscribe_with(&mut client, json!({"channels": "a", "filter": {"types": "t"}, "options": options})).await;
    subscribe_with(&mut client, json!({"channels": "f*"})).await;
    publish(&world, vec![draft("a", "1"); 3]);
    assert_eq!(story(&mut client, 2).await, run(1, 2));
    break_off(&world, client).await;
    publish(&world, vec![draft("fresh", "1"); 2]);
    let (mut client, answer) = come_back(&world, &token(&answer), None).await;
    assert_eq!(answer["resumed"]["subscriptions"], json!(["a", "f*"]));
    assert_eq!(answer["resumed"]["positions"]["a"]["offset"], 0, "nobody knows what was read");
    let mut came: Vec<(String, u64)> = Vec::new();
    for _ in 0..5 {
        let event = message(&mut client).await;
        came.push((event["channel"].as_str().unwrap().into(), event["offset"].as_u64().unwrap()));
    }
    came.sort();
    let expected = [("a", 1), ("a", 2), ("a", 3), ("fresh", 1), ("fresh", 2)];
    assert_eq!(came, expected.map(|(channel, offset)| (channel.to_owned(), offset)));
    // The filter and the pace hold.
    publish(&world, vec![headwater_event::Draft { kind: "other".into(), ..draft("a", "1") }, draft("a", "1")]);
    publish(&world, vec![draft("fresh", "1")]);
    assert_eq!(message(&mut client).await["channel"], "fresh");
    publish(&world, vec![draft("a", "1")]);
    assert_eq!(story(&mut client, 6).await, ["5", "6"]);
}

#[tokio::test]
async fn a_subscription_that_took_the_place_of_another_does_not_say_what_was_read() {
    for again in [
        json!([{"type": "subscribe", "channels": "a", "filter": {"types": "t"}}]),
        json!([{"type": "subscribe", "channels": "a"}]),
        json!([{"type": "subscribe", "channels": "a*"}, {"type": "unsubscribe", "channels": "a"}]),
    ] {
        let world = World::start();
        let mut client = session(&world).await;
        let answer = subscribe(&mut client, "a").await;
        publish(&world, vec![draft("a", "1"); 3]);
        // They are on their way.
        for request in again.as_array().unwrap() {
            tell(&mut client, request).await;
        }
        assert_eq!(story(&mut client, 3).await, run(1, 3));
        tell(&mut client, &json!({"type": "heartbeat"})).await;
        while message(&mut client).await["type"] != "heartbeat_response" {}
        break_off(&world, client).await;
        let (mut client, answer) = come_back(&world, &token(&answer), None).await;
        assert_eq!(answer["resumed"]["positions"]["a"]["offset"], 0, "nobody knows what was read: {again}");
        assert_eq!(story(&mut client, 3).await, run(1, 3));
    }
}

#[tokio::test]
async fn what_a_pong_has_confirmed_does_not_come_again() {
    let world = World::with(|options| options.ping_interval = Duration::from_millis(50));
    let mut client = session(&world).await;
    let answer = subscribe(&mut client, "a").await;
    publish(&world, vec![draft("a", "1"); 5]);
    let epoch = answer["positions"]["a"]["epoch"].as_str().unwrap().to_owned();
    let said = loop {
        let said = answer_ping(&mut client).await;
        if said.ends_with(":5") {
            break said;
        }
    };
    assert_eq!(said, format!("a {epoch}:5"));
    // This one answers no more; a pong that nobody asked for confirms nothing.
    publish(&world, vec![draft("a", "1"); 5]);
    client.send(&client_frame(0xa, format!("a {epoch}:10").as_bytes())).await;
    tell(&mut client, &json!({"type": "heartbeat"})).await;
    loop {
        let (opcode, payload) = client.frame().await;
        if opcode == 1 && payload.windows(18).any(|part| part == b"heartbeat_response") {
            break;
        }
    }
    break_off(&world, client).await;
    let (mut client, answer) = come_back(&world, &token(&answer), None).await;
    assert_eq!(answer["resumed"]["positions"]["a"]["offset"], 5);
    assert_eq!(message(&mut client).await["offset"], 6);
}

#[tokio::test]
async fn the_last_message_that_a_client_names_is_the_last_that_does_not_come_again() {
    let world = World::over(LogLimits { channels: 8, ..LogLimits::default() }, |_| {});
    let mut client = session(&world).await;
    let answer = subscribe_with(&mut client, json!({"channels": ["a", "b"]})).await;
    publish(&world, vec![draft("b", "1")]);
    publish(&world, vec![draft("a", "1"); 100]);
    let mut last = Value::Null;
    while last["offset"] != 37 {
        last = message(&mut client).await;
    }
    break_off(&world, client).await;
    let (mut client, answer) = come_back(&world, &token(&answer), Some(&last["message_id"])).await;
    assert_eq!(answer["resumed"]["positions"]["a"]["offset"], 37);
    assert_eq!(answer["resumed"]["positions"]["b"]["offset"], 0, "of others it says nothing");
    let mut came = Vec::new();
    for _ in 0..64 {
        let event = message(&mut client).await;
        came.push((event["channel"].clone(), event["offset"].as_u64().unwrap()));
    }
    assert!(came.contains(&(json!("b"), 1)) && came.contains(&(json!("a"), 38)) && came.contains(&(json!("a"), 100)));
}

#[tokio::test]
async fn who_takes_its_leave_has_no_session_unless_it_asks_for_one() {
    for (save, status) in [(json!(false), "error"), (json!(true), "success")] {
        let world = World::start();
        let mut client = session(&world).await;
        let token = token(&subscribe(&mut client, "a").await);
        tell(&mut client, &json!({"type": "disconnect", "save_session": save})).await;
        let (opcode, payload) = client.frame().await;
        assert_eq!((opcode, &payload[..2]), (8, &1000_u16.to_be_bytes()[..]));
        drop(client);
        until(async || world.get("/metrics").await.text().contains("closed_connections_total{code=\"1000\"} 1")).await;
        let (mut client, answer) = come_back(&world, &token, None).await;
        assert_eq!(answer["status"], status, "{answer}");
        if status == "error" {
            assert_eq!(answer["error_code"], "AUTHENTICATION_FAILED");
            subscribe(&mut client, "a").await;
        }
        publish(&world, vec![draft("a", "1")]);
        assert_eq!(message(&mut client).await["offset"], 1, "the connection is of use in any case");
    }
}

#[tokio::test]
async fn a_token_of_nobody_is_answered_as_such() {
    let world = World::start();
    for token in ["x", &"0".repeat(31), &"0".repeat(32)] {
        let (_, answer) = come_back(&world, token, None).await;
        assert_eq!((&answer["status"], &answer["error_code"]), (&json!("error"), &json!("AUTHENTICATION_FAILED")));
    }
    // One cannot resume oneself.
    let mut client = session(&world).await;
    let token = token(&subscribe(&mut client, "a").await);
    tell(&mut client, &json!({"type": "auth", "reconnect_token": token})).await;
    assert_eq!(message(&mut client).await["status"], "error");
}

/// Harm prevented: a client whose network was gone comes back before the daemon has noticed, and is told that it is
/// unknown.
#[tokio::test]
async fn a_session_is_taken_over_from_a_connection_that_seems_to_live() {
    let world = World::with(|options| options.shards = 2);
    let mut old = session(&world).await;
    let token = token(&subscribe(&mut old, "a").await);
    publish(&world, vec![draft("a", "1")]);
    assert_eq!(message(&mut old).await["offset"], 1);
    // Once on another shard, once on its own.
    for round in 0..2 {
        let (mut new, answer) = come_back(&world, &token, None).await;
        assert_eq!((&answer["status"], &answer["session_id"]), (&json!("success"), &json!(token)), "round {round}");
        assert_eq!(message(&mut new).await["offset"], 1);
        loop {
            let (opcode, payload) = old.frame().await;
            if opcode == 8 {
                assert_eq!(payload[..2], 1000_u16.to_be_bytes());
                break;
            }
        }
        old = new;
    }
}

#[tokio::test]
async fn who_is_closed_is_told_how_to_come_back_also_to_the_next_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.json");
    let mut world = World::with(|options| options.sessions = Some(file.clone()));
    let mut client = session(&world).await;
    subscribe(&mut client, "a").await;
    publish(&world, vec![draft("a", "1"); 3]);
    assert_eq!(story(&mut client, 3).await, run(1, 3));
    tell(&mut client, &json!({"type": "heartbeat"})).await;
    let beat = message(&mut client).await;
    world.begin_end(CloseCode::Restart);
    let lost = message(&mut client).await;
    assert_eq!(lost["error_code"], "CONNECTION_LOST");
    assert_eq!(lost["details"]["positions"], beat["positions"]);
    assert_eq!(lost["retry_info"]["auto_reconnect"], true);
    let last = lost["details"]["last_message_id"].clone();
    assert!(last.is_string(), "{lost}");
    drop(client);
    world.ended().await;
    let next = World::with(|options| options.sessions = Some(file.clone()));
    publish(&next, vec![draft("a", "1"); 2]);
    let token = token(&lost["details"]);
    let (mut client, answer) = come_back(&next, &token, Some(&last)).await;
    assert_eq!(answer["resumed"]["subscriptions"], json!(["a"]));
    assert_eq!(story(&mut client, 2).await, ["gap 1-0 epoch_change", "1", "2"], "this store is another one");
    assert!(!file.exists(), "a session is resumed once");
}

#[tokio::test]
async fn pings_tell_positions_in_turn() {
    let world = World::with(|options| options.ping_interval = Duration::from_millis(20));
    let mut client = session(&world).await;
    let long = "x".repeat(120);
    let names = ["one", "two", "three", "four", "five", "six", &long];
    subscribe_with(&mut client, json!({"channels": names})).await;
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 6 {
        let said = answer_ping(&mut client).await;
        assert!(said.len() <= 125);
        for line in said.lines() {
            let (name, position) = line.rsplit_once(' ').unwrap();
            let (epoch, offset) = position.split_once(':').unwrap();
            assert!(epoch.len() == 16 && offset == "0", "{line}");
            told.insert(name.to_owned());
        }
    }
    assert!(!told.contains(&long), "its name leaves no room");
}
