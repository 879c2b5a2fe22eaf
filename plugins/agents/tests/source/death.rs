//! Agents whose process ends.

use crate::world::{Program, World, claude};
use headwater_testkit::prelude::*;

#[tokio::test]
async fn a_killed_agent_is_told_with_its_open_task() {
    let mut program = Program::new();
    let mut world = World::new(json!({})).await;
    world.hook_from("claude", claude("s", "SessionStart", json!({ "source": "startup" })), program.place()).await;
    world.hook_from("claude", claude("s", "UserPromptSubmit", json!({ "prompt_id": "p" })), program.place()).await;
    world.next("task_started").await;
    assert_eq!(world.agents().await[0]["pid"], program.pid());
    program.kill();
    let failed = world.next("task_failed").await;
    assert_eq!(
        (&failed.data["error"]["code"], &failed.data["retry_scheduled"]),
        (&json!("AGENT_EXITED"), &json!(false))
    );
    assert_eq!(failed.evidence, Some(Evidence::Observed));
    let removed = world.next("agent_removed").await;
    assert_eq!(removed.data["reason"], "process_exited");
    let alert = world.next("system_alert").await;
    assert_eq!((alert.severity, &alert.data["details"]["error"]), (Some(Severity::Warning), &json!("AGENT_EXITED")));
    // Late clients do not see them any more.
    let forgotten = |event: &TestEvent| event.forgets.as_deref() == Some("claude:s:p");
    world.run.next_event_where("the end of the task's snapshot", forgotten).await;
    assert_eq!(world.run.snapshot("agent", "claude:s"), None);
    assert_eq!(world.run.snapshot("task", "claude:s:p"), None);
    let dead = world.agents().await.remove(0);
    assert_eq!((&dead["status"], &dead["reason"]), (&json!("dead"), &json!("process_exited")));
}

/// A hook of a container carries ids that mean other processes here, or none.
#[tokio::test]
async fn a_process_that_is_not_of_this_machine_is_not_taken_for_dead() {
    let mut world = World::new(json!({})).await;
    let foreign = json!({ "processes": [{ "pid": 1, "started": 1, "name": "claude" }], "tmux": { "pane": "%1" } });
    world.hook_from("claude", claude("s", "SessionStart", json!({})), foreign).await;
    world.next("agent_created").await;
    let agent = world.agents().await.remove(0);
    assert_eq!((&agent["status"], agent.get("pid"), agent.get("pane")), (&json!("idle"), None, None));
}

/// An id that is used again must not keep a dead agent alive.
#[tokio::test]
async fn an_agent_whose_process_id_means_another_process_has_died() {
    let program = Program::new();
    let mut place = program.place();
    place["processes"][0]["started"] = json!(place["processes"][0]["started"].as_u64().unwrap() - 1);
    let mut world = World::new(json!({})).await;
    world.hook_from("claude", claude("s", "SessionStart", json!({})), place).await;
    assert_eq!(world.next("agent_removed").await.data["reason"], "process_exited");
}

#[tokio::test]
async fn an_agent_whose_heartbeats_end_is_given_up() {
    let mut world = World::new(json!({ "heartbeat_deadline": "200ms" })).await;
    let settings = json!({ "id": "far", "name": "far away" });
    world.run.command("create_agent", settings).await.completed();
    world.run.command("report", json!({ "type": "heartbeat", "data": { "agent_id": "far" } })).await.completed();
    let removed = world.next("agent_removed").await;
    assert_eq!((&removed.data["reason"], removed.evidence), (&json!("heartbeat_lost"), Some(Evidence::Inferred)));
}
