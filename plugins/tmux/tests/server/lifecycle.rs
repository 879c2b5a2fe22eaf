//! Sessions, windows and panes of a real server: each change becomes an event with the right ids, told by the server itself.

use crate::world::{Server, next};
use headwater_testkit::prelude::*;
use std::{fs::OpenOptions, process::Command};

/// Without control clients: what hooks alone tell.
fn hooks_only() -> Value {
    json!({ "mode": "hooks" })
}

#[tokio::test]
async fn sessions_are_created_renamed_and_removed() {
    let server = Server::start();
    let mut run = server.watch(hooks_only()).await;
    server.tmux(&["new-session", "-d", "-s", "two", "-c", "/", "cat"]);
    let created = next(&mut run, "session.created").await;
    assert_eq!((created.channel.as_str(), created.evidence), ("tmux", Some(Evidence::Observed)));
    assert_eq!((&created.data["session"], &created.data["session_id"]), (&json!("two"), &json!("$1")));
    assert_eq!(created.data["session_info"], json!({ "attached": false }));
    assert_eq!((&created.data["windows"], &created.data["path"]), (&json!(1), &json!("/")));
    assert_eq!(created.data["server"]["pid"], server.pid());
    assert_eq!(created.attributes["session"], "$1");
    let window = next(&mut run, "window.created").await;
    assert_eq!((&window.data["session"], &window.data["window_id"]), (&json!("two"), &json!("@1")));
    let pane = next(&mut run, "pane.created").await;
    assert_eq!((&pane.data["pane_id"], &pane.data["window_id"]), (&json!("%1"), &json!("@1")));
    assert!(pane.data["pid"].is_u64());

    server.tmux(&["rename-session", "-t", "$1", "three"]);
    let renamed = next(&mut run, "session.renamed").await;
    assert_eq!((&renamed.data["old_name"], &renamed.data["new_name"]), (&json!("two"), &json!("three")));
    let key = |kind: &str, id: &str| format!("{kind}:{}:{id}", server.pid());
    let state = run.next_event_where("its state", |event| event.retained == Some(key("pane", "%1"))).await;
    assert_eq!(state.data["session"], "three", "also what a late subscriber is told of its panes");

    server.tmux(&["kill-session", "-t", "$1"]);
    let removed = next(&mut run, "session.removed").await;
    assert_eq!((&removed.data["session"], &removed.data["session_id"]), (&json!("three"), &json!("$1")));
    let forgotten = |event: &TestEvent| event.forgets == Some(key("window", "@1"));
    run.next_event_where("its window is forgotten", forgotten).await;
    assert_eq!(run.snapshot("tmux", &key("session", "$1")), None);
    assert!(run.snapshot("tmux", &key("session", "$0")).is_some());
    assert_eq!(run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn windows_are_created_activated_renamed_and_removed() {
    let server = Server::start();
    let mut run = server.watch(hooks_only()).await;
    server.tmux(&["new-window", "-d", "-t", "$0:", "-n", "agent", "cat"]);
    let created = next(&mut run, "window.created").await;
    assert_eq!((&created.data["window"], &created.data["window_id"]), (&json!(1), &json!("@1")));
    assert_eq!((&created.data["name"], &created.data["window_info"]), (&json!("agent"), &json!({ "name": "agent" })));
    server.tmux(&["select-window", "-t", "@1"]);
    let activated = next(&mut run, "window.activated").await;
    assert_eq!((&activated.data["window"], activated.evidence), (&json!(1), Some(Evidence::Observed)));
    server.tmux(&["rename-window", "-t", "@1", "reviewer"]);
    let renamed = next(&mut run, "window.renamed").await;
    assert_eq!((&renamed.data["old_name"], &renamed.data["new_name"]), (&json!("agent"), &json!("reviewer")));
    server.tmux(&["kill-window", "-t", "@1"]);
    let removed = next(&mut run, "window.removed").await;
    assert_eq!((&removed.data["window_id"], removed.attributes["window"].as_str()), (&json!("@1"), "@1"));
    assert_eq!(next(&mut run, "window.activated").await.data["window_id"], "@0");
}

#[tokio::test]
async fn panes_are_split_titled_and_killed() {
    let server = Server::start();
    let mut run = server.watch(hooks_only()).await;
    server.tmux(&["split-window", "-t", "%0", "cat"]);
    let created = next(&mut run, "pane.created").await;
    assert_eq!((&created.data["pane_id"], &created.data["pane"]), (&json!("%1"), &json!(1)));
    assert_eq!(created.attributes["pane"], "%1");
    server.tmux(&["select-pane", "-t", "%1", "-T", "✳ waiting"]);
    let title = next(&mut run, "pane.title").await;
    assert_eq!((&title.data["pane_id"], &title.data["title"]), (&json!("%1"), &json!("✳ waiting")));
    server.tmux(&["kill-pane", "-t", "%1"]);
    // tmux takes the pane away at once, and its process ends when it hears of that.
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let end = |event: &TestEvent| ["pane.exited", "pane.removed"].contains(&event.kind.as_str());
        let event = run.next_event_where("the end of the pane and of its process", end).await;
        assert_eq!(event.data["pane_id"], "%1");
        assert!(event.data.get("exit_status").is_none());
        ends.push(event.kind);
    }
    ends.sort();
    assert_eq!(ends, ["pane.exited", "pane.removed"]);
}

#[tokio::test]
async fn a_user_who_attaches_is_told_and_alerts_are() {
    let server = Server::start();
    let mut run = server.watch(hooks_only()).await;
    server.tmux(&["new-window", "-d", "-t", "$0:", "-n", "noisy", "cat"]);
    next(&mut run, "window.created").await;
    let mut user = server.user("$0");
    let attached = next(&mut run, "session.attached").await;
    assert_eq!((&attached.data["session"], &attached.data["clients"]), (&json!("main"), &json!(1)));
    // Its line is echoed, and the BEL with it.
    server.tmux(&["send-keys", "-t", "%1", "-H", "07", "0d"]);
    let bell = next(&mut run, "pane.bell").await;
    assert_eq!((&bell.data["window_id"], &bell.data["pane_id"]), (&json!("@1"), &json!("%1")));
    server.tmux(&["set-option", "-w", "-t", "@1", "monitor-activity", "on"]);
    server.tmux(&["send-keys", "-t", "%1", "-H", "61"]);
    assert_eq!(next(&mut run, "pane.activity").await.data["pane_id"], "%1");
    server.tmux(&["set-option", "-w", "-t", "@1", "monitor-silence", "1"]);
    assert_eq!(next(&mut run, "pane.silence").await.data["window_id"], "@1");
    user.leave();
    let detached = next(&mut run, "session.detached").await;
    assert_eq!(detached.data["clients"], 0);
}

#[tokio::test]
async fn how_a_process_ended_is_told_where_the_pane_remains() {
    let server = Server::start();
    server.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    let mut run = server.watch(hooks_only()).await;
    for (script, field, value) in [("exit 42", "exit_status", 42), ("kill -9 $$", "signal", 9)] {
        server.tmux(&["new-window", "-d", "-t", "$0:", &format!("read x; {script}")]);
        let pane = next(&mut run, "pane.created").await.data["pane_id"].as_str().unwrap().to_owned();
        server.tmux(&["send-keys", "-t", &pane, "-H", "0d"]);
        let exited = next(&mut run, "pane.exited").await;
        assert_eq!((&exited.data["pane_id"], &exited.data[field]), (&json!(pane), &json!(value)));
        assert_eq!(exited.severity, Some(Severity::Warning));
        let dead = |event: &TestEvent| event.kind == "pane.state" && event.data["dead"] == true;
        let state = run.next_event_where("a dead pane", dead).await;
        assert_eq!((&state.data["pane_id"], &state.data[field]), (&json!(pane), &json!(value)));
    }
}

#[tokio::test]
async fn the_command_list_shows_the_tree() {
    let server = Server::start();
    let mut run = server.watch(hooks_only()).await;
    let list = run.command("list", json!({})).await.completed();
    let windows = &list["sessions"][0]["windows"];
    assert_eq!((&list["sessions"][0]["session"], &windows[0]["window_id"]), (&json!("main"), &json!("@0")));
    assert_eq!((&windows[0]["panes"][0]["pane_id"], &windows[0]["active"]), (&json!("%0"), &json!(true)));
    let status = run.command("status", json!({})).await.completed();
    assert_eq!((&status["mode"], &status["panes"]), (&json!("hooks"), &json!(1)));
    assert_eq!(status["server"]["pid"], server.pid());
}

/// tmux sees the terminal close first and asks how the process ended then. What the kernel has said meanwhile holds.
#[tokio::test]
async fn a_dead_pane_of_which_tmux_does_not_say_how_is_told_with_what_the_kernel_said() {
    let server = Server::start();
    server.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    let fifo = server.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // As in the moment before it has asked.
    let asking = "case \" $* \" in *\" list-clients \"*) tmux \"$@\" | sed 's/ 1 2:42 0: / 1 0: 0: /'; exit ;; esac";
    let mut run = server.watch(json!({ "mode": "hooks", "tmux": server.tmux_after(asking) })).await;
    server.tmux(&["new-window", "-d", "-t", "$0:", &format!("cat '{}'; exit 42", fifo.display())]);
    next(&mut run, "pane.created").await;
    // A parent that stands still asks nothing: the kernel keeps what it knows.
    let pid = server.pid().to_string();
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, pid.as_str()]).status().unwrap().success());
    signal("-STOP");
    drop(OpenOptions::new().write(true).open(&fifo).unwrap());
    let exited = next(&mut run, "pane.exited").await;
    signal("-CONT");
    assert_eq!((&exited.data["pane_id"], &exited.data["exit_status"]), (&json!("%1"), &json!(42)));
    let dead = |event: &TestEvent| event.kind == "pane.state" && event.data["dead"] == true;
    let state = run.next_event_where("a dead pane", dead).await;
    assert_eq!((&state.data["pane_id"], &state.data["exit_status"]), (&json!("%1"), &json!(42)));
}

/// Without its terminal a process may take its time, and nobody waits for it: the next server may be there by then.
#[tokio::test]
async fn a_process_that_ends_after_its_server_is_told() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let fifo = server.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let stays = format!("trap '' HUP; tmux wait-for -S stays; cat '{}'", fifo.display());
    server.tmux(&["new-window", "-d", "-t", "$0:", &stays]);
    next(&mut run, "pane.created").await;
    server.tmux(&["wait-for", "stays"]);
    let first = server.pid();
    server.tmux(&["kill-server"]);
    next(&mut run, "tmux.mode").await;
    server.begin();
    next(&mut run, "session.created").await;
    drop(OpenOptions::new().write(true).open(&fifo).unwrap());
    let its_end = |event: &TestEvent| event.kind == "pane.exited" && event.data["pane_id"] == "%1";
    let exited = run.next_event_where("its end", its_end).await;
    assert_eq!((&exited.data["server"]["pid"], exited.evidence), (&json!(first), Some(Evidence::Observed)));
}
