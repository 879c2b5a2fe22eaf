//! Agents in panes.

use crate::world::{Program, World, claude, started};
use headwater_testkit::prelude::*;
use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

/// A tmux server of the test's own, with one pane in which a program runs.
struct Tmux(String);

impl Tmux {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let tmux = Self(format!("hw-test-agents-{}-{count}", std::process::id()));
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "tmux wait-for -S up; exec sleep 600"]);
        // Before its program runs, a pane has no foreground.
        tmux.run(&["wait-for", "up"]);
        tmux
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.0]).args(arguments).env_remove("TMUX").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.0, "kill-server"]).output();
    }
}

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

#[tokio::test]
async fn an_agent_that_is_only_seen_is_watched_by_the_process_in_its_pane() {
    let tmux = Tmux::new();
    let pid: u32 = tmux.run(&["list-panes", "-a", "-F", "#{pane_pid}"]).parse().unwrap();
    let server: u32 = tmux.run(&["display-message", "-p", "#{pid}"]).parse().unwrap();
    let mut world = World::new(json!({})).await;
    let mut pane = status("busy", "unknown");
    (pane["agent_pid"], pane["agent_started"]) = (json!(pid), json!(started(pid)));
    pane["server"]["pid"] = json!(server);
    world.tmux("agent.status", pane).await;
    world.next("agent_status_changed").await;
    assert_eq!(world.agents().await[0]["pid"], pid);
    tmux.run(&["kill-server"]);
    assert_eq!(world.next("agent_removed").await.data["reason"], "process_exited");
}

/// A server that is killed tells nothing, and the daemon may be away at that time.
#[tokio::test]
async fn an_agent_whose_tmux_server_ended_meanwhile_is_gone_after_a_restart() {
    let mut world = World::new(json!({})).await;
    world.tmux("agent.status", status("busy", "unknown")).await;
    let state = world.run.next_event_where("a snapshot", |event| event.kind == "agent_state").await;
    let mut world = World::after(json!({}), std::slice::from_ref(&state)).await;
    assert_eq!(world.next("agent_removed").await.data["reason"], "pane_closed");
}

/// Nobody tells of the end of an agent that dies while the daemon is away. What was seen of it before brought it back to life,
/// with the pane's shell for its process.
#[tokio::test]
async fn an_agent_that_died_meanwhile_does_not_come_back_by_what_was_seen_before() {
    let (tmux, alive, dead) = (Tmux::new(), Program::new(), Program::new());
    let server: u32 = tmux.run(&["display-message", "-p", "#{pid}"]).parse().unwrap();
    let in_pane = |id: &str, program: &Program| {
        let mut pane = status("idle", "unknown");
        (pane["pane_id"], pane["server"]["pid"]) = (json!(id), json!(server));
        (pane["agent_pid"], pane["agent_started"]) = (json!(program.pid()), json!(started(program.pid())));
        pane
    };
    let before = [in_pane("%0", &dead), in_pane("%1", &alive)];
    dead.end();
    let mut world = World::new(json!({})).await;
    let long_ago = SystemTime::now() - Duration::from_mins(1);
    for pane in before {
        world.run.deliver(BusEvent::new("tmux", "agent.status", &pane).time(long_ago)).await;
    }
    let seen = world.next("agent_created").await;
    assert_eq!(seen.data["agent"]["id"], format!("pane:{server}:%1"));
    let agents = world.agents().await;
    assert_eq!(agents.iter().map(|agent| agent["pid"].clone()).collect::<Vec<_>>(), [json!(alive.pid())]);
}
