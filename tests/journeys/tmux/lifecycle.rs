//! One journey for each thing that tmux can tell.

use super::{Scene, ids};
use serde_json::json;

#[tokio::test]
async fn a_session_comes_and_goes() {
    let mut scene = Scene::of("").await;
    scene.run(&["new-session", "-d", "-s", "work", "-c", "/", "cat"]).await;
    let created = scene.next_with("session.created", "session", "work").await;
    assert_eq!((ids(&created).as_str(), &created["evidence"]), ("$1", &json!("observed")));
    assert_eq!(created["data"]["server"]["pid"], scene.tmux.pid().await);
    assert_eq!((&created["data"]["windows"], &created["data"]["path"]), (&json!(1), &json!("/")));
    assert_eq!(ids(&scene.next("window.created").await), "$1 @1");
    assert_eq!(ids(&scene.next("pane.created").await), "$1 @1 %1");
    scene.run(&["kill-session", "-t", "$1"]).await;
    let removed = scene.next("session.removed").await;
    assert_eq!((ids(&removed).as_str(), &removed["data"]["session"]), ("$1", &json!("work")));
    assert_eq!(removed["evidence"], "observed");
}

#[tokio::test]
async fn a_session_is_renamed() {
    let mut scene = Scene::of("").await;
    scene.run(&["rename-session", "-t", "$0", "work"]).await;
    let renamed = scene.next("session.renamed").await;
    assert_eq!((ids(&renamed).as_str(), &renamed["evidence"]), ("$0", &json!("observed")));
    assert_eq!((&renamed["data"]["old_name"], &renamed["data"]["new_name"]), (&json!("main"), &json!("work")));
}

#[tokio::test]
async fn a_window_comes_and_goes() {
    let mut scene = Scene::of("").await;
    scene.run(&["new-window", "-d", "-t", "$0:", "-n", "agent", "cat"]).await;
    let created = scene.next_with("window.created", "name", "agent").await;
    assert_eq!((ids(&created).as_str(), &created["data"]["window"]), ("$0 @1", &json!(1)));
    assert_eq!(ids(&scene.next("pane.created").await), "$0 @1 %1");
    scene.run(&["kill-window", "-t", "@1"]).await;
    let removed = scene.next("window.removed").await;
    assert_eq!((ids(&removed).as_str(), &removed["evidence"]), ("$0 @1", &json!("observed")));
}

#[tokio::test]
async fn a_window_is_renamed() {
    let mut scene = Scene::of("").await;
    scene.run(&["rename-window", "-t", "@0", "agent"]).await;
    let renamed = scene.next_with("window.renamed", "new_name", "agent").await;
    assert_eq!((ids(&renamed).as_str(), &renamed["data"]["old_name"]), ("$0 @0", &json!("first")));
}

#[tokio::test]
async fn another_window_becomes_the_current_one() {
    let mut scene = Scene::of("").await;
    scene.run(&["new-window", "-d", "-t", "$0:", "cat"]).await;
    scene.next_with("window.created", "window", 1).await;
    scene.run(&["select-window", "-t", "@1"]).await;
    let activated = scene.next("window.activated").await;
    assert_eq!((ids(&activated).as_str(), &activated["data"]["window"]), ("$0 @1", &json!(1)));
    assert_eq!(activated["evidence"], "observed");
}

#[tokio::test]
async fn a_pane_is_split_off_and_closed() {
    let mut scene = Scene::of("").await;
    scene.run(&["split-window", "-d", "-t", "%0", "cat"]).await;
    let created = scene.next_with("pane.created", "pane", 1).await;
    assert_eq!((ids(&created).as_str(), &created["evidence"]), ("$0 @0 %1", &json!("observed")));
    scene.run(&["kill-pane", "-t", "%1"]).await;
    let removed = scene.next("pane.removed").await;
    assert_eq!((ids(&removed).as_str(), &removed["evidence"]), ("$0 @0 %1", &json!("observed")));
}

/// Which pane is active is a state, which the window's snapshot has.
#[tokio::test]
async fn another_pane_becomes_the_active_one() {
    let mut scene = Scene::of("").await;
    scene.run(&["split-window", "-d", "-t", "%0", "cat"]).await;
    scene.next_with("pane.created", "pane", 1).await;
    scene.run(&["select-pane", "-t", "%1"]).await;
    let state = scene.next_with("window.state", "active_pane", "%1").await;
    assert_eq!((ids(&state).as_str(), &state["data"]["panes"]), ("$0 @0", &json!(["%0", "%1"])));
}

/// tmux's own hook has no status; the kernel has.
#[tokio::test]
async fn a_pane_exits_with_a_status_or_a_signal() {
    let mut scene = Scene::of("").await;
    scene.run(&["set-option", "-g", "remain-on-exit", "on"]).await;
    for (script, field, value, pane) in [("exit 42", "exit_status", 42, "%1"), ("kill -9 $$", "signal", 9, "%2")] {
        scene.run(&["split-window", "-d", "-t", "%0", &format!("read x; {script}")]).await;
        scene.next_with("pane.created", "pane_id", pane).await;
        scene.tmux.types(pane, b"\r").await;
        let exited = scene.next("pane.exited").await;
        assert_eq!((ids(&exited), &exited["data"][field]), (format!("$0 @0 {pane}"), &json!(value)), "{exited}");
        assert_eq!((&exited["severity"], &exited["evidence"]), (&json!("warning"), &json!("observed")));
    }
}

#[tokio::test]
async fn a_pane_gets_a_title() {
    let mut scene = Scene::of("").await;
    scene.tmux.types("%0", "\x1b]2;✳ ready\x07\r".as_bytes()).await;
    let title = scene.next_with("pane.title", "title", "✳ ready").await;
    assert_eq!((ids(&title).as_str(), &title["evidence"]), ("$0 @0 %0", &json!("observed")));
}

#[tokio::test]
async fn a_bell_rings() {
    let mut scene = Scene::of("").await;
    scene.run(&["new-window", "-d", "-t", "$0:", "cat"]).await;
    scene.next_with("pane.created", "pane_id", "%1").await;
    scene.tmux.types("%1", b"\x07\r").await;
    let bell = scene.next("pane.bell").await;
    assert_eq!((ids(&bell).as_str(), &bell["evidence"]), ("$0 @1 %1", &json!("observed")));
}

#[tokio::test]
async fn a_window_is_active_and_then_silent() {
    let mut scene = Scene::of("").await;
    scene.run(&["new-window", "-d", "-t", "$0:", "cat"]).await;
    scene.next_with("pane.created", "pane_id", "%1").await;
    scene.run(&["set-option", "-w", "-t", "@1", "monitor-activity", "on"]).await;
    scene.tmux.types("%1", b"a\r").await;
    assert_eq!(ids(&scene.next("pane.activity").await), "$0 @1 %1");
    scene.run(&["set-option", "-w", "-t", "@1", "monitor-silence", "1"]).await;
    assert_eq!(ids(&scene.next("pane.silence").await), "$0 @1 %1");
}

/// Clients of ours are none: the first that is told is the user.
#[tokio::test]
async fn somebody_attaches_and_detaches() {
    let mut scene = Scene::of("").await;
    let user = scene.tmux.user("$0").await;
    let attached = scene.next("session.attached").await;
    assert_eq!((ids(&attached).as_str(), &attached["data"]["clients"]), ("$0", &json!(1)));
    user.leaves().await;
    let detached = scene.next("session.detached").await;
    assert_eq!((ids(&detached).as_str(), &detached["data"]["clients"]), ("$0", &json!(0)));
}
