//! Agents in panes.

use crate::world::{World, claude};
use headwater_testkit::prelude::*;

fn status(status: &str, previous: &str) -> Value {
    json!({
        "status": status, "previous": previous, "agent": "claude", "agent_type": "CLAUDE_AGENT", "pane_id": "%3",
        "session": "work", "session_id": "$1", "window": 2, "window_id": "@2", "pane": 0,
        "server": { "pid": 4242, "started": 1, "socket": "/run/tmux/default" }, "evidence_from": "title", "rule": "idle",
    })
}

fn in_pane() -> Value {
    json!({ "tmux": { "pane": "%3", "server": "/run/tmux/default,4242,0" } })
}

/// On Esc no hook fires, but the title turns idle.
#[tokio::test]
async fn an_agent_known_by_hooks_and_seen_in_a_pane_is_one_and_its_interruption_is_inferred() {
    let mut world = World::new(json!({ "settle": "50ms" })).await;
    world.tmux("agent.status", status("idle", "unknown")).await;
    let seen = world.next("agent_created").await;
    assert_eq!((&seen.data["agent"]["id"], seen.evidence), (&json!("pane:4242:%3"), Some(Evidence::Inferred)));
    world.hook_from("claude", claude("s", "SessionStart", json!({})), in_pane()).await;
    world.hook_from("claude", claude("s", "UserPromptSubmit", json!({ "prompt_id": "p" })), in_pane()).await;
    assert_eq!(world.next("task_started").await.data["agent_id"], "pane:4242:%3");
    world.tmux("agent.status", status("busy", "idle")).await;
    world.tmux("agent.status", status("idle", "busy")).await;
    let cancelled = world.next("task_cancelled").await;
    assert_eq!((&cancelled.data["reason"], cancelled.evidence), (&json!("interrupted"), Some(Evidence::Inferred)));
    let agents = world.agents().await;
    assert_eq!(agents.len(), 1, "{agents:?}");
    let pane = json!({ "session": "work", "window": 2, "pane_id": "%3", "server_pid": 4242 });
    assert_eq!((&agents[0]["pane"], &agents[0]["status"]), (&pane, &json!("idle")));
}

#[tokio::test]
async fn a_pane_that_is_closed_takes_an_agent_with_it_that_was_only_seen() {
    let mut world = World::new(json!({})).await;
    world.tmux("agent.status", status("waiting", "busy")).await;
    assert_eq!(world.next("agent_status_changed").await.data["new_status"], "waiting");
    world.tmux("pane.removed", status("", "")).await;
    assert_eq!(world.next("agent_removed").await.data["reason"], "pane_closed");
}
