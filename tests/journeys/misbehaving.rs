//! Sources that misbehave: the daemon lives, its clients do not notice, other sources' events flow, and what happened is
//! said. The table of what happened is printed (`cargo nextest run misbehaving --no-capture`) and kept in
//! `golden/misbehaviour.txt`.

use expect_test::expect_file;
use headwater_tests::{Client, Daemon, World, built, eventually};
use serde_json::{Value, json};
use std::fmt::Write;

const COUNTER: &str = "libheadwater_plugin_counter.so";
const MISBEHAVE: &str = "libheadwater_plugin_misbehave.so";

/// A failure is enough for quarantine, so that each way of failing is told once; hangs are noticed soon.
const STRICT: &str = "[supervision]\nbackoff_min = \"10ms\"\nbackoff_max = \"20ms\"\nquarantine_after = 2\n";

/// What a mode does, and the settings that make it do so in reasonable time.
const MODES: &[(&str, &str)] = &[
    ("ok", ""),
    ("panic", ""),
    ("panic-in-task", ""),
    ("panic-in-thread", ""),
    ("panic-with-bad-drop", ""),
    ("panic-in-create", ""),
    ("refuse", ""),
    ("error", ""),
    ("early-return", ""),
    ("segfault", ""),
    ("abort", ""),
    ("exit", "n = 3"),
    ("stack-overflow", ""),
    ("endless-loop", "heartbeat = \"1s\""),
    ("block", "heartbeat = \"1s\""),
    ("close-files", "heartbeat = \"1s\""),
    ("flood", "n = 1000000"),
    ("flood-and-drop", "n = 1000000"),
    ("leak", "memory_limit = \"256MiB\""),
    ("huge-event", ""),
    ("bad-json", ""),
    ("bad-utf8", ""),
    ("deep-json", ""),
    ("undeclared-channel", ""),
    ("bad-channel", ""),
    ("system-channel", ""),
    ("many-attributes", ""),
    ("log-flood", ""),
    ("print-flood", ""),
    ("many-threads", ""),
    ("orphan", "n = 2"),
];

/// Waits until a mode has had its effect: the source failed for good, or it stands the misbehaviour and answers.
async fn settled(daemon: &Daemon, client: &mut Client, mode: &str) -> Value {
    eventually(&format!("{mode} has come to its end"), async || {
        let source = daemon.source("bad").await?;
        match source["state"].as_str()? {
            "quarantined" | "down" => Some(source),
            "up" => {
                // A source that is up answers once it has done what it was told to.
                let command = json!({"type": "command", "command": "bad/ping", "request_id": mode});
                client.send(&command).await;
                let answer = client
                    .next_that(|m| matches!(m["type"].as_str(), Some("command_completed" | "command_error")))
                    .await;
                let source = daemon.source("bad").await?;
                (answer["type"] == "command_completed" && source["state"] == "up").then_some(source)
            }
            _ => None,
        }
    })
    .await
}

#[tokio::test]
async fn each_misbehaviour_hurts_only_its_source() {
    let world = World::new().config(STRICT).plugin("good", &built(COUNTER), "every = \"20ms\"");
    let daemon = world.start().await;
    let pid = daemon.pid();
    let mut good = daemon.client().await;
    good.subscribe(&["counter"]).await;
    let mut commands = daemon.client().await;
    let base = daemon.read("headwater.toml");
    let mut table = String::new();
    writeln!(table, "{:20} {:12} what is said", "mode", "then").unwrap();
    for (mode, settings) in MODES {
        let source =
            format!("[source.bad]\nplugin = \"{}\"\nmode = \"{mode}\"\n{settings}\n", built(MISBEHAVE).display());
        daemon.write("headwater.toml", &format!("{base}\n{source}"));
        let settled = settled(&daemon, &mut commands, mode).await;
        assert_eq!(daemon.pid(), pid, "{mode}: the daemon is the same");
        // Fresh ones, not those that were waiting.
        let head = good.next_of("counter.counted").await["offset"].as_u64().unwrap();
        good.next_that(|event| event["offset"].as_u64().is_some_and(|offset| offset > head + 2)).await;
        let reason = settled["reason"].as_str().unwrap_or("");
        // Lines of the test's own code, and what the standard library adds to its last words, are not what is shown.
        let reason = reason.split(", at tests/").next().unwrap_or_default();
        let reason = reason.split(" / note:").next().unwrap_or_default();
        // Which file it misses first is chance: it exits or is aborted.
        let reason = if *mode == "close-files" && !reason.is_empty() { "its process ended" } else { reason };
        let dropped = if settled["dropped"] == 0 { "" } else { "events were refused and counted" };
        let said = [reason, dropped].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        let line = format!("{mode:20} {:12} {said}", settled["state"].as_str().unwrap());
        writeln!(table, "{}", line.trim_end()).unwrap();
        daemon.write("headwater.toml", &base);
        eventually("the bad source is gone", async || daemon.source("bad").await.is_none().then_some(())).await;
    }
    println!("{table}");
    expect_file!["../golden/misbehaviour.txt"].assert_eq(&table);
}

#[tokio::test]
async fn a_source_that_fails_comes_back_and_every_step_is_an_event() {
    let quick = "[supervision]\nbackoff_min = \"10ms\"\nbackoff_max = \"20ms\"\nquarantine_after = 3\n";
    let world = World::new().config(quick).plugin("bad", &built(MISBEHAVE), "mode = \"exit\"\nn = 3\ndelay = \"50ms\"");
    let daemon = world.start().await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": "system_events", "from": "earliest"})).await;
    let mut steps = Vec::new();
    while steps.last().is_none_or(|kind| kind != "source.quarantined") {
        let event = client.next().await;
        assert_eq!(event["data"]["source"], "bad");
        if event["type"] != "source.up" {
            let reason = event["data"]["reason"].as_str().unwrap_or_default();
            assert!(reason.contains('3'), "the exit code is said: {event}");
        }
        steps.push(event["type"].as_str().unwrap().to_owned());
    }
    let expected =
        ["source.up", "source.down", "source.up", "source.down", "source.up", "source.down", "source.quarantined"];
    assert_eq!(steps, expected);
    let restarted = daemon.headwater(&["source", "restart", "bad"]).await;
    assert!(restarted.status.success(), "the way out of quarantine: {restarted:?}");
}

#[tokio::test]
async fn a_command_in_flight_when_its_source_dies_has_an_unknown_outcome() {
    let world = World::new().plugin("bad", &built(MISBEHAVE), "mode = \"ignore-commands\"");
    let daemon = world.start().await;
    daemon.source_is("bad", "up").await;
    let mut client = daemon.client().await;
    client.subscribe(&["misbehave"]).await;
    client.send(&json!({"type": "command", "command": "ping", "request_id": "r"})).await;
    // The source has it, and will never answer it.
    client.next_of("misbehave.ignored").await;
    let pid = daemon.source_pid("bad").await.unwrap();
    let killed = tokio::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().await.unwrap();
    assert!(killed.success());
    let answer = client.next_of("command_error").await;
    assert_eq!((&answer["error_code"], &answer["request_id"]), (&json!("OUTCOME_UNKNOWN"), &json!("r")), "{answer}");
}

#[tokio::test]
async fn files_that_are_no_plugin_are_refused_in_one_line_and_the_rest_runs() {
    let world = World::new().plugin("good", &built(COUNTER), "every = \"20ms\"");
    let daemon = world.start().await;
    let mut good = daemon.client().await;
    good.subscribe(&["counter"]).await;
    let base = daemon.read("headwater.toml");
    let sound = std::fs::read(built(COUNTER)).unwrap();
    let mut wrong_machine = sound.clone();
    wrong_machine[18] = 183;
    let replace = |from: &[u8], to: &[u8]| {
        let mut bytes = sound.clone();
        let at = bytes.windows(from.len()).position(|window| window == from).expect("the manifest says so");
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let files: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty.so", Vec::new(), "empty"),
        ("text.so", b"#!/bin/sh\necho no plugin\n".repeat(10), "ELF"),
        ("truncated.so", sound[..sound.len() / 2].to_vec(), "truncated"),
        ("machine.so", wrong_machine, "aarch64"),
        ("abi.so", replace(b"\"abi\":1", b"\"abi\":3"), "abi 3"),
        ("abort.so", replace(b"\"panic\":\"unwind\"", b"\"panic\":\"abort\" "), "panic"),
        ("foreign.so", std::fs::read("/lib/x86_64-linux-gnu/libc.so.6").unwrap(), "no headwater plugin"),
    ];
    for (name, bytes, word) in &files {
        std::fs::write(daemon.path(name), bytes).unwrap();
        let path = daemon.path(name);
        daemon.write("headwater.toml", &format!("{base}\n[source.bad]\nplugin = \"{}\"\n", path.display()));
        let answer = daemon.post("/v1/reload", "application/json", "").await;
        assert_eq!(answer.status, 422, "{name}: {}", answer.body);
        let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        println!("{name:14} {}", message.rsplit(": ").next().unwrap_or(&message));
        assert!(message.contains(word) && !message.contains('\n'), "{name}: {message}");
        good.next_of("counter.counted").await;
    }
    // At the start of a daemon they are no reason not to run.
    let broken = World::new()
        .plugin("good", &built(COUNTER), "every = \"20ms\"")
        .plugin("bad", &daemon.path("truncated.so"), "")
        .start()
        .await;
    broken.source_is("good", "up").await;
    let bad = broken.source_is("bad", "down").await;
    assert!(bad["reason"].as_str().unwrap().contains("truncated"), "{bad}");
}
