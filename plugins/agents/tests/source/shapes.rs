//! Every event in its documented shape.

use crate::{
    schema::{check, documented, examples},
    world::{Program, World, claude},
};
use headwater_testkit::prelude::*;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_type_of_event_has_its_documented_shape() {
    let mut world = World::new(json!({ "settle": "1ms" })).await;
    let program = Program::new();
    for line in include_str!("../fixtures/claude-code-hooks.jsonl").lines() {
        world.hook("claude", serde_json::from_str(line).unwrap()).await;
    }
    world.hook_from("claude", claude("dies", "SessionStart", json!({})), program.place()).await;
    let prompt = claude("dies", "UserPromptSubmit", json!({ "prompt_id": "p" }));
    world.hook_from("claude", prompt, program.place()).await;
    world.claude("s", "UserPromptSubmit", json!({ "prompt_id": "one" })).await;
    world.claude("s", "UserPromptSubmit", json!({ "prompt_id": "two" })).await;
    world.claude("s", "StopFailure", json!({ "prompt_id": "two", "error": "rate_limit" })).await;
    let capabilities = json!([{ "name": "sql", "proficiency": 0.85 }, { "name": "go" }]);
    world.run.command("create_agent", json!({ "id": "a", "capabilities": capabilities })).await.completed();
    let requires = json!([{ "name": "sql", "min_proficiency": 0.5 }]);
    world.run.command("create_task", json!({ "id": "t", "required_capabilities": requires })).await.completed();
    for (kind, data) in [
        ("task_started", json!({ "task_id": "t" })),
        ("task_progress", json!({ "task_id": "t", "progress": 0.75, "current_step": "batch 3/4" })),
        ("task_failed", json!({ "task_id": "t", "error": { "code": "X", "message": "m" }, "retry_scheduled": false })),
    ] {
        world.run.command("report", json!({ "type": kind, "data": data })).await.completed();
    }
    // What only clients know is passed on as they say it: the documented examples.
    for (kind, data) in examples().as_object().unwrap() {
        world.run.command("report", json!({ "type": kind, "data": data })).await.completed();
    }
    let removed = |event: &TestEvent| event.kind == "agent_removed" && event.data["agent_id"] == "claude:dies";
    program.end();
    let mut seen = BTreeSet::new();
    let mut last = false;
    while !last || !seen.contains("hive_status_update") || !seen.contains("task_completed") {
        let event = world.run.next_event().await;
        last = last || removed(&event);
        // What takes a snapshot away has no data and nothing to prove.
        assert!(event.evidence.is_some() || event.forgets.is_some(), "{} does not say its evidence", event.kind);
        match event.kind.as_str() {
            "agent_state" | "task_state" | "registry.opened" => continue,
            kind => check(kind, &event.data),
        }
        seen.insert(event.kind);
    }
    let all: BTreeSet<String> = documented().as_object().unwrap().keys().cloned().collect();
    assert_eq!(seen, all, "each of the documented types was emitted");
}
