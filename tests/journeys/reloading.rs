//! Plugins are rebuilt while everything runs.

use headwater_tests::{Client, World, built};
use serde_json::{Value, json};
use std::{collections::HashMap, path::Path};

const COUNTER: &str = "libheadwater_plugin_counter.so";
const RELOADS: usize = 100;

/// What is known of one life of the counter.
#[derive(Default)]
struct Life {
    seen: u64,
    last: Option<u64>,
}

/// A new file in place of the old one, as a build makes it. What follows the sections is ignored by the loader, and makes
/// the content differ.
fn rebuild(file: &Path, n: usize) {
    let mut bytes = std::fs::read(built(COUNTER)).unwrap();
    bytes.extend_from_slice(format!("build {n}").as_bytes());
    replace(file, &bytes);
}

fn replace(file: &Path, bytes: &[u8]) {
    let beside = file.with_extension("beside");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

/// Reads events until `until` says so; each must be the next of its life and of the channel.
async fn follow(
    client: &mut Client,
    lives: &mut HashMap<String, Life>,
    offset: &mut u64,
    until: impl Fn(&Value) -> bool,
) {
    loop {
        let message = client.next().await;
        if message["channel"] == "counter" {
            *offset += 1;
            assert_eq!(message["offset"], *offset, "nothing is lost or doubled on the way: {message}");
            let life = lives.entry(message["data"]["generation"].as_str().unwrap().to_owned()).or_default();
            if let Some(last) = message["data"]["final"].as_u64() {
                assert_eq!(life.seen, last, "a life that ends has been seen whole");
                life.last = Some(last);
            } else {
                life.seen += 1;
                assert_eq!(message["data"]["n"], life.seen, "no event of a life is lost or doubled");
                assert!(life.last.is_none(), "nothing comes from a life that has ended");
            }
        }
        if until(&message) {
            return;
        }
    }
}

async fn reloads(isolation: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(COUNTER);
    std::fs::copy(built(COUNTER), &file).unwrap();
    // Under load: 2,000 events a second.
    let settings = format!("every = \"5ms\"\nburst = 10\nisolation = \"{isolation}\"");
    let daemon = World::new().plugin("counter", &file, &settings).start().await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": ["counter", "system_events"], "from": "earliest"})).await;
    let mut neighbour = daemon.client().await;
    neighbour.subscribe(&["quiet"]).await;
    let (mut lives, mut offset) = (HashMap::new(), 0);
    let pid = daemon.pid();
    for n in 0..RELOADS {
        rebuild(&file, n);
        follow(&mut client, &mut lives, &mut offset, |message| message["type"] == "source.reloaded").await;
    }
    // The last life is at work.
    follow(&mut client, &mut lives, &mut offset, |message| message["type"] == "counter.counted").await;
    assert_eq!(daemon.pid(), pid);
    let ended = lives.values().filter(|life| life.last.is_some()).count();
    assert!(ended >= RELOADS, "{ended} lives have ended");
    println!("{RELOADS} reloads ({isolation}): {offset} events, {} lives, none lost, none doubled", lives.len());
    daemon.client().await.publish("quiet", "still here", json!({})).await;
    assert_eq!(neighbour.next().await["type"], "still here", "nobody was disconnected");
}

#[tokio::test]
async fn a_hundred_reloads_under_load_lose_and_double_nothing() {
    reloads("process").await;
}

#[tokio::test]
async fn a_rebuilt_plugin_that_cannot_be_loaded_leaves_the_old_one_running() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(COUNTER);
    std::fs::copy(built(COUNTER), &file).unwrap();
    let daemon = World::new().plugin("counter", &file, "every = \"5ms\"").start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["counter", "system_events"]).await;
    let before = daemon.source_is("counter", "up").await;
    let bytes = std::fs::read(&file).unwrap();
    replace(&file, &bytes[..bytes.len() / 2]);
    let refused = client.next_of("source.reload_refused").await;
    assert!(refused["data"]["reason"].as_str().unwrap().contains("truncated"), "{refused}");
    client.next_of("counter.counted").await;
    let after = daemon.source_is("counter", "up").await;
    assert_eq!(before["pid"], after["pid"]);
}

#[tokio::test]
async fn a_plugin_in_the_daemons_own_process_is_reloaded_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(COUNTER);
    std::fs::copy(built(COUNTER), &file).unwrap();
    let daemon = World::new().plugin("counter", &file, "every = \"5ms\"\nisolation = \"thread\"").start().await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": ["counter", "system_events"], "from": "earliest"})).await;
    let (mut lives, mut offset) = (HashMap::new(), 0);
    for n in 0..10 {
        rebuild(&file, n);
        follow(&mut client, &mut lives, &mut offset, |message| message["type"] == "source.reloaded").await;
    }
    let source = daemon.source_is("counter", "up").await;
    assert!(source["pid"].is_null() || source["pid"] == daemon.pid(), "{source}");
}
