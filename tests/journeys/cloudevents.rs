//! CloudEvents with a program that Headwater's authors did not write: the initiative's Python SDK.

use headwater_tests::{Client, World, fixture, python};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::{io::AsyncWriteExt, process::Command};

fn sdk(arguments: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg(fixture("exec/cloudevents_sdk.py")).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.kill_on_drop(true);
    command
}

fn lines(output: &std::process::Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_the_python_sdk_posts_is_read_and_what_is_streamed_the_sdk_parses() {
    let daemon = World::new().start().await;
    let mut native = daemon.client().await;
    native.subscribe(&["orders"]).await;
    let mut stream = Client::connect_as(daemon.address(), "/v1/stream", "cloudevents.json").await;
    stream.send(&json!({"type": "subscribe", "channels": "orders"})).await;
    stream.next_of("headwater.subscription_response").await;

    let output = sdk(&["post", &format!("http://{}/v1/events", daemon.address())]).output().await.unwrap();
    let answers = lines(&output);
    let offsets: Vec<&Value> = answers.iter().map(|answer| &answer["positions"][0]["offset"]).collect();
    assert_eq!(offsets, [1, 2, 2], "the third is the second again, by its id and source: {answers:?}");

    let (mut events, mut messages) = (Vec::new(), String::new());
    for number in [1, 2] {
        let event = native.next().await;
        assert_eq!((&event["type"], &event["severity"]), (&json!("order.placed"), &json!("warning")), "{event}");
        assert_eq!(event["data"], json!({"number": number, "text": "ü\n"}));
        assert_eq!(event["timestamp"], "2026-01-02T03:04:05.000000Z");
        assert_eq!(event["attributes"]["branch"], "main", "{event}");
        events.push(event);
        messages.push_str(&stream.next().await.to_string());
        messages.push('\n');
    }

    let mut parsing = sdk(&["parse"]).spawn().unwrap();
    let mut input = parsing.stdin.take().unwrap();
    input.write_all(messages.as_bytes()).await.unwrap();
    drop(input);
    let parsed = lines(&parsing.wait_with_output().await.unwrap());
    assert_eq!(parsed.len(), 2);
    for (parsed, event) in parsed.iter().zip(&events) {
        let attributes = &parsed["attributes"];
        assert_eq!((&attributes["specversion"], &attributes["type"]), (&json!("1.0"), &json!("order.placed")));
        assert_eq!(attributes["id"], event["message_id"]);
        assert_eq!(attributes["time"], "2026-01-02T03:04:05+00:00");
        assert_eq!((&attributes["channel"], &attributes["branch"]), (&json!("orders"), &json!("main")));
        assert_eq!(parsed["data"], event["data"]);
    }
}
