//! Servers that others run: their processes, their wrappers, the calls that agents make.

use crate::world::{Program, World, fixture, python};
use headwater_testkit::prelude::*;
use std::process::{Command, Stdio};

async fn traffic(world: &mut World, kind: &str, data: Value) {
    assert_eq!(world.run.deliver(BusEvent::new("mcp_traffic", kind, &data)).await, 2, "sessions and calls are read");
}

fn calls(outcome: &str, ms: f64, count: usize) -> Value {
    let call =
        json!({ "method": "tools/call", "tool": "t", "ms": ms, "outcome": outcome, "at": "2026-01-01T00:00:00Z" });
    json!({ "server": "memory", "wrapper": { "pid": 1 }, "calls": vec![call; count] })
}

fn session(wrapper: &Program, child: &Program, state: &str) -> Value {
    json!({ "server": "memory", "wrapper": wrapper.id(), "child": child.id(), "state": state })
}

#[tokio::test]
async fn a_running_process_of_a_configured_server_is_found_and_its_end_seen() {
    let mut world = World::new();
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
    traffic(&mut world, "mcp.calls", calls("ok", 12.0, 30)).await;
    let state = world.state("its calls", |state| state["calls"] == 30).await;
    assert_eq!(
        (&state["pid"], &state["tools"], &state["latency_of"]),
        (&json!(child.pid()), &json!(9), &json!("calls"))
    );
    assert!(state["latency_ms"]["p50"].as_f64().is_some_and(|p50| (11.0..13.0).contains(&p50)), "{state}");
    // Many of them fail.
    traffic(&mut world, "mcp.calls", calls("error", 5.0, 30)).await;
    let unhealthy = world.becomes("unhealthy").await;
    assert_eq!(unhealthy.data["evidence_level"], "wrapped");
    assert_eq!(world.kind("mcp_server_health_alert").await.data["issues"][0]["type"], "error_rate");
    // It is killed.
    let mut ended = session(&wrapper, &child, "ended");
    ended["exit"] = json!({ "signal": 9 });
    child.kill();
    traffic(&mut world, "mcp.session", ended).await;
    assert_eq!(world.becomes("stopped").await.data["details"]["reason"], "signal 9");
    let alert = world.kind("mcp_server_health_alert").await;
    assert_eq!(alert.data["health_status"], json!({ "previous": "unhealthy", "current": "stopped" }));
    assert_eq!(world.kind("error_event").await.data["error_type"], "ended");
    wrapper.kill();
}

/// A wrapper that is killed tells nothing any more.
#[tokio::test]
async fn a_wrapper_that_is_killed_takes_its_server_along() {
    let mut world = World::new();
    world.run.subscribed(4).await;
    let (mut wrapper, child) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.session", session(&wrapper, &child, "started")).await;
    world.becomes("active").await;
    wrapper.kill();
    assert_eq!(world.becomes("stopped").await.data["details"]["reason"], "its wrapper ended");
}

/// Its process is seen to end before what it said last has come through the daemon.
#[tokio::test]
async fn the_last_word_of_a_wrapper_counts_though_it_comes_late() {
    let mut world = World::with(|_| json!({ "sweep": "1h" }));
    world.run.subscribed(4).await;
    let (mut wrapper, mut child) = (Program::sleeping(), Program::sleeping());
    traffic(&mut world, "mcp.session", session(&wrapper, &child, "started")).await;
    world.becomes("active").await;
    let mut ended = session(&wrapper, &child, "ended");
    ended["exit"] = json!({ "code": 3 });
    child.kill();
    wrapper.kill();
    world.state("its process was seen to end", |state| state.get("pid").is_none()).await;
    traffic(&mut world, "mcp.session", ended).await;
    assert_eq!(world.becomes("stopped").await.data["details"]["reason"], "exit code 3");
    world.kind("mcp_server_health_alert").await;
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
