//! Commands about servers.

use crate::world::{World, python, runs, sh};
use headwater_testkit::prelude::*;

fn order(action: &str) -> Value {
    json!({ "server_id": "one", "action": action })
}

#[tokio::test]
async fn a_server_of_ours_is_stopped_started_and_restarted() {
    let mut world = World::server(&[]);
    world.becomes("active").await;
    let first = world.ask("get_mcp_server", json!({ "server_id": "one" })).await["pid"].clone();
    let stopped = world.ask("control_mcp_server", order("stop")).await;
    assert_eq!((&stopped["mcp_server_id"], &stopped["server_status"]), (&json!("one"), &json!("stopped")));
    assert!(!runs(first.as_u64().unwrap()));
    let told = world.becomes("stopped").await;
    assert_eq!(
        (&told.data["details"]["reason"], told.severity),
        (&json!("somebody asked for it"), Some(Severity::Info))
    );
    assert_eq!(world.ask("control_mcp_server", order("stop")).await["server_status"], "stopped", "it is");
    let started = world.ask("control_mcp_server", order("start")).await;
    assert_eq!(started["server_status"], "active");
    assert!(runs(started["pid"].as_u64().unwrap()));
    assert_eq!(world.ask("control_mcp_server", order("start")).await["pid"], started["pid"], "it does");
    let again = world.run.command("control_mcp_server", order("restart")).await;
    assert!(again.was_accepted());
    let again = again.completed();
    assert_eq!(again["server_status"], "active");
    assert_ne!(again["pid"], started["pid"]);
    assert!(!runs(started["pid"].as_u64().unwrap()));
    let alerts = world.rest().into_iter().filter(|event| event.kind == "mcp_server_health_alert");
    assert_eq!(alerts.count(), 0, "all of it was asked for");
}

/// One that does not end when its input does, nor when it is asked to, is killed.
#[tokio::test]
async fn a_stubborn_server_is_ended_all_the_same() {
    let script = format!("trap '' TERM; python3 {}; while :; do sleep 1; done", crate::world::fixture());
    let mut world = World::with(|_| json!({ "servers": { "one": sh(&script) } }));
    world.becomes("active").await;
    let pid = world.ask("get_mcp_server", json!({ "server_id": "one" })).await["pid"].as_u64().unwrap();
    let mut now = order("stop");
    now["graceful"] = json!(false);
    world.ask("control_mcp_server", now).await;
    assert!(!runs(pid));
    world.ask("control_mcp_server", order("start")).await;
    let pid = world.ask("get_mcp_server", json!({ "server_id": "one" })).await["pid"].as_u64().unwrap();
    let request = world.run.send_command("control_mcp_server", &order("stop"));
    world.becomes("stopped").await;
    world.run.answers(request).await.completed();
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_server_that_does_not_start_is_an_error_to_who_asked() {
    let mut world = World::with(|_| json!({ "servers": { "one": sh("exit 3") } }));
    world.becomes("stopped").await;
    world.ask("control_mcp_server", order("stop")).await;
    let (code, message) = world.run.command("control_mcp_server", order("start")).await.error();
    assert_eq!((code.as_str(), message.as_str()), ("MCP_SERVER_ERROR", "it was started, and ended: exit code 3"));
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone_and_said_so() {
    let mut world = World::new();
    world.write(
        &json!({ "files": python(&[]), "far": { "type": "http", "url": "https://example.org/mcp?key=s3cret" } }),
    );
    let found = world.kind("mcp_server_discovered").await;
    let id = |name: &str| {
        let all = found.data["servers_found"].as_array().unwrap().clone();
        all.into_iter().find(|server| server["name"] == name).unwrap()["server_id"].clone()
    };
    let control = |id: Value| json!({ "server_id": id, "action": "restart" });
    let answers = world.run.command("control_mcp_server", control(id("files"))).await;
    let last = answers.last().clone();
    assert_eq!(
        (last["error_code"].as_str(), last["details"]["owned"].as_bool()),
        (Some("MCP_SERVER_ERROR"), Some(false))
    );
    assert!(last["message"].as_str().unwrap().contains("not allowed to start it here"), "{last}");
    assert!(last["suggested_action"].as_str().unwrap().contains("[source.mcp.spawn]"), "{last}");
    let (_, message) = world.run.command("control_mcp_server", control(id("far"))).await.error();
    assert!(message.contains("reached at a URL"), "{message}");
    // By its name as well, while that is the only one.
    let (code, _) = world.run.command("control_mcp_server", control(json!("files"))).await.error();
    assert_eq!(code, "MCP_SERVER_ERROR");
    for (parameters, code) in [
        (control(json!("nobody")), "RESOURCE_NOT_FOUND"),
        (json!({ "server_id": "files", "action": "explode" }), "VALIDATION_ERROR"),
        (json!({ "action": "stop" }), "VALIDATION_ERROR"),
    ] {
        assert_eq!(world.run.command("control_mcp_server", parameters).await.error().0, code);
    }
    let all = world.ask("list_mcp_servers", json!({})).await;
    assert_eq!(all["servers"].as_array().unwrap().len(), 2);
    assert!(!all.to_string().contains("s3cret"), "{all}");
}

/// Harm prevented: the line that was to help stood in the settings already.
#[tokio::test]
async fn a_server_that_is_allowed_and_cannot_start_says_why() {
    let mut world = World::new();
    let mut bird = python(&[]);
    bird["env"] = json!({ "KEY": "${NOBODY_HAS_SET_THIS}" });
    world.write(&json!({ "bird": bird }));
    let found = world.kind("mcp_server_discovered").await.data["servers_found"][0].clone();
    let (project, allowed) = (world.dir.path().to_owned(), json!({ "bird": found["hash"] }));
    let mut other = World::with(|_| json!({ "spawn": allowed, "discovery": { "home": "", "projects": [project] } }));
    other.kind("error_event").await;
    let order = json!({ "server_id": "bird", "action": "start" });
    let last = other.run.command("control_mcp_server", order).await.last().clone();
    let message = last["message"].as_str().unwrap();
    assert!(message.contains("the variable NOBODY_HAS_SET_THIS is not set here"), "{last}");
    assert!(!last.to_string().contains("source.mcp.spawn"), "{last}");
}
