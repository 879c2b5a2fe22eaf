//! Agents that live and die while the daemon is away: programs that are called like one and set a title, each started by the
//! command of its window.

use headwater_tests::{Daemon, Tmux, World, built, eventually};
use serde_json::Value;
use std::os::unix::fs::symlink;
use tokio::process::Command;

/// An agent in a window of its own; its pane. When it ends, its pane stays.
async fn agent(tmux: &Tmux, title: &str) -> String {
    let (program, script) = (tmux.path("claude"), tmux.path(title));
    if !program.exists() {
        let found = Command::new("sh").args(["-c", "command -v bash"]).output().await.unwrap();
        symlink(String::from_utf8(found.stdout).unwrap().trim(), &program).unwrap();
    }
    std::fs::write(&script, format!("printf '\\033]2;{title}\\007'\nread x\n")).unwrap();
    let line = format!("true && '{}' '{}'; cat", program.display(), script.display());
    tmux.run(&["new-window", "-d", "-P", "-F", "#{pane_id}", &line]).await
}

/// The agents of the list, by their pane, once the list is as wanted.
async fn listed(daemon: &Daemon, what: &str, wanted: impl Fn(&dyn Fn(&str) -> Option<Value>) -> bool) -> Vec<Value> {
    eventually(what, async || {
        let output = daemon.headwater(&["agents"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |pane: &str| all.iter().find(|agent| agent["pane"]["pane_id"] == pane).cloned();
        wanted(&of).then_some(all)
    })
    .await
}

fn is(agent: Option<&Value>, status: &str) -> bool {
    agent.is_some_and(|agent| agent["status"] == status)
}

async fn kill(agents: &[Value], pane: &str) {
    let agent = agents.iter().find(|agent| agent["pane"]["pane_id"] == pane).unwrap();
    assert!(Command::new("kill").args(["-9", &agent["pid"].to_string()]).status().await.unwrap().success(), "{agent}");
}

/// Harm prevented: after a restart the dead are listed as idle, with their pane's shell for their process, or not at all.
#[tokio::test]
async fn who_died_before_or_during_the_daemons_absence_is_dead_after_it() {
    let tmux = Tmux::start().await;
    let agents = built("libheadwater_plugin_agents.so");
    let mut daemon = World::new().tmux(&tmux, "").plugin("agents", &agents, "").start().await;
    daemon.source_is("agents", "up").await;
    let panes = [agent(&tmux, "✳ lives").await, agent(&tmux, "✳ before").await, agent(&tmux, "✳ during").await];
    let [lives, before, during] = panes.each_ref();
    let all = listed(&daemon, "all three rest", |of| panes.iter().all(|pane| is(of(pane).as_ref(), "idle"))).await;
    let pid = |all: &[Value]| all.iter().find(|agent| agent["pane"]["pane_id"] == *lives).unwrap()["pid"].clone();
    let shell = tmux.run(&["display-message", "-p", "-t", lives, "#{pane_pid}"]).await;
    assert_ne!(pid(&all).to_string(), shell, "the agent, and not the shell that started it");
    kill(&all, before).await;
    listed(&daemon, "the first is dead", |of| is(of(before).as_ref(), "dead")).await;

    daemon.signal("TERM").await;
    daemon.ended().await;
    kill(&all, during).await;
    let daemon = daemon.again().await;
    daemon.source_is("agents", "up").await;
    let after = listed(&daemon, "two are dead, and one rests", |of| {
        is(of(lives).as_ref(), "idle") && is(of(before).as_ref(), "dead") && is(of(during).as_ref(), "dead")
    })
    .await;
    assert_eq!((after.len(), pid(&after)), (3, pid(&all)), "{after:?}");
    // All that tmux told before has been read when something that it tells now is.
    let late = agent(&tmux, "✳ late").await;
    let last = listed(&daemon, "another one comes", |of| is(of(&late).as_ref(), "idle")).await;
    let living = last.iter().filter(|agent| agent["status"] != "dead").count();
    assert_eq!((last.len(), living), (4, 2), "{last:?}");
}
