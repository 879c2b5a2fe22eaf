//! Servers that others run: their processes, their wrappers, the calls that agents make.

use crate::world::{Program, World, fixture, python};
use headwater_testkit::prelude::*;
use std::process::{Command, Stdio};

async fn traffic(world: &mut World, kind: &str, data: Value) {
    assert_eq!(world.run.deliver(BusEvent::new("mcp_traffic", kind, &data)).await, 2, "sessions and calls are read");
}

fn calls(wrapper: &Program, outcome: &str, ms: f64, count: usize) -> Value {
    let call =
        json!({ "method": "tools/call", "tool": "t", "ms": ms, "outcome": outcome, "at": "2026-01-01T00:00:00Z" });
    json!({ "server": "memory", "wrapper": wrapper.id(), "calls": vec![call; count] })
}

fn session(wrapper: &Program, child: &Program, state: &str) -> Value {
    json!({ "server": "memory", "wrapper": wrapper.id(), "child": child.id(), "state": state })
}

#[tokio::test]
async fn a_running_process_of_a_configured_server_is_found_and_its_end_seen() {
    // Seldom: a look in the instant of the end would see it before the kernel tells it.
    let mut world = World::with(|_| json!({ "sweep": "4s" }));
    let unique = world.path("marker");
    let argument = unique.to_str().unwrap();
    world.write(&json!({ "files": python(&["--pids", argument]) }));
    world.kind("mcp_server_discovered").await;
    let mut client = Program::start(
        Command::new("python3")
            .args([fixture().as_str(), "--pids", argument])
            .stdin(Stdio::piped())
            .stdout(Stdio::null()),
    );
    let active = world.becomes("active").await;
    assert_eq!(
        (&active.data["status_change"]["from"], active.evidence),
        (&json!("discovered"), Some(Evidence::Polled))
    );
    assert_eq!((&active.data["pid"], &active.data["evidence_level"]), (&json!(client.pid()), &json!("process")));
    let state =
        world.state("what it takes", |state| state["memory_mb"].is_number() && state["cpu_percent"].is_number());
    assert_eq!(state.await["owned"], false);
    client.kill();
    let stopped = world.becomes("stopped").await;
    assert_eq!((stopped.evidence, &stopped.data["evidence_level"]), (Some(Evidence::Observed), &json!("process")));
    assert!(!world.rest().iter().any(|event| event.kind == "mcp_server_health_alert"), "clients end their servers");
}

#[tokio::test]
async fn a_wrapped_server_is_told_by_its_wrapper() {
    let mut world = World::new();
    world.run.subscribed(4).await;
    let (mut wrapper, mut child) = (Program::sleeping(), Program::sleeping());
    let mut started = session(&wrapper, &child, "started");
    started["tools"] = json!(9);
    started["server_info"] = json!({ "name": "memory-server", "version": "0.6" });
    traffic(&mut world, "mcp.session", started).await;
    let active = world.becomes("active").await;
    assert_eq!((&active.data["server_id"], &active.data["evidence_level"]), (&json!("memory"), &json!("wrapped")));
    traffic(&mut world, "mcp.calls", calls(&wrapper, "ok", 12.0, 30)).await;
    let state = world.state("its calls", |state| state["calls"] == 30).await;
    assert_eq!(
        (&state["pid"], &state["tools"], &state["latency_of"]),
        (&json!(child.pid()), &json!(9), &json!("calls"))
    );
    assert!(state["latency_ms"]["p50"].as_f64().is_some_and(|p50| (11.0..13.0).contains(&p50)), "{state}");
    // Many of them fail.
    traffic(&mut world, "mcp.calls", calls(&wrapper, "error", 5.0, 30)).await;
    let unhealthy = world.becomes("unhealthy").await;
    assert_eq!(unhealthy.data["evidence_level"], "wrapped");
    assert_eq!(world.kind("mcp_server_health_alert").await.data["issues"][0]["type"], "error_rate");
    // It is killed.
    let mut ended = session(&wrapper, &child, "ended");
    ended["exit"] = json!({ "signal": 9 });
    child.kill();
    traffic(&mut world, "mcp.session", ended).await;
    assert_eq!(world.becomes("stopped").await.data["details"]["reason"], "signal 9");
    // What it had to say of calls comes after that, and its wrapper runs for a moment yet: it is no sign of life.
    for count in [3, 0] {
        traffic(&mut world, "mcp.calls", calls(&wrapper, "ok", 1.0, count)).await;
    }
    let alert = world.kind("mcp_server_health_alert").await;
    assert_eq!(alert.data["health_status"], json!({ "previous": "unhealthy", "current": "stopped" }));
    assert_eq!(world.kind("error_event").await.data["error_type"], "ended");
    world.run.heartbeat().await;
    wrapper.kill();
    // A sign that all of it was read: the next session is told, and nothing before it.
    let (next, nothing) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.session", session(&next, &nothing, "started")).await;
    let change = world.kind("mcp_server_status_change").await;
    assert_eq!((&change.data["status_change"]["to"], &change.data["pid"]), (&json!("active"), &json!(nothing.pid())));
}

/// What it has counted after the end of its server may say nothing at all: no call, and that so many were not seen.
#[tokio::test]
async fn a_report_without_calls_is_no_sign_of_life() {
    let mut world = World::new();
    world.run.subscribed(4).await;
    let (wrapper, child) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.calls", calls(&wrapper, "ok", 1.0, 0)).await;
    let mut elsewhere = calls(&wrapper, "ok", 1.0, 9);
    elsewhere["wrapper"] = json!({ "pid": wrapper.pid(), "started": 1 });
    elsewhere["server"] = json!("elsewhere");
    traffic(&mut world, "mcp.calls", elsewhere).await;
    traffic(
        &mut world,
        "mcp.session",
        json!({ "server": "ghost", "wrapper": { "pid": wrapper.pid(), "started": 1 }, "state": "started" }),
    )
    .await;
    traffic(&mut world, "mcp.session", session(&wrapper, &child, "started")).await;
    world.state("the session", |state| state["pid"] == child.pid()).await;
    let all = world.ask("list_mcp_servers", json!({})).await;
    let names: Vec<_> = all["servers"].as_array().unwrap().iter().map(|server| server["name"].clone()).collect();
    assert_eq!(names, [json!("memory")], "whoever is elsewhere or gone is no server here");
}

/// Harm prevented: what a wrapper told before the files were read made a second server of the same name.
#[tokio::test]
async fn a_session_is_of_the_server_that_a_file_names_however_soon_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(".mcp.json"),
        json!({ "mcpServers": { "memory": { "command": "true" } } }).to_string(),
    )
    .unwrap();
    let project = dir.path().to_owned();
    // Many files, so that reading them takes a while.
    let paths: Vec<_> = (0..200).map(|n| dir.path().join(format!("{n}.mcp.json"))).collect();
    for path in &paths {
        std::fs::write(path, json!({ "mcpServers": {}, "more": " ".repeat(200_000) }).to_string()).unwrap();
    }
    let mut world = World::with(|_| json!({ "discovery": { "home": "", "projects": [project], "paths": paths } }));
    world.run.subscribed(4).await;
    let (wrapper, child) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.session", session(&wrapper, &child, "started")).await;
    let active = world.becomes("active").await;
    assert!(active.data["server_id"].as_str().unwrap().starts_with("memory@"), "{active:?}");
}

/// A wrapper that is killed tells nothing any more.
#[tokio::test]
async fn a_wrapper_that_is_killed_takes_its_server_along() {
    // That has a time of its own, however seldom processes are looked at.
    let mut world = World::with(|_| json!({ "sweep": "1h" }));
    world.run.subscribed(4).await;
    let (mut wrapper, child) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.session", session(&wrapper, &child, "started")).await;
    world.becomes("active").await;
    wrapper.kill();
    assert_eq!(world.becomes("stopped").await.data["details"]["reason"], "its wrapper ended");
}

/// The end of its process may be seen before what it said last has come through the daemon.
#[tokio::test]
async fn the_last_word_of_a_wrapper_counts_though_it_comes_late() {
    let mut world = World::new();
    world.run.subscribed(4).await;
    let (mut wrapper, mut child) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.session", session(&wrapper, &child, "started")).await;
    world.becomes("active").await;
    let mut ended = session(&wrapper, &child, "ended");
    ended["exit"] = json!({ "code": 3 });
    child.kill();
    wrapper.kill();
    world.becomes("stopped").await;
    traffic(&mut world, "mcp.session", ended).await;
    let error = world.kind("error_event").await;
    assert_eq!(
        (&error.data["error_type"], &error.data["details"]["last_error"]),
        (&json!("ended"), &json!("exit code 3"))
    );
}

#[tokio::test]
async fn calls_that_agents_tell_of_count_for_the_server_of_that_name() {
    let mut world = World::new();
    world.run.subscribed(4).await;
    world.write(&json!({ "my files": python(&["--pids", "nobody runs this"]) }));
    let state = world.state("discovered", |state| state["server_name"] == "my files").await;
    let hook = |event: &str, id: usize, more: Value| {
        let mut payload = json!({
            "hook_event_name": event, "session_id": "s", "tool_name": "mcp__my_files__read", "tool_use_id": id.to_string(),
        });
        for (key, value) in more.as_object().unwrap() {
            payload[key] = value.clone();
        }
        BusEvent::new("agent_hooks", "hook.claude", &json!({ "payload": payload }))
    };
    for id in 0..20 {
        world.run.deliver(hook("PreToolUse", id, json!({}))).await;
        world.run.deliver(hook("PostToolUse", id, json!({ "duration_ms": 40 }))).await;
    }
    let active = world.becomes("active").await;
    assert_eq!((&active.data["server_id"], &active.data["evidence_level"]), (&state["server_id"], &json!("observed")));
    let state = world.state("its calls", |state| state["calls"] == 20).await;
    assert_eq!((&state["error_rate"], &state["evidence_level"]), (&json!(0.0), &json!("observed")));
    assert!(state["latency_ms"]["p95"].as_f64().is_some_and(|p95| (39.0..41.0).contains(&p95)), "{state}");
    for id in 20..24 {
        world.run.deliver(hook("PostToolUseFailure", id, json!({}))).await;
    }
    assert_eq!(world.becomes("degraded").await.data["evidence_level"], "observed");
}
