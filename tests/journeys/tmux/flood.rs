//! A pane that prints as fast as it can: output is dropped, counted and announced; all else is told.

use super::{Scene, asked};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// Windows that get another name while the pane floods.
const RENAMES: usize = 30;

/// For all of it. Output comes all the time: to wait for each message alone would wait for ever for one that does not come.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_flood_loses_output_which_is_announced_and_nothing_else() {
    timeout(PATIENCE, flood()).await.expect("all of it is told in time");
}

async fn flood() {
    let mut scene = Scene::of("").await;
    let script = "while :; do seq -f 'a line of a program that is in a hurry: %.0f' 100000; done";
    scene.run(&["new-window", "-d", "-t", "$0:", "-n", "flood", script]).await;
    let dropped = scene.next("tmux.output_dropped").await;
    assert_eq!((&dropped["data"]["pane_id"], &dropped["severity"]), (&json!("%1"), &json!("warning")));
    let (mut told, mut announced) = (0, Vec::from([dropped]));
    for number in 0..RENAMES {
        scene.run(&["rename-window", "-t", "@0", &format!("name-{number}")]).await;
        let renamed = loop {
            let event = scene.client.next().await;
            match event["type"].as_str() {
                Some("window.renamed") => break event,
                Some("tmux.output_dropped") => announced.push(event),
                Some("pane.output") => told += 1,
                _ => {}
            }
        };
        assert_eq!(renamed["data"]["new_name"], format!("name-{number}"), "each in its turn");
    }
    // Where tmux kept output back by itself, since the source was behind, nobody knows how much it was.
    let amount = |event: &Value| event["data"]["bytes"].as_u64().or(event["data"]["paused_ms"].as_u64());
    while !announced.iter().any(|event| amount(event).is_some()) {
        announced.push(scene.next("tmux.output_dropped").await);
    }
    // The other pane is not kept back with it.
    scene.tmux.types("%0", b"quiet and heard\r").await;
    let heard = |event: &Value| event["data"]["content"].as_str().is_some_and(|text| text.contains("quiet and heard"));
    scene.client.next_that(|event| event["type"] == "pane.output" && heard(event)).await;
    scene.run(&["kill-window", "-t", "@1"]).await;
    scene.next("window.removed").await;
    println!("{told} events of output and {} announcements of drops", announced.len());
    for event in &announced {
        assert_ne!(amount(event), Some(0), "{event}");
        assert_eq!(event["data"]["pane_id"], "%1", "only what floods loses anything: {event}");
    }
    let counted: u64 = announced.iter().filter_map(|event| event["data"]["bytes"].as_u64()).sum();
    let status = asked(&mut scene.client, "status", json!({})).await;
    assert!(status["result"]["dropped_bytes"].as_u64() >= Some(counted), "{counted} were announced: {status}");
    let list = asked(&mut scene.client, "list", json!({})).await;
    assert_eq!(list["result"]["sessions"][0]["windows"].as_array().map(Vec::len), Some(1), "{list}");
}
