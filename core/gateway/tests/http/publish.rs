//! Publishing over WebSocket into an engine that acknowledges later: each message is answered once, whatever came with it
//! in one read.

use crate::{
    session::{message, session, subscribe},
    wire::{Client, text_frame},
    world::World,
};
use headwater_engine::{Durability, SqliteEngine, SqliteOptions};
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

fn world() -> (World, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let durability = Durability::Flush(Duration::from_millis(100));
    let (engine, _) = SqliteEngine::open(SqliteOptions { durability, ..SqliteOptions::new(path) }).unwrap();
    let world = World::on(Arc::new(engine), LogLimits::default(), |options| {
        options.max_message_bytes = 1024 * 1024;
        options.limits.messages_per_second = 0;
    });
    (world, directory)
}

/// A message that publishes so many events.
fn list(events: usize, request_id: Option<usize>) -> Value {
    let events: Vec<Value> = (0..events).map(|n| json!({"channel": "a", "type": "t", "data": n})).collect();
    match request_id {
        Some(id) => json!({"type": "publish", "events": events, "request_id": id}),
        None => json!({"type": "publish", "events": events}),
    }
}

/// The last offset of each of the next answers, by their ids: one that is known at once may overtake one that is not.
async fn last_positions(client: &mut Client, answers: usize) -> BTreeMap<u64, u64> {
    let mut all = BTreeMap::new();
    for _ in 0..answers {
        let answer = message(client).await;
        assert_eq!(answer["type"], "publish_response", "{answer}");
        let last = answer["positions"].as_array().and_then(|positions| positions.last()).expect("a position for each");
        all.insert(answer["request_id"].as_u64().unwrap(), last["offset"].as_u64().unwrap());
    }
    assert_eq!(all.len(), answers, "each is answered once");
    all
}

/// Harm prevented: many answers become known at the same time, more than may wait for a client, and it is cut off though it
/// reads.
#[tokio::test]
async fn many_lists_are_each_answered_once_to_a_client_that_reads() {
    let (world, _directory) = world();
    let Client { stream, buffer } = session(&world).await;
    let stream = stream.into_std().unwrap();
    let mut writer = TcpStream::from_std(stream.try_clone().unwrap()).unwrap();
    let mut client = Client { stream: TcpStream::from_std(stream).unwrap(), buffer };
    let all: Vec<u8> = (0..100).flat_map(|id| text_frame(&list(1_000, Some(id)).to_string())).collect();
    let (answers, written) = tokio::join!(last_positions(&mut client, 100), writer.write_all(&all));
    written.unwrap();
    assert_eq!(answers, (0..100).map(|id| (id, (id + 1) * 1_000)).collect());
}

/// Small messages are put together, those with answers where they are for one channel, and large ones stand alone; none of
/// it is lost, doubled or in another order.
#[tokio::test]
async fn messages_of_one_read_are_published_in_their_order_however_they_are_put_together() {
    let (world, _directory) = world();
    let mut reader = session(&world).await;
    subscribe(&mut reader, "a").await;
    let mut client = session(&world).await;
    let sizes = [1, 1, 15, 16, 1, 100, 2, 3, 64, 1];
    let answered = [5, 7];
    let all: Vec<u8> = sizes
        .iter()
        .enumerate()
        .flat_map(|(id, events)| text_frame(&list(*events, answered.contains(&id).then_some(id)).to_string()))
        .collect();
    client.send(&all).await;
    let ends: Vec<usize> = sizes.iter().scan(0, |sum, size| Some(std::mem::replace(sum, *sum + size) + size)).collect();
    assert_eq!(last_positions(&mut client, 2).await, answered.map(|id| (id as u64, ends[id] as u64)).into());
    let expected = sizes.iter().flat_map(|size| 0..*size);
    for (offset, n) in (1..).zip(expected) {
        let event = message(&mut reader).await;
        assert_eq!((&event["offset"], &event["data"], &event["source"]), (&json!(offset), &json!(n), &json!("client")));
    }
}

/// Nobody is left to be answered: the events are published all the same, and the gateway goes on.
#[tokio::test]
async fn a_client_that_goes_before_its_answers_has_published() {
    let (world, _directory) = world();
    let mut reader = session(&world).await;
    subscribe(&mut reader, "a").await;
    let mut client = session(&world).await;
    let all: Vec<u8> = (0..50).flat_map(|id| text_frame(&list(1, Some(id)).to_string())).collect();
    client.send(&all).await;
    drop(client);
    for offset in 1..=50 {
        assert_eq!(message(&mut reader).await["offset"], offset);
    }
    let mut other = session(&world).await;
    other.send(&text_frame(&list(1, Some(7)).to_string())).await;
    assert_eq!(message(&mut other).await["request_id"], 7);
}

/// Answered messages of one read, for one channel or several, with keys and without: each is answered with the positions of
/// its own events, also where many were published together.
#[tokio::test]
async fn each_message_of_a_read_is_answered_with_its_own_positions() {
    let (world, _directory) = world();
    let mut client = session(&world).await;
    let event = |channel: &str, key: Option<&str>| {
        let mut event = json!({"channel": channel, "type": "t"});
        if let Some(key) = key {
            event["idempotency_key"] = key.into();
        }
        event
    };
    let messages: Vec<Vec<Value>> = (0..600)
        .map(|n| match n % 12 {
            7 => vec![event("b", None)],
            8 => vec![event("a", None), event("b", None), event("a", None)],
            9 => vec![event("a", Some("once"))],
            10 => vec![event("a", None); 20],
            11 => Vec::new(),
            n => vec![event("a", None); 1 + n % 3],
        })
        .collect();
    let ask = |(id, events): (usize, &Vec<Value>)| {
        text_frame(&json!({"type": "publish", "events": events, "request_id": id}).to_string())
    };
    let all: Vec<u8> = messages.iter().enumerate().flat_map(ask).collect();
    client.send(&all).await;
    let mut answers = BTreeMap::new();
    for _ in 0..messages.len() {
        let answer = message(&mut client).await;
        answers.insert(answer["request_id"].as_u64().unwrap(), answer);
    }
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    let mut once = None;
    for (id, events) in (0..).zip(&messages) {
        let expected: Vec<(&str, u64)> = events
            .iter()
            .map(|event| {
                let channel = event["channel"].as_str().unwrap();
                let mut number = || {
                    let next = next.entry(channel).or_default();
                    *next += 1;
                    *next
                };
                (channel, if event["idempotency_key"].is_null() { number() } else { *once.get_or_insert_with(number) })
            })
            .collect();
        let Some(answer) = answers.get(&id) else { panic!("{id} is not answered") };
        if events.is_empty() {
            continue; // refused or accepted, but answered
        }
        let got: Vec<(&str, u64)> = answer["positions"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"))
            .iter()
            .map(|position| (position["channel"].as_str().unwrap(), position["offset"].as_u64().unwrap()))
            .collect();
        assert_eq!(got, expected, "{id}");
    }
}

/// A message to a channel too many is refused by itself; those beside it in the same read are not.
#[tokio::test]
async fn a_message_that_is_refused_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { max_channels: 1, ..SqliteOptions::new(directory.path().join("history.db")) };
    let (engine, _) = SqliteEngine::open(options).unwrap();
    let world = World::on(Arc::new(engine), LogLimits::default(), |_| {});
    let mut client = session(&world).await;
    let ask = |id: usize| {
        let channel = if id % 4 == 3 { "b" } else { "a" };
        let events = [json!({"channel": channel, "type": "t"})];
        text_frame(&json!({"type": "publish", "events": events, "request_id": id}).to_string())
    };
    client.send(&(0..16).flat_map(ask).collect::<Vec<u8>>()).await;
    let mut accepted = BTreeMap::new();
    for _ in 0..16 {
        let answer = message(&mut client).await;
        let offset = answer["positions"].get(0).and_then(|position| position["offset"].as_u64());
        accepted.insert(answer["request_id"].as_u64().unwrap(), (answer["type"] == "publish_response", offset));
    }
    for id in 0..16 {
        let before = (0..id).filter(|before| before % 4 != 3).count() as u64;
        let expected = if id % 4 == 3 { (false, None) } else { (true, Some(before + 1)) };
        assert_eq!(accepted[&id], expected, "{id}");
    }
}
