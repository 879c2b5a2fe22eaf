//! A source that stands still, as one does that is stopped or swapped out. tmux reads no further in a pane while a control client
//! does not take what there is, so the daemon replaces such a source: nobody in tmux waits for long.

use super::{Scene, asked, is_watched};
use headwater_tests::{eventually, runs};
use serde_json::{Value, json};

async fn signal(pid: u32, name: &str) {
    let sent = tokio::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().await;
    assert!(sent.unwrap().success(), "{pid} takes {name}");
}

/// It is soon found to be dead.
const HEARTBEAT: &str = "heartbeat = \"1s\"";

#[tokio::test]
async fn a_source_that_stands_still_does_not_hold_a_program_up_for_long() {
    let mut scene = Scene::of(HEARTBEAT).await;
    let source = scene.daemon.source_pid("tmux").await.unwrap();
    signal(source, "STOP").await;
    // Far more than all pipes and buffers on the way hold.
    let prints = "seq -f 'a line of a program that has much to say: %.0f' 400000; tmux wait-for -S printed; cat";
    let script = format!("export TMUX='{},0,0'; {prints}", scene.tmux.socket().display());
    scene.run(&["new-window", "-d", "-t", "$0:", "-n", "talks", &script]).await;
    scene.run(&["wait-for", "printed"]).await;
    let replaced = async || scene.daemon.source_pid("tmux").await.filter(|pid| *pid != source);
    eventually("another one watches", replaced).await;
    is_watched(&scene.daemon).await;
    let screen = asked(&mut scene.client, "capture", json!({"pane": "%1", "lines": 1})).await;
    assert_eq!(screen["result"]["content"], "a line of a program that has much to say: 400000\n", "{screen}");
    scene.tmux.types("%1", b"goes on\r").await;
    let on = |event: &Value| event["data"]["content"].as_str().is_some_and(|text| text.contains("goes on"));
    scene.client.next_that(|event| event["type"] == "pane.output" && on(event)).await;
}

/// Nor a server that was told to end: it waits for its clients.
#[tokio::test]
async fn a_source_that_stands_still_does_not_keep_a_server_alive_for_long() {
    let mut scene = Scene::of(HEARTBEAT).await;
    let (source, server) = (scene.daemon.source_pid("tmux").await.unwrap(), scene.tmux.pid().await);
    signal(source, "STOP").await;
    scene.run(&["new-window", "-d", "-t", "$0:", "seq 100000; exec cat"]).await;
    scene.tmux.try_run(&["kill-server"]).await;
    let gone = async || (!runs(server)).then_some(());
    eventually("the server has ended", gone).await;
    let replaced = async || scene.daemon.source_pid("tmux").await.filter(|pid| *pid != source);
    eventually("another one waits for the next server", replaced).await;
    scene.next_with("tmux.mode", "mode", "waiting").await;
}
