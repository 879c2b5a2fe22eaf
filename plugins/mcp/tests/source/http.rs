//! Servers that are reached at a URL.

use crate::world::{Program, World, fixture, signal, until};
use headwater_testkit::prelude::*;
use std::{path::Path, process::Command};

/// A server over HTTP, and its URL.
async fn listening(dir: &Path, args: &[&str]) -> (Program, String) {
    let port = dir.join("port");
    let _ = std::fs::remove_file(&port);
    let mut command = Command::new("python3");
    command.arg(fixture()).args(["--http", "--port-file", port.to_str().unwrap()]).args(args);
    let program = Program::start(&mut command);
    until("it listens", || port.exists()).await;
    let url = format!("http://127.0.0.1:{}/mcp?key=s3cret", std::fs::read_to_string(port).unwrap());
    (program, url)
}

#[tokio::test]
async fn a_url_is_asked_in_both_eras_and_both_ways_of_answering() {
    for args in [&["--tools", "4"][..], &["--tools", "4", "--sse"], &["--tools", "4", "--era", "discover"]] {
        let dir = tempfile::tempdir().unwrap();
        let (mut program, url) = listening(dir.path(), args).await;
        let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } } }));
        let active = world.becomes("active").await;
        assert_eq!(
            (&active.data["transport"], &active.data["details"]["capabilities_loaded"]),
            (&json!("http"), &json!(4))
        );
        let state = world.state("latencies", |state| state["latency_ms"]["p95"].is_number()).await;
        assert_eq!((&state["owned"], state.get("pid"), state.get("memory_mb")), (&json!(false), None, None));
        assert!(state["url"].as_str().unwrap().ends_with("/mcp") && !state.to_string().contains("s3cret"), "{state}");
        signal(&json!(program.pid()), "-USR1");
        world.state("another tool", |state| state["tools"] == 5).await;
        program.kill();
        let stopped = world.becomes("stopped").await;
        assert!(
            stopped.data["details"]["reason"].as_str().unwrap().starts_with("it cannot be reached: "),
            "{stopped:?}"
        );
        assert!(!format!("{stopped:?} {:?} {:?}", world.rest(), world.run.log()).contains("s3cret"));
    }
}

/// Harm prevented: after the greeting each request named the revision that was offered, and servers of older ones refuse that.
#[tokio::test]
async fn a_server_of_an_older_revision_is_asked_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_program, url) = listening(dir.path(), &["--agree", "2025-06-18"]).await;
    let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } } }));
    let state = world.state("pings", |state| state["calls"].as_u64() >= Some(3)).await;
    assert_eq!((&state["protocol_version"], &state["tools"]), (&json!("2025-06-18"), &json!(2)));
    assert_eq!((&state["status"], &state["error_rate"]), (&json!("active"), &json!(0.0)));
}

/// Harm prevented: one request that got lost on a connection that its server was just closing was told as the server's end.
#[tokio::test]
async fn a_request_that_gets_lost_is_asked_again_and_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_program, url) = listening(dir.path(), &["--drop", "4"]).await;
    let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } } }));
    world.state("pings", |state| state["status"] == "active" && state["calls"].as_u64() >= Some(12)).await;
    let rest = world.rest();
    assert!(!rest.iter().any(|event| event.kind == "mcp_server_status_change"), "{rest:?}");
}

/// Harm prevented: a server that had lost its stream was never heard again when its tools changed.
#[tokio::test]
async fn a_stream_of_changes_that_ends_is_opened_again() {
    for era in ["initialize", "discover"] {
        let dir = tempfile::tempdir().unwrap();
        let (program, url) = listening(dir.path(), &["--hang-up", "--era", era]).await;
        let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } } }));
        world.state("two tools", |state| state["tools"] == 2).await;
        // It is told on whichever stream is open then.
        let mut tools = 2;
        let began = std::time::Instant::now();
        while tools == 2 {
            assert!(began.elapsed().as_secs() < 60, "{era}: it is not heard");
            signal(&json!(program.pid()), "-USR1");
            let calls = |state: &Value| state["calls"].as_u64();
            let before = world.state("a state", |state| calls(state).is_some()).await;
            let after = world.state("a later state", |state| calls(state) > calls(&before)).await;
            tools = after["tools"].as_u64().unwrap();
        }
    }
}

/// Harm prevented: what comes before the server has taken the end of the greeting may be refused.
#[tokio::test]
async fn nothing_is_asked_before_the_greeting_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (_program, url) = listening(dir.path(), &["--settle", "300"]).await;
    let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } } }));
    let state = world.state("its tools", |state| state["tools"] == 2 && state["calls"].is_number()).await;
    assert_eq!((&state["status"], &state["error_rate"]), (&json!("active"), &json!(0.0)));
}

#[tokio::test]
async fn a_url_that_hangs_is_unhealthy() {
    let dir = tempfile::tempdir().unwrap();
    let (program, url) = listening(dir.path(), &[]).await;
    let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } }, "deadline": "2s" }));
    world.becomes("active").await;
    signal(&json!(program.pid()), "-STOP");
    world.becomes("unhealthy").await;
    assert_eq!(world.kind("mcp_server_health_alert").await.data["issues"][0]["type"], "unresponsive");
    signal(&json!(program.pid()), "-CONT");
}

#[tokio::test]
async fn a_url_that_wants_an_authorization_lives_and_opens_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_program, url) = listening(dir.path(), &["--locked"]).await;
    let headers = json!({ "Authorization": "Bearer opensesame" });
    let servers = json!({ "locked": { "url": url }, "open": { "url": url, "headers": headers } });
    let mut world = World::with(|_| json!({ "servers": servers }));
    let locked = world.state("locked", |state| state["server_id"] == "locked" && state["calls"].is_number()).await;
    assert_eq!((&locked["status"], &locked["needs_authorization"]), (&json!("active"), &json!(true)));
    assert_eq!(locked.get("tools"), None, "that is not known");
    let open = world.state("open", |state| state["server_id"] == "open" && state["tools"] == 2).await;
    assert_eq!((&open["status"], open.get("needs_authorization")), (&json!("active"), None));
    let all = format!("{open} {locked} {:?} {:?}", world.rest(), world.run.log());
    assert!(!all.contains("opensesame"), "{all}");
}

/// Harm prevented: one that asked for an authorization once was told as unhealthy for ever when it asked for none any more.
#[tokio::test]
async fn a_url_that_wants_no_authorization_any_more_is_greeted_anew() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("lock");
    std::fs::write(&lock, "").unwrap();
    let (_program, url) = listening(dir.path(), &["--locked-file", lock.to_str().unwrap()]).await;
    let mut world = World::with(|_| json!({ "servers": { "one": { "url": url } } }));
    let locked = world.state("locked", |state| state["calls"].is_number()).await;
    assert_eq!(locked["needs_authorization"], true);
    for _ in 0..2 {
        std::fs::remove_file(&lock).unwrap();
        let open = world.state("open", |state| state["tools"] == 2).await;
        assert_eq!((&open["status"], open.get("needs_authorization")), (&json!("active"), None));
        // And shut again in the middle of a session.
        std::fs::write(&lock, "").unwrap();
        world.state("locked again", |state| state["needs_authorization"] == true).await;
    }
    let rest = world.rest();
    assert!(!rest.iter().any(|event| event.kind == "mcp_server_health_alert"), "{rest:?}");
}

/// Whoever listens on this machine is asked; a file may send us nowhere else, and the headers in it stay here.
#[tokio::test]
async fn a_url_of_a_file_is_asked_without_its_headers_and_only_on_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let (_program, url) = listening(dir.path(), &["--locked"]).await;
    let mut world = World::new();
    let headers = json!({ "Authorization": "Bearer opensesame" });
    let (place, _) = url.split_once('?').unwrap();
    world.write(&json!({
        "near": { "type": "http", "url": place, "headers": headers },
        "key": { "type": "http", "url": url },
        // It would be asked at this URL, with what the variable stands for.
        "variable": { "type": "http", "url": format!("{place}/${{HOME:-x}}") },
        "far": { "type": "http", "url": "http://example.invalid/mcp" },
    }));
    let near = world.state("near", |state| state["server_name"] == "near" && state["calls"].is_number()).await;
    assert_eq!(near["needs_authorization"], true, "it got no headers");
    for other in ["far", "key", "variable"] {
        let other = world.ask("get_mcp_server", json!({ "server_id": other })).await;
        assert_eq!((&other["status"], other.get("evidence_level")), (&json!("discovered"), None), "{other}");
    }
}

#[tokio::test]
async fn nobody_at_a_url_is_told_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut world = World::with(|_| json!({ "servers": { "one": { "url": format!("http://{free}/mcp") } } }));
    assert_eq!(world.becomes("stopped").await.data["status_change"]["from"], "starting");
    world.kind("mcp_server_health_alert").await;
    assert_eq!(world.kind("error_event").await.data["error_type"], "unreachable");
    world.becomes("stopped").await;
    assert!(!world.rest().iter().any(|event| event.kind == "mcp_server_health_alert"));
}

/// Harm prevented: a server that is started by hand now and then stood in a file, and was told as ended each minute.
#[tokio::test]
async fn nobody_at_a_url_of_a_file_is_no_news_until_somebody_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut world = World::new();
    world.write(&json!({ "near": { "type": "http", "url": format!("http://127.0.0.1:{port}/mcp") } }));
    let state = world.state("near", |state| state["server_name"] == "near").await;
    assert_eq!(state["status"], "discovered");
    let (mut program, _) = listening(dir.path(), &["--port", &port.to_string()]).await;
    // It was asked in vain before that; the first thing told is that it works.
    let first = world.kind("mcp_server_status_change").await;
    assert_eq!(first.data["status_change"], json!({ "from": "discovered", "to": "active" }));
    program.kill();
    assert_eq!(world.becomes("stopped").await.data["status_change"]["from"], "active");
    let end = world.kind("error_event").await;
    assert_eq!(end.data["error_type"], "unreachable");
    // It is asked in vain again, and that is no news.
    let (_program, _) = listening(dir.path(), &["--port", &port.to_string()]).await;
    let change = world.kind("mcp_server_status_change").await;
    assert_eq!(change.data["status_change"], json!({ "from": "stopped", "to": "active" }));
}
