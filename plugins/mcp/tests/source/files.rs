//! Servers that clients' config files name: they are told, and nothing of them is executed until somebody allows it.

use crate::world::{World, python, sh};
use headwater_testkit::prelude::*;
use std::path::Path;

/// A server whose command leaves a trace.
fn canary(dir: &Path, name: &str) -> Value {
    sh(&format!("touch {}; exec python3 {}", dir.join(name).display(), crate::world::fixture()))
}

#[tokio::test]
async fn a_command_in_a_file_is_executed_only_when_it_was_allowed_as_it_stands() {
    // First, nothing is allowed.
    let mut world = World::new();
    let first = canary(world.dir.path(), "sung");
    world.write(&json!({ "bird": first }));
    let found = world.kind("mcp_server_discovered").await;
    let entry = found.data["servers_found"][0].clone();
    assert_eq!((found.data["source"].as_str(), entry["spawn"].as_str()), (Some("mcp_json"), Some("not_allowed")));
    assert_eq!(found.data["config_file"], world.path(".mcp.json").to_str().unwrap());
    let state = world.state("its state", |state| state["server_name"] == "bird").await;
    assert_eq!(
        (&state["status"], &state["hash"], &state["owned"]),
        (&json!("discovered"), &entry["hash"], &json!(false))
    );
    assert_eq!(state["evidence_level"], Value::Null, "nothing is known of it");
    // Two further looks at everything later it still has not run.
    for name in ["one", "two"] {
        world.write(&json!({ "bird": first, name: { "command": "true" } }));
        world.state("a further look", |state| state["server_name"] == name).await;
    }
    assert!(!world.path("sung").exists(), "it was executed");
    drop(world.run);

    // Then it is allowed, by its hash.
    let dir = world.dir;
    std::fs::write(dir.path().join(".mcp.json"), json!({ "mcpServers": { "bird": first } }).to_string()).unwrap();
    let pinned = |id: &Value| json!({ id.as_str().unwrap(): entry["hash"] });
    let project = dir.path().to_owned();
    let mut world = World::with(
        |_| json!({ "spawn": pinned(&entry["server_id"]), "discovery": { "home": "", "projects": [project] } }),
    );
    world.becomes("active").await;
    assert!(dir.path().join("sung").exists());

    // Then its text is another one: what was allowed was something else.
    let second = canary(dir.path(), "sung twice");
    std::fs::write(dir.path().join(".mcp.json"), json!({ "mcpServers": { "bird": second } }).to_string()).unwrap();
    world.becomes("stopped").await;
    let error = world.kind("error_event").await;
    assert_eq!(error.data["error_type"], "changed_since_allowed");
    assert_eq!(error.data["details"]["allowed_hash"], entry["hash"]);
    let state = world.state("its state", |state| state["spawn"] == "changed_since_allowed").await;
    assert_ne!(state["hash"], entry["hash"]);
    world.run.heartbeat().await;
    assert!(!dir.path().join("sung twice").exists() && !dir.path().join("sung").join("twice").exists());
}

#[tokio::test]
async fn what_no_file_names_any_more_is_forgotten() {
    let mut world = World::new();
    world.write(&json!({ "a": python(&[]), "b": python(&["--tools", "1"]) }));
    let state = world.state("b", |state| state["server_name"] == "b").await;
    let id = state["server_id"].as_str().unwrap().to_owned();
    assert!(world.run.snapshot("mcp_servers", &id).is_some());
    world.write(&json!({ "a": python(&[]) }));
    world.next("b is forgotten", |event| event.forgets.as_deref() == Some(&id)).await;
    assert!(world.run.snapshot("mcp_servers", &id).is_none());
    assert_eq!(world.ask("list_mcp_servers", json!({})).await["servers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_is_told_without_its_text() {
    let mut world = World::new();
    std::fs::write(world.path(".mcp.json"), r#"{"mcpServers": {"a": {"env": {"KEY": "s3cret""#).unwrap();
    let error = world.kind("error_event").await;
    assert_eq!(error.data["error_type"], "config_not_understood");
    assert_eq!(error.data["details"]["config_file"], world.path(".mcp.json").to_str().unwrap());
    assert!(!format!("{error:?} {:?}", world.run.log()).contains("s3cret"));
}

/// The states that an earlier life left must not be told for ever.
#[tokio::test]
async fn what_was_left_and_is_not_there_is_taken_away() {
    let mut world = World::new();
    world.run.subscribed(4).await;
    let mark = world.kind("mcp_source.opened").await;
    for id in ["ghost", "one"] {
        let left = BusEvent::new("mcp_servers", "mcp_server_state", &json!({ "server_id": id })).key(id);
        world.run.deliver(left).await;
    }
    world.run.deliver(BusEvent::new("mcp_servers", &mark.kind, &mark.data)).await;
    world.next("the ghost is gone", |event| event.forgets.as_deref() == Some("ghost")).await;
}
