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

/// Small messages without answers are put together, large ones and answered ones stand alone; none of it is lost, doubled or
/// in another order.
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
