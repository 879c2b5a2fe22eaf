//! What emitters say, as events.

use crate::world::World;
use headwater_testkit::prelude::*;

/// The types that came, up to and with the last one that is named; those that only count or keep are left out.
async fn told(world: &mut World, last: &str) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let event = world.run.next_event().await;
        let kind = match event.kind.as_str() {
            "hive_status_update" | "agent_state" | "task_state" | "agent_performance_updated" => continue,
            "agent_status_changed" => format!("{} > {}", text(&event, "old_status"), text(&event, "new_status")),
            kind => kind.to_owned(),
        };
        let evidence = event.evidence.map(|evidence| format!("{evidence:?}").to_lowercase()).unwrap();
        let done = kind == last;
        told.push(if evidence == "observed" { kind } else { format!("{kind} ({evidence})") });
        if done {
            return told;
        }
    }
}

fn text<'a>(event: &'a TestEvent, key: &str) -> &'a str {
    event.data[key].as_str().unwrap()
}

/// Two turns of a real session, the second one left in the middle.
#[tokio::test]
async fn a_recorded_session_of_claude_code_becomes_its_events() {
    let mut world = World::new(json!({})).await;
    for line in include_str!("../fixtures/claude-code-hooks.jsonl").lines() {
        world.hook("claude", serde_json::from_str(line).unwrap()).await;
    }
    let expected = [
        "agent_created",
        "task_created",
        "task_assigned",
        "task_started",
        "idle > active",
        "task_progress",
        "task_progress",
        "task_completed",
        "active > idle",
        "task_created",
        "task_assigned",
        "task_started",
        "idle > active",
        "task_failed",
        "agent_removed",
    ];
    assert_eq!(told(&mut world, "agent_removed").await, expected);
    assert_eq!(world.run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn a_hook_that_nobody_understands_harms_nobody() {
    let mut world = World::new(json!({})).await;
    for payload in [json!(null), json!(7), json!("x"), json!({}), json!({ "hook_event_name": {}, "session_id": [] })] {
        world.hook("claude", payload).await;
    }
    world.hook("no_such_emitter", json!({ "a": 1 })).await;
    world.claude("s", "HookOfTomorrow", json!({})).await;
    world.claude("s", "UserPromptSubmit", json!({ "prompt_id": "p" })).await;
    assert_eq!(world.next("task_started").await.data["task_id"], "claude:s:p");
    world.run.heartbeat().await;
    let unknown = world.run.command("get_status", json!({})).await.completed()["counts"]["not_understood"].clone();
    assert_eq!(unknown["claude: HookOfTomorrow"], 1, "{unknown}");
}

#[tokio::test]
async fn a_client_that_reports_by_hook_is_met_halfway() {
    let mut world = World::new(json!({})).await;
    world
        .hook("report", json!({ "type": "task_completed", "task_id": "t", "agent_id": "a", "result": { "n": 3 } }))
        .await;
    let expected = [
        "task_created (inferred)",
        "agent_created (inferred)",
        "task_assigned (inferred)",
        "task_started (inferred)",
        "task_completed",
    ];
    assert_eq!(told(&mut world, "task_completed").await, expected);
}
