//! Sources at work: commands and their answers, snapshots, reading the bus, programs in other languages, old binaries.

use headwater_tests::{Client, World, built, fixture};
use serde_json::json;

#[tokio::test]
async fn a_command_is_accepted_progresses_and_completes() {
    let daemon = World::new().plugin("counter", &built("libheadwater_plugin_counter.so"), "").start().await;
    daemon.source_is("counter", "up").await;
    let mut client = daemon.client().await;
    let command = json!({"type": "command", "command": "counter/slow", "parameters": {"step": "5ms"}, "request_id": 7});
    client.send(&command).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "command_completed") {
        let answer = client.next().await;
        assert_eq!(answer["request_id"], 7, "{answer}");
        kinds.push(answer["type"].as_str().unwrap().to_owned());
    }
    let expected =
        ["command_response", "command_progress", "command_progress", "command_progress", "command_completed"];
    assert_eq!(kinds, expected);
    client.send(&json!({"type": "command", "command": "slwo", "request_id": 8})).await;
    let refused = client.next().await;
    assert_eq!(refused["error_code"], "UNKNOWN_COMMAND");
    assert!(refused["message"].as_str().unwrap().contains("did you mean `slow`"), "{refused}");
}

#[tokio::test]
async fn two_sources_with_one_command_need_their_names() {
    let counter = built("libheadwater_plugin_counter.so");
    let daemon = World::new().plugin("one", &counter, "").plugin("two", &counter, "label = \"2\"").start().await;
    daemon.source_is("one", "up").await;
    daemon.source_is("two", "up").await;
    let mut client = daemon.client().await;
    client.send(&json!({"type": "command", "command": "get", "request_id": 1})).await;
    assert_eq!(client.next().await["error_code"], "AMBIGUOUS_COMMAND");
    client.send(&json!({"type": "command", "command": "two/get", "request_id": 2})).await;
    assert_eq!(client.next_of("command_completed").await["result"]["label"], "2");
}

#[tokio::test]
async fn a_late_subscriber_gets_the_snapshot() {
    let template = built("libheadwater_plugin_template.so");
    let daemon = World::new().plugin("files", &template, "path = \"/\"\nevery = \"1h\"").start().await;
    let mut first = daemon.client().await;
    first.subscribe_with(json!({"channels": "files", "from": "earliest"})).await;
    let event = first.next().await;
    let mut late = daemon.client().await;
    late.send(&json!({"type": "snapshot", "channels": "files"})).await;
    let snapshot = late.next().await;
    assert_eq!(snapshot["events"][0]["message_id"], event["message_id"]);
    let answer = daemon.get("/v1/snapshot?channel=fil*").await;
    assert_eq!(answer.json()["events"][0]["message_id"], event["message_id"]);
}

#[tokio::test]
async fn a_source_that_reads_the_bus_is_given_what_was_there_and_what_comes() {
    let counter = built("libheadwater_plugin_counter.so");
    let daemon = World::new().plugin("reader", &counter, "reads = \"notes:*\"\n").start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["counter"]).await;
    daemon.source_is("reader", "up").await;
    let read = async |client: &mut Client, count: usize| {
        let mut read = Vec::new();
        for _ in 0..count {
            let event = client.next_of("counter.read").await;
            read.push(format!("{}@{}", event["data"]["channel"].as_str().unwrap_or_default(), event["data"]["offset"]));
        }
        read.sort();
        read
    };
    client.publish("notes:a", "note", json!(1)).await;
    client.publish("notes:a", "note", json!(2)).await;
    client.publish("other", "note", json!(0)).await;
    assert_eq!(read(&mut client, 2).await, ["notes:a@1", "notes:a@2"]);
    // A channel that comes to be while it reads.
    client.publish("notes:b", "note", json!(3)).await;
    assert_eq!(read(&mut client, 1).await, ["notes:b@1"]);
    // Its next life asks for everything again.
    daemon.post("/v1/sources/reader/restart", "application/json", "").await;
    assert_eq!(read(&mut client, 3).await, ["notes:a@1", "notes:a@2", "notes:b@1"]);
    client.publish("notes:a", "note", json!(4)).await;
    assert_eq!(read(&mut client, 1).await, ["notes:a@3"]);
}

#[tokio::test]
async fn a_program_in_python_is_a_source() {
    let clock = fixture("exec/clock.py");
    let source = format!("[source.clock]\nexec = [\"python3\", \"{}\"]\nevery_seconds = 0.05\n", clock.display());
    let daemon = World::new().config(&source).start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["clock"]).await;
    let event = client.next().await;
    assert_eq!(event["source"], "clock");
    let pid = daemon.source_pid("clock").await.expect("a program has a process");
    let killed = tokio::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().await.unwrap();
    assert!(killed.success());
    client.next_of("clock.tick").await;
    let source = daemon.source_is("clock", "up").await;
    assert_eq!(source["restarts"], 1, "it was replaced: {source}");
}

#[tokio::test]
async fn a_plugin_built_long_ago_against_v1_still_loads() {
    let old = fixture("golden/abi-v1-x86_64.so");
    let daemon = World::new().plugin("old", &old, "").start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["counter"]).await;
    assert_eq!(client.next().await["type"], "counter.counted");
    client.send(&json!({"type": "command", "command": "get", "request_id": 1})).await;
    assert!(client.next_of("command_completed").await["result"]["n"].as_u64().unwrap() > 0);
}
