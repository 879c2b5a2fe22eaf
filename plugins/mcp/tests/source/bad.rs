//! Programs that are no good servers: one clear alert each, no secret told, nothing left running.

use crate::world::{World, python, runs, sh, until};
use headwater_testkit::prelude::*;

/// A source with one server.
fn bad(server: &Value) -> World {
    World::with(|_| json!({ "servers": { "one": server } }))
}

/// A source with one server that is given up soon.
fn impatient(server: &Value) -> World {
    World::with(|_| json!({ "servers": { "one": server }, "handshake": "3s" }))
}

/// What is told of a server that gets nowhere: its status, and the only alert and error.
async fn told(world: &mut World, status: &str) -> (TestEvent, TestEvent) {
    world.becomes(status).await;
    let alert = world.kind("mcp_server_health_alert").await;
    let error = world.kind("error_event").await;
    (alert, error)
}

#[tokio::test]
async fn cat_is_no_server() {
    let mut world = bad(&json!({ "command": "cat" }));
    let (alert, error) = told(&mut world, "unhealthy").await;
    assert_eq!(alert.data["health_status"], json!({ "previous": "starting", "current": "unhealthy" }));
    assert_eq!(alert.data["issues"][0]["description"], "it sends back what it gets: it is no MCP server");
    assert_eq!(error.data["error_type"], "not_ready");
    // It is tried again, and the same is not told again.
    world.becomes("starting").await;
    world.becomes("unhealthy").await;
    world.becomes("starting").await;
    let again = world.rest();
    assert!(!again.iter().any(|event| event.kind.ends_with("alert") || event.kind == "error_event"), "{again:?}");
}

#[tokio::test]
async fn a_program_that_never_answers_is_given_up_at_its_deadline() {
    let mut world = impatient(&sh("exec sleep 600"));
    let (alert, error) = told(&mut world, "unhealthy").await;
    assert_eq!(alert.data["issues"][0]["description"], "no answer to the greeting within 3000 ms");
    assert_eq!(
        (&error.data["error_type"], &error.data["details"]["timeout_ms"]),
        (&json!("handshake_timeout"), &json!(3000))
    );
    assert_eq!(error.data["details"]["signal"], 9, "it was killed");
}

#[tokio::test]
async fn garbage_on_its_output_is_counted_and_passed_over() {
    let mut world = impatient(&sh("while :; do echo 'what is this?'; echo '{\"so\": \"so\"}'; done"));
    let (alert, _) = told(&mut world, "unhealthy").await;
    let said = alert.data["issues"][0]["description"].as_str().unwrap();
    assert!(
        said.starts_with("no answer to the greeting within 3000 ms; ") && said.ends_with("are no messages"),
        "{said}"
    );
    // One that also answers works, and it is said that it should not do that.
    let mut world = World::server(&["--noise"]);
    world.becomes("active").await;
    let error = world.kind("error_event").await;
    assert_eq!(error.data["error_type"], "stdout_noise");
    let state = world.state("noise", |state| state["stdout_noise_lines"].is_number()).await;
    assert_eq!(state["status"], "active");
}

#[tokio::test]
async fn a_flood_on_its_standard_error_holds_nobody_up() {
    let mut world = World::server(&["--flood", "4000000"]);
    world.becomes("active").await;
    let state = world.state("it was read", |state| state["stderr"]["bytes"].as_u64() >= Some(3_900_000)).await;
    assert_eq!(state["status"], "active");
}

#[tokio::test]
async fn a_program_that_exits_at_once_says_why_without_its_secrets() {
    let mut server = sh("echo \"cannot log in with $API_KEY\" >&2; echo 'file not found' >&2; exit 3");
    server["env"] = json!({ "API_KEY": "swordfish" });
    let mut world = bad(&server);
    let (alert, error) = told(&mut world, "stopped").await;
    assert_eq!(alert.data["issues"][0]["description"], "exit code 3");
    let details = &error.data["details"];
    assert_eq!((&error.data["error_type"], &details["exit_code"]), (&json!("ended_at_start"), &json!(3)));
    assert_eq!(details["stderr"]["last"], json!(["cannot log in with [redacted]", "file not found"]));
    world.becomes("starting").await;
    let state = world.ask("get_mcp_server", json!({ "server_id": "one" })).await;
    let everything = format!("{alert:?} {error:?} {state} {:?} {:?}", world.rest(), world.run.log());
    assert!(!everything.contains("swordfish"), "{everything}");
}

/// What a server was given is not in anything that is told of it, whatever the server does with it.
#[tokio::test]
async fn secrets_stay_where_they_are() {
    let mut server = python(&["--env", "SECRET", "--say", "key sword1234567890fish", "--api-key", "sesame"]);
    server["env"] = json!({ "SECRET": "opensesame" });
    let mut world = bad(&server);
    world.run.log_level("trace");
    let active = world.becomes("active").await;
    let state = world.state("it was read", |state| state["stderr"]["lines"] == 2).await;
    crate::world::signal(&state["pid"], "-KILL");
    let error = world.kind("error_event").await;
    assert_eq!(error.data["details"]["stderr"]["last"], json!(["key [redacted]", "it is [redacted]"]));
    let list = world.ask("list_mcp_servers", json!({})).await;
    let everything = format!("{active:?} {state} {error:?} {list} {:?} {:?}", world.rest(), world.run.log());
    for secret in ["opensesame", "sword1234567890fish", "server.py"] {
        assert!(!everything.contains(secret), "{secret}: {everything}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let mut world = bad(&json!({ "command": "no-such-program-here" }));
    let (alert, error) = told(&mut world, "unhealthy").await;
    assert_eq!(alert.data["issues"][0]["description"], "there is no program `no-such-program-here`");
    assert_eq!(alert.data["recommended_actions"], json!(["check_command"]));
    assert_eq!(error.data["error_type"], "not_ready");
}

#[tokio::test]
async fn what_a_server_forks_ends_with_it_or_is_told() {
    let mut world = World::with(|dir| {
        let pids = dir.join("pids");
        json!({ "servers": { "one": python(&["--fork", "--pids", pids.to_str().unwrap()]) } })
    });
    world.becomes("active").await;
    let state = world.state("three processes", |state| state["processes"] == 3).await;
    let pids = std::fs::read_to_string(world.path("pids")).unwrap();
    let (inside, outside) = pids.split_once(' ').unwrap();
    let [inside, outside]: [u64; 2] = [inside, outside].map(|pid| pid.parse().unwrap());
    // Long enough that what runs below it was seen.
    let seen = state["calls"].as_u64().unwrap();
    world.state("two more rounds", |state| state["calls"].as_u64() > Some(seen + 2)).await;
    crate::world::signal(&state["pid"], "-KILL");
    // Its end is told at once; what it has left is looked for after that.
    let of = |event: &TestEvent, kind: &str| {
        let mut issues = event.data["issues"].as_array().into_iter().flatten();
        issues.find(|issue| issue["type"] == kind).cloned()
    };
    world.next("its end", |event| of(event, "ended").is_some()).await;
    let alert = world.next("what it left", |event| of(event, "orphaned_processes").is_some()).await;
    assert_eq!(of(&alert, "orphaned_processes").unwrap()["pids"], json!([outside]));
    let error = world.kind("error_event").await;
    assert_eq!(error.data["details"]["killed"], json!([inside]));
    until("its group ended", || !runs(inside)).await;
    assert!(runs(outside), "it is not ours to kill");
    crate::world::signal(&json!(outside), "-KILL");
}

/// A program that reads nothing must not hold the source up.
#[tokio::test]
async fn a_program_that_does_not_read_holds_nobody_up() {
    let servers = json!({ "deaf": sh("exec sleep 600"), "one": python(&[]) });
    let mut world = World::with(|_| json!({ "servers": servers, "handshake": "60s" }));
    let one = |event: &TestEvent| event.kind == "mcp_server_status_change" && event.data["server_id"] == "one";
    world.next("the other starts", one).await;
    assert_eq!(world.next("the other works", one).await.data["status_change"]["to"], "active");
    world.run.heartbeat().await;
}

/// Harm prevented: one wrong entry took the source down with all other servers, five times, into quarantine.
#[tokio::test]
async fn an_entry_that_cannot_be_used_is_told_and_the_others_run() {
    let unset = json!({ "command": "true", "inherit": ["NOBODY_HAS_SET_THIS"] });
    let servers =
        json!({ "both": { "command": "true", "url": "http://127.0.0.1:9" }, "good": python(&[]), "unset": unset });
    let mut world = World::with(|_| json!({ "servers": servers }));
    for (name, reason) in [
        ("both", "servers.both: a server has either a `command` or a `url`"),
        ("unset", "servers.unset: the variable NOBODY_HAS_SET_THIS is not set here"),
    ] {
        let error = world.kind("error_event").await;
        assert_eq!(error.data["details"]["server_id"], name);
        assert_eq!(error.data["message"], format!("MCP server {name}: it cannot be started: {reason}"));
        let order = json!({ "server_id": name, "action": "start" });
        let (code, message) = world.run.command("control_mcp_server", order).await.error();
        assert_eq!((code, message), ("MCP_SERVER_ERROR".to_owned(), format!("{name} cannot be started: {reason}")));
    }
    assert_eq!(world.becomes("active").await.data["server_id"], "good");
}
