//! Every event in its documented shape: types, bounds and times of what is there, and what must be there.

use crate::world::{Program, World, claude};
use headwater_testkit::prelude::*;
use std::collections::BTreeSet;

/// Fields that the documented shape always has and that are left out where they are not known: nothing is invented.
const UNKNOWN: [&str; 13] = [
    "task_created.task.description",
    "task_created.task.type",
    "task_created.task.priority",
    "task_created.task.required_capabilities[].min_proficiency",
    "agent_created.agent.type",
    "agent_created.agent.capabilities[].proficiency",
    "agent_created.agent.capabilities[].learning_rate",
    "agent_performance_updated.metrics.success_rate",
    "agent_performance_updated.metrics.average_response_time_ms",
    "agent_performance_updated.metrics.capability_improvements",
    "task_progress.progress",
    "task_cancelled.cancelled_by",
    "task_failed.error.message",
];

fn check(schema: &Value, value: &Value, place: &str) {
    match schema["type"].as_str().unwrap() {
        "object" => {
            let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
            for key in schema["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
                let path = format!("{place}.{key}");
                assert!(object.contains_key(key) || UNKNOWN.contains(&path.as_str()), "{path} is missing: {value}");
            }
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = object.get(key) {
                    check(schema, value, &format!("{place}.{key}"));
                }
            }
        }
        "array" => {
            let list = value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}"));
            for item in list {
                check(&schema["items"], item, &format!("{place}[]"));
            }
        }
        "string" => {
            let text = value.as_str().unwrap_or_else(|| panic!("{place} is no text: {value}"));
            if schema["format"] == "date-time" {
                assert!(text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z'), "{place} is no time: {text}");
            }
        }
        "boolean" => assert!(value.is_boolean(), "{place}: {value}"),
        kind => {
            let number = value.as_f64().unwrap_or_else(|| panic!("{place} is no number: {value}"));
            assert!(kind == "number" || value.is_u64() || value.is_i64(), "{place} is no whole number: {value}");
            assert!(schema["minimum"].as_f64().is_none_or(|least| number >= least), "{place}: {number}");
            assert!(schema["maximum"].as_f64().is_none_or(|most| number <= most), "{place}: {number}");
        }
    }
}

#[tokio::test]
async fn every_type_of_event_has_its_documented_shape() {
    let schemas: Value = serde_json::from_str(include_str!("hive_events.schemas.json")).unwrap();
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
    let examples: Value = serde_json::from_str(include_str!("hive_events.examples.json")).unwrap();
    for (kind, data) in examples.as_object().unwrap() {
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
            kind => check(&schemas[kind], &event.data, kind),
        }
        seen.insert(event.kind);
    }
    let all: BTreeSet<String> = schemas.as_object().unwrap().keys().cloned().collect();
    assert_eq!(seen, all, "each of the documented types was emitted");
}
