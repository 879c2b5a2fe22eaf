//! Servers that are started here, from their first answer to their end.

use crate::world::{World, python, runs, signal};
use headwater_testkit::prelude::*;

#[tokio::test]
async fn a_server_is_started_greeted_and_asked() {
    for era in ["initialize", "discover"] {
        let mut world = World::server(&["--tools", "3", "--era", era]);
        let starting = world.becomes("starting").await;
        assert_eq!(starting.data["status_change"]["from"], "discovered");
        let active = world.becomes("active").await;
        assert_eq!(
            (active.data["server_id"].as_str(), active.data["server_name"].as_str()),
            (Some("one"), Some("one"))
        );
        assert_eq!(active.evidence, Some(Evidence::Observed));
        assert_eq!((&active.data["evidence_level"], &active.data["details"]["era"]), (&json!("probe"), &json!(era)));
        let details = &active.data["details"];
        assert_eq!(details["capabilities_loaded"], 3);
        assert!(details["startup_time_ms"].as_f64().unwrap() > 0.0);
        assert!(details["initial_performance"]["memory_usage_mb"].as_f64().unwrap() > 1.0);
        let state = world.state("a state with latencies", |state| state["latency_ms"]["p95"].is_number()).await;
        assert_eq!((&state["status"], &state["tools"], &state["owned"]), (&json!("active"), &json!(3), &json!(true)));
        assert_eq!(state["server_info"], json!({ "name": "fixture", "version": "1.2.3" }));
        assert_eq!((&state["transport"], &state["latency_of"]), (&json!("stdio"), &json!("probes")));
        assert_eq!((&state["error_rate"], &state["health_score"]), (&json!(0.0), &json!(1.0)));
        assert!(runs(state["pid"].as_u64().unwrap()));
        assert_eq!(world.run.stop().await, Outcome::Stopped);
        assert!(!runs(state["pid"].as_u64().unwrap()), "it ends with the source");
    }
}

/// Harm prevented: a server that ends upon a question that it does not know was asked it again in each of its lives.
#[tokio::test]
async fn a_server_that_ends_upon_one_greeting_gets_the_other_in_its_next_life() {
    let mut world = World::server(&["--die-on-discover"]);
    world.becomes("stopped").await;
    let active = world.becomes("active").await;
    assert_eq!(active.data["details"]["era"], "initialize");
    let state = world.state("a state", |state| state["status"] == "active").await;
    assert_eq!(state["restarts"], 1);
    // And it keeps to that.
    signal(&state["pid"], "-KILL");
    world.becomes("active").await;
    world.state("a second restart", |state| state["status"] == "active" && state["restarts"] == 2).await;
}

#[tokio::test]
async fn tools_that_come_later_are_told() {
    for era in ["initialize", "discover"] {
        let mut world = World::server(&["--era", era]);
        let state = world.state("two tools", |state| state["tools"] == 2 && state["latency_ms"]["count"] != 0).await;
        signal(&state["pid"], "-USR1");
        world.state("three tools", |state| state["tools"] == 3).await;
    }
}

#[tokio::test]
async fn a_killed_server_is_told_and_started_again() {
    let mut world = World::server(&[]);
    world.becomes("active").await;
    let state = world.state("a process", |state| state["pid"].is_number()).await;
    signal(&state["pid"], "-KILL");
    let stopped = world.becomes("stopped").await;
    assert_eq!(
        (&stopped.data["status_change"]["from"], stopped.evidence),
        (&json!("active"), Some(Evidence::Observed))
    );
    assert_eq!(stopped.data["details"]["reason"], "signal 9");
    let alert = world.kind("mcp_server_health_alert").await;
    assert_eq!(alert.data["health_status"], json!({ "previous": "active", "current": "stopped" }));
    assert_eq!(alert.data["issues"][0]["type"], "ended");
    let error = world.kind("error_event").await;
    assert_eq!(error.channel, "error_alerts");
    let details = &error.data["details"];
    assert_eq!((&details["signal"], &details["restart_in_ms"]), (&json!(9), &json!(1_000)));
    let again = world.becomes("active").await;
    assert_eq!(again.data["status_change"]["from"], "starting");
    let well = world.kind("mcp_server_health_alert").await;
    assert_eq!(well.data["health_status"], json!({ "previous": "stopped", "current": "active" }));
    assert_eq!((&well.data["issues"], well.severity), (&json!([]), Some(Severity::Info)));
    let now = world.state("another process", |now| now["restarts"] == 1 && now["pid"].is_number()).await;
    assert_ne!(now["pid"], state["pid"]);
}

#[tokio::test]
async fn a_server_that_hangs_is_unhealthy_after_one_round_and_killed_in_the_end() {
    let mut world = World::with(|_| json!({ "servers": { "one": python(&[]) }, "deadline": "2s", "hung": "3s" }));
    let state = world.state("a process", |state| state["latency_ms"]["count"].is_number()).await;
    signal(&state["pid"], "-STOP");
    let unhealthy = world.becomes("unhealthy").await;
    assert_eq!(unhealthy.data["status_change"]["from"], "active");
    assert_eq!(unhealthy.data["details"]["health_score"], 0.0);
    let alert = world.kind("mcp_server_health_alert").await;
    assert_eq!(alert.data["issues"][0]["type"], "unresponsive");
    assert_eq!(alert.data["recommended_actions"], json!(["restart_server"]));
    assert_eq!(world.kind("error_event").await.data["error_type"], "timeout");
    let stopped = world.becomes("stopped").await;
    assert_eq!(stopped.data["status_change"]["from"], "unhealthy");
    world.becomes("active").await;
    assert!(!runs(state["pid"].as_u64().unwrap()));
}

/// One that was only held up answers again, and is not started anew.
#[tokio::test]
async fn a_server_that_goes_on_in_time_lives_on() {
    let mut world = World::with(|_| json!({ "servers": { "one": python(&[]) }, "deadline": "1s", "hung": "10m" }));
    let state = world.state("a process", |state| state["latency_ms"]["count"].is_number()).await;
    signal(&state["pid"], "-STOP");
    world.becomes("unhealthy").await;
    signal(&state["pid"], "-CONT");
    // It is unhealthy until it has answered for thirty seconds; the machine's own tests wait for that.
    let count = |state: &Value| state["calls"].as_u64().unwrap_or_default();
    let before = world.state("a state", |state| state["status"] == "unhealthy").await;
    let after = world.state("answers", |state| count(state) >= count(&before) + 6).await;
    assert_eq!((&after["pid"], &after["status"], &after["restarts"]), (&state["pid"], &json!("unhealthy"), &json!(0)));
}
