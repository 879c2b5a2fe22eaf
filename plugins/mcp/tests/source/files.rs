//! Servers that clients' config files name: they are told, and nothing of them is executed until somebody allows it.

use crate::world::{Program, World, python, sh};
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
    let line = format!("{} = {}", entry["server_id"], entry["hash"]);
    assert_eq!(state["spawn_line"], line, "what would allow it, to be pasted");
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
    let state = world.ask("get_mcp_server", json!({ "server_id": "bird" })).await;
    assert_eq!((&state["spawn"], state.get("spawn_line")), (&json!("allowed"), None));

    // Then its text is another one: what was allowed was something else.
    let second = canary(dir.path(), "sung_again");
    let write = |servers: Value| {
        let (new, file) = (dir.path().join("new"), dir.path().join(".mcp.json"));
        std::fs::write(&new, json!({ "mcpServers": servers }).to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    };
    write(json!({ "bird": second }));
    assert_eq!(world.becomes("stopped").await.data["details"]["reason"], "its entry changed", "nobody asked for it");
    let error = world.kind("error_event").await;
    assert_eq!(error.data["error_type"], "changed_since_allowed");
    assert_eq!(error.data["details"]["allowed_hash"], entry["hash"]);
    let state = world.state("its state", |state| state["spawn"] == "changed_since_allowed").await;
    assert_ne!(state["hash"], entry["hash"]);
    // Two further looks later it still has not run, nor at the end of the source.
    for name in ["one", "two"] {
        write(json!({ "bird": second, name: { "command": "true" } }));
        world.state("a further look", |state| state["server_name"] == name).await;
    }
    assert_eq!(world.run.stop().await, Outcome::Stopped);
    assert!(!dir.path().join("sung_again").exists(), "it was executed");
    // It would have left a trace: as it is allowed now, it does.
    let project = dir.path().to_owned();
    let allowed = json!({ entry["server_id"].as_str().unwrap(): state["hash"] });
    let mut world = World::with(|_| json!({ "spawn": allowed, "discovery": { "home": "", "projects": [project] } }));
    world.becomes("active").await;
    assert!(dir.path().join("sung_again").exists());
}

/// Harm prevented: a word in a description ended a server in the middle of its work.
#[tokio::test]
async fn another_description_is_no_reason_to_start_a_server_anew() {
    let mut world = World::new();
    world.write(&json!({ "bird": python(&[]) }));
    let found = world.kind("mcp_server_discovered").await.data["servers_found"][0].clone();
    let (project, allowed) = (world.dir.path().to_owned(), json!({ "bird": found["hash"] }));
    let mut other = World::with(|_| json!({ "spawn": allowed, "discovery": { "home": "", "projects": [project] } }));
    let state = other.state("it runs", |state| state["pid"].is_number() && state["tools"] == 2).await;
    let mut described = python(&[]);
    described["description"] = json!("sings");
    world.write(&json!({ "bird": described, "second": { "command": "true" } }));
    other.state("the change was read", |state| state["server_name"] == "second").await;
    let now = other.ask("get_mcp_server", json!({ "server_id": "bird" })).await;
    assert_eq!((&now["pid"], &now["status"]), (&state["pid"], &json!("active")));
}

/// Harm prevented: what was known of a running server was lost when its entry was moved or mistyped for a moment.
#[tokio::test]
async fn an_entry_that_goes_and_comes_back_finds_its_server_as_it_is() {
    let mut world = World::new();
    let wrapper = Program::sleeping();
    world.write(&json!({ "memory": { "command": "true" } }));
    let id = world.state("memory", |state| state["server_name"] == "memory").await["server_id"].clone();
    let session = json!({ "server": "memory", "wrapper": wrapper.id(), "state": "started" });
    world.run.subscribed(4).await;
    world.run.deliver(BusEvent::new("mcp_traffic", "mcp.session", &session)).await;
    assert_eq!(world.becomes("active").await.data["server_id"], id);
    world.write(&json!({ "other": { "command": "true" } }));
    world.state("no origin", |state| state["server_id"] == id && state.get("origin").is_none()).await;
    world.write(&json!({ "memory": { "command": "true" } }));
    let back = world.state("an origin", |state| state["server_id"] == id && state.get("origin").is_some()).await;
    assert_eq!((&back["status"], &back["evidence_level"]), (&json!("active"), &json!("wrapped")));
}

/// Harm prevented: who looked why a server had stopped looked for somebody who had asked for it.
#[tokio::test]
async fn an_entry_that_goes_is_why_its_server_stops() {
    let mut world = World::new();
    world.write(&json!({ "bird": python(&[]) }));
    let found = world.kind("mcp_server_discovered").await.data["servers_found"][0].clone();
    let (project, allowed) = (world.dir.path().to_owned(), json!({ "bird": found["hash"] }));
    let mut other = World::with(|_| json!({ "spawn": allowed, "discovery": { "home": "", "projects": [project] } }));
    other.becomes("active").await;
    world.write(&json!({}));
    let told = other.becomes("stopped").await;
    assert_eq!(told.data["details"]["reason"], "its entry is gone, or is not understood any more");
    assert_eq!(told.severity, Some(Severity::Info));
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

/// Harm prevented: a slip in what is allowed said nothing, or that an entry had been changed which nobody had touched.
#[tokio::test]
async fn what_is_allowed_and_fits_nothing_is_told() {
    let mut world = World::new();
    world.write(&json!({ "bird": python(&[]) }));
    let found = world.kind("mcp_server_discovered").await.data["servers_found"][0].clone();
    let other = format!("sha256:{}", "0".repeat(64));
    let allowed = json!({ "bird": other, "bird@00000000": found["hash"], "cat": found["hash"] });
    let project = world.dir.path().to_owned();
    let mut world = World::with(|_| json!({ "spawn": allowed, "discovery": { "home": "", "projects": [project] } }));
    let mut told = Vec::new();
    for _ in 0..3 {
        let error = world.kind("error_event").await.data;
        told.push((error["error_type"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned()));
    }
    let (id, hash) = (found["server_id"].as_str().unwrap(), found["hash"].as_str().unwrap());
    let unknown = |text: String| ("allowed_unknown".to_owned(), text);
    let changed = format!("MCP server bird: the hash that allows it does not fit: it is not started; now it is {hash}");
    assert_eq!(
        told,
        [
            ("changed_since_allowed".to_owned(), changed),
            unknown(format!(
                "[source.mcp.spawn] allows `bird@00000000`, and no config file names it; did you mean `{id}`?"
            )),
            unknown("[source.mcp.spawn] allows `cat`, and no config file names it".to_owned()),
        ]
    );
}
