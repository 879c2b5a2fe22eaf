//! A command in somebody's file, which leaves a trace when it is executed.

use super::{
    Program, Scene, Word,
    program::{entry, scripted},
};
use headwater_tests::World;
use serde_json::{Value, json};
use std::fs;

/// server-memory, after it has left a trace with this name in the project.
fn canary(scene: &Scene, trace: &str) -> Value {
    let words = [vec![scene.path(trace).display().to_string()], Program::Memory.words(&scene.path("."))].concat();
    entry(&scripted("touch \"$1\"; shift; exec \"$@\"", &words))
}

/// The names of all traces.
fn traces(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with("sang"));
    names.sort();
    names
}

/// Waits until the file has been read again: a server that stands in it for the first time is told.
async fn another_look(scene: &mut Scene, bird: &Value, name: &str) {
    let idle = json!({ "command": "sh", "args": ["-c", "touch sang-idle"] });
    scene.servers(&json!({ "bird": bird, name: idle }));
    scene.until(&[(name, Word::Found)]).await;
}

#[tokio::test]
async fn a_command_of_a_file_is_executed_when_it_was_allowed_and_as_it_was_allowed() {
    let mut scene = Scene::new(World::new(), "interval = \"250ms\"\nhandshake = \"90s\"\nsweep = \"250ms\"").await;
    scene.part("");
    let first = canary(&scene, "sang-first");
    another_look(&mut scene, &first, "one").await;
    another_look(&mut scene, &first, "two").await;
    let nobody: &[&str] = &[];
    assert_eq!(traces(&scene), nobody, "nobody has allowed it");
    assert_eq!(scene.count(|event| event["type"] == "mcp_server_status_change"), 0);
    // Nor when somebody asks for it.
    let ask = r#"{"server_id": "bird", "action": "start"}"#;
    let asked = scene.daemon.headwater(&["command", "control_mcp_server", ask]).await;
    assert!(!asked.status.success());
    assert!(String::from_utf8_lossy(&asked.stderr).contains("not allowed to start it here"), "{asked:?}");
    assert_eq!(traces(&scene), nobody);

    scene.allow(&["bird"]).await;
    scene.until(&[("bird", Word::Is("active"))]).await;
    assert_eq!(traces(&scene), ["sang-first"]);

    // One word of it is another one: what was allowed is ended, and what stands there now is not begun.
    scene.part("");
    let second = canary(&scene, "sang-second");
    scene.servers(&json!({ "bird": second }));
    scene.until(&[("bird", Word::Is("stopped")), ("bird", Word::Error("changed_since_allowed"))]).await;
    another_look(&mut scene, &second, "three").await;
    another_look(&mut scene, &second, "four").await;
    assert_eq!(traces(&scene), ["sang-first"], "another text was allowed");
    let state = scene.state("bird", "it is told", |state| state["spawn"] == "changed_since_allowed").await;
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &Value::Null));
    // Nor does it begin with the source's next life.
    let before = scene.daemon.source_is("mcp", "up").await["generation"].clone();
    scene.daemon.post("/v1/sources/mcp/restart", "application/json", "").await;
    scene.part("");
    scene.until(&[("bird", Word::Found), ("bird", Word::Error("changed_since_allowed"))]).await;
    another_look(&mut scene, &second, "five").await;
    assert_ne!(scene.daemon.source_is("mcp", "up").await["generation"], before);
    assert_eq!(traces(&scene), ["sang-first"]);

    scene.part("");
    scene.allow(&["bird"]).await;
    scene.until(&[("bird", Word::Is("active"))]).await;
    assert_eq!(traces(&scene), ["sang-first", "sang-second"]);
    // As it was allowed at first it may not be started any more.
    scene.part("");
    scene.servers(&json!({ "bird": first }));
    fs::remove_file(scene.path("sang-first")).unwrap();
    scene.until(&[("bird", Word::Is("stopped")), ("bird", Word::Error("changed_since_allowed"))]).await;
    another_look(&mut scene, &first, "six").await;
    assert_eq!(traces(&scene), ["sang-second"]);
}
