//! The first minutes of a new user: events on the screen, in a pipe, and out of a script.

use headwater_tests::{World, built};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

fn world() -> World {
    World::new().plugin("metrics", &built("libheadwater_plugin_metrics.so"), "interval = \"1s\"")
}

#[tokio::test]
async fn sub_prints_real_metrics_as_ndjson_in_a_pipe() {
    let daemon = world().start().await;
    let output = daemon.headwater(&["sub", "performance_metrics", "--count", "2"]).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(event["type"], "performance_metrics_update");
        let system = &event["data"]["metrics"]["system_performance"];
        let cpu = system["cpu_usage_percent"].as_f64().expect("this machine tells its CPU time");
        assert!((0.0..=100.0).contains(&cpu) && system["memory_usage_mb"].as_f64().unwrap() > 0.0, "{event}");
        assert!(event["data"]["metrics"].get("vsm_performance").is_none(), "nothing is invented: {event}");
    }
    assert_eq!(events[1]["offset"].as_u64(), events[0]["offset"].as_u64().map(|offset| offset + 1));
}

#[tokio::test]
async fn websocat_gets_the_answer_and_events() {
    let daemon = world().start().await;
    let mut websocat = Command::new("websocat")
        .arg(format!("ws://{}/v1/stream", daemon.address()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("websocat is installed by `cargo xtask test`");
    let mut typed = websocat.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut typed, b"{\"type\":\"subscribe\",\"channels\":\"performance_metrics\"}\n")
        .await
        .unwrap();
    let mut lines = BufReader::new(websocat.stdout.take().unwrap()).lines();
    let mut next = async || serde_json::from_str::<Value>(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(next().await["type"], "subscription_response");
    assert_eq!(next().await["type"], "performance_metrics_update");
}

#[tokio::test]
async fn pub_reaches_a_subscriber_and_a_bad_item_is_named() {
    let daemon = World::new().start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["build"]).await;
    let done = daemon.headwater(&["pub", "build", "build.done", r#"{"ok":true}"#, "--severity", "warning"]).await;
    assert!(done.status.success(), "{done:?}");
    let event = client.next().await;
    assert_eq!(
        (&event["type"], &event["severity"], &event["data"]),
        (&json!("build.done"), &json!("warning"), &json!({"ok": true}))
    );
    let lines = "{\"channel\":\"build\",\"type\":\"a\"}\n{\"channel\":\"no good\",\"type\":\"b\"}\n";
    let refused = daemon.post("/v1/events", "application/x-ndjson", lines).await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["detail"].as_str().unwrap().contains("item 1"), "{}", refused.body);
    let list = r#"[{"channel":"build","type":"c","data":1},{"channel":"build","type":"d","data":2}]"#;
    let accepted = daemon.post("/v1/events", "application/json", list).await;
    assert_eq!((accepted.status, &accepted.json()["accepted"]), (202, &json!(2)));
    assert_eq!(client.next().await["type"], "c", "of the refused call nothing was published");
}

#[tokio::test]
async fn a_daemon_that_is_away_is_said_with_exit_code_69() {
    let daemon = World::new().start().await;
    let output = daemon.headwater(&["--url", "http://127.0.0.1:9", "channel", "list"]).await;
    assert_eq!(output.status.code(), Some(69));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("start one: headwater up"), "{text}");
}

#[tokio::test]
async fn a_taken_port_is_said_before_anything_runs() {
    let daemon = World::new().start().await;
    let config = daemon.path("headwater.toml");
    let address = daemon.address().to_string();
    let output = daemon.headwater(&["up", "--config", config.to_str().unwrap(), "--listen", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
}
