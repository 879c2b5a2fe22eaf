//! What lasts when the daemon ends in order and starts again: positions, snapshots, and who reads by them. Clients that
//! would not notice the end are dropped before it: the daemon waits for them.

use headwater_tests::{Client, Daemon, World};
use serde_json::{Value, json};

async fn restarted(mut daemon: Daemon) -> Daemon {
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    daemon.again().await
}

async fn publish(client: &mut Client, channel: &str, n: u64, key: Option<&str>) -> Value {
    let mut event = json!({"type": "publish", "channel": channel, "event": "n", "data": n, "request_id": n});
    if let Some(key) = key {
        event["key"] = key.into();
    }
    client.send(&event).await;
    let answer = client.next().await;
    assert_eq!(answer["type"], "publish_response", "{answer}");
    answer["positions"][0].clone()
}

#[tokio::test]
async fn epochs_and_offsets_go_on_where_they_were() {
    for durability in ["memory", "flush", "durable"] {
        let mut daemon = World::new().config(&format!("[history]\ndurability = \"{durability}\"")).start().await;
        let first = publish(&mut daemon.client().await, "a", 1, None).await;
        for round in 2..=4 {
            daemon = restarted(daemon).await;
            let mut client = daemon.client().await;
            // The position of a channel that has had no event lasts too.
            let quiet = client.subscribe(&["quiet"]).await["positions"]["quiet"].clone();
            let place = publish(&mut client, "a", round, None).await;
            assert_eq!(place, json!({"channel": "a", "epoch": first["epoch"], "offset": round}), "at {durability}");
            drop(client);
            daemon = restarted(daemon).await;
            let mut client = daemon.client().await;
            let again = client.subscribe_with(json!({"channels": "quiet", "from": quiet})).await;
            assert_eq!(again["positions"]["quiet"], quiet, "at {durability}: {again}");
        }
        let answer = daemon.get("/v1/channels").await.json();
        let channel = answer["channels"].as_array().unwrap().iter().find(|channel| channel["channel"] == "a").cloned();
        let channel = channel.unwrap_or_else(|| panic!("the channel is known before its next event: {answer}"));
        assert_eq!((&channel["epoch"], &channel["head"]), (&first["epoch"], &json!(4)), "{answer}");
    }
}

#[tokio::test]
async fn snapshots_last_with_what_was_forgotten_gone() {
    let mut daemon = World::new().start().await;
    let mut client = daemon.client().await;
    for (n, key) in [(1, "front"), (2, "back"), (3, "front")] {
        publish(&mut client, "doors", n, Some(key)).await;
    }
    let before = daemon.get("/v1/snapshot?channel=doors").await.json();
    assert_eq!(before["events"].as_array().unwrap().len(), 2, "{before}");
    drop(client);
    daemon = restarted(daemon).await;
    assert_eq!(daemon.get("/v1/snapshot?channel=doors").await.json(), before);
    // They are the same for who asks over WebSocket, and the next event takes its place among them.
    let mut client = daemon.client().await;
    publish(&mut client, "doors", 4, Some("back")).await;
    client.send(&json!({"type": "snapshot", "channels": "doors", "request_id": "s"})).await;
    let mut data: Vec<u64> =
        client.next().await["events"].as_array().unwrap().iter().map(|event| event["data"].as_u64().unwrap()).collect();
    data.sort_unstable();
    assert_eq!(data, [3, 4]);
}

#[tokio::test]
async fn who_reads_by_positions_goes_on_over_websocket_and_http() {
    // The log is small, so that what is missing comes from the store.
    let mut daemon = World::new().config("[router]\nchannel_events = 4").start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["a"]).await;
    let mut publisher = daemon.client().await;
    for n in 1..=20 {
        publish(&mut publisher, "a", n, None).await;
    }
    drop(publisher);
    let mut seen = Value::Null;
    for _ in 0..3 {
        seen = client.next().await;
    }
    daemon.signal("TERM").await;
    let lost = client.next_of("error").await;
    assert_eq!(lost["error_code"], "CONNECTION_LOST");
    drop(client);
    assert_eq!(daemon.ended().await, Some(0));
    daemon = daemon.again().await;
    publish(&mut daemon.client().await, "a", 21, None).await;
    let mut again = daemon.client().await;
    let from = json!({"epoch": seen["epoch"], "offset": seen["offset"]});
    again.subscribe_with(json!({"channels": "a", "from": from})).await;
    for n in 4..=21 {
        let event = again.next().await;
        assert_eq!((&event["offset"], &event["data"], &event["epoch"]), (&json!(n), &json!(n), &seen["epoch"]));
    }
    let cursor = format!("a@{}:{}", seen["epoch"].as_str().unwrap(), seen["offset"]);
    let lines = daemon.get(&format!("/v1/events?channel=a&from={cursor}")).await.body;
    let offsets: Vec<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["offset"].as_u64().expect("no gap: {line}"))
        .collect();
    assert_eq!(offsets, (4..=21).collect::<Vec<_>>());
}
