//! A daemon that is killed with `SIGKILL` takes nothing of the user's with it and leaves nothing that does harm.

use super::{Scene, is_watched, listener};
use headwater_tests::{Tmux, eventually};
use std::{fs, os::unix::fs::FileTypeExt, path::PathBuf};

/// What a user has set: a hook at the first index, one at an index of their own, and one that shows that it runs.
async fn set_hooks_of_a_user(tmux: &Tmux) {
    tmux.run(&["set-hook", "-g", "session-created", "display-message hello"]).await;
    tmux.run(&["set-hook", "-g", "window-linked[7]", "display-message linked"]).await;
    tmux.run(&["set-hook", "-g", "window-renamed", "set-option -g @renamed yes"]).await;
}

fn is_ours(hook: &str) -> bool {
    hook.contains("headwater")
}

/// The FIFOs of ours in the world.
fn fifos(scene: &Scene) -> Vec<PathBuf> {
    let files = fs::read_dir(scene.daemon.path("run")).unwrap().map(|file| file.unwrap());
    files.filter(|file| file.file_type().unwrap().is_fifo()).map(|file| file.path()).collect()
}

/// What a server has started that is no pane: the shells of hooks.
async fn hooks_that_run(tmux: &Tmux) -> usize {
    let server = tmux.pid().await;
    let panes = tmux.run(&["list-panes", "-a", "-F", "#{pane_pid}"]).await;
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
    children.split_whitespace().filter(|child| !panes.lines().any(|pane| pane == *child)).count()
}

#[tokio::test]
async fn a_daemon_that_is_killed_leaves_nothing_that_does_harm() {
    let tmux = Tmux::start().await;
    set_hooks_of_a_user(&tmux).await;
    let users = tmux.hooks().await;
    let mut scene = Scene::with(tmux, "").await;
    let with_ours = scene.tmux.hooks().await;
    assert!(users.iter().all(|hook| with_ours.contains(hook)), "{with_ours:?}");
    assert!(with_ours.iter().any(|hook| is_ours(hook)), "it watches by hooks");
    let before = fifos(&scene);
    assert_eq!(before.len(), 1);

    scene.daemon.signal("KILL").await;
    assert_eq!(scene.daemon.ended().await, None, "it was killed, and did not end by itself");
    // What is left in the server: hooks whose writers find no reader, and the user's own.
    eventually("no client is attached", async || scene.run(&["list-clients"]).await.is_empty().then_some(())).await;
    let left = scene.tmux.hooks().await;
    assert!(left.iter().any(|hook| is_ours(hook)) && users.iter().all(|hook| left.contains(hook)), "{left:#?}");
    scene.run(&["split-window", "-d", "-t", "%0", "cat"]).await;
    for turn in 0..50 {
        // The one runs the user's hook, the other is told by hooks only.
        scene.run(&["rename-window", "-t", "@0", &format!("turn {turn}"), ";", "resize-pane", "-Z", "-t", "%0"]).await;
    }
    scene.run(&["new-session", "-d", "-s", "two", "cat"]).await;
    assert_eq!(scene.run(&["show-options", "-gv", "@renamed"]).await, "yes", "the user's hook runs");
    let quiet = async || (hooks_that_run(&scene.tmux).await == 0).then_some(());
    eventually("no writer waits for a reader", quiet).await;
    assert_eq!(scene.run(&["capture-pane", "-p", "-t", "%0"]).await, "", "no hook complains in the user's pane");
    assert_eq!(fifos(&scene), before, "it is a FIFO still, which holds nothing");
    let files = fs::read_dir(scene.daemon.path("run")).unwrap().count();
    assert_eq!(files, 1, "and nothing beside it");

    // The next start clears it all away and watches again.
    scene.daemon = scene.daemon.again().await;
    is_watched(&scene.daemon).await;
    scene.client = listener(&scene.daemon).await;
    let after = scene.tmux.hooks().await;
    let (dead, alive) = (before[0].to_str().unwrap(), fifos(&scene));
    assert_eq!(alive.len(), 1, "that of the daemon that is gone is gone too: {alive:?}");
    assert!(!after.iter().any(|hook| hook.contains(dead)), "{after:#?}");
    let ours: Vec<&String> = after.iter().filter(|hook| is_ours(hook)).collect();
    assert!(!ours.is_empty() && ours.iter().all(|hook| hook.contains(alive[0].to_str().unwrap())), "{after:#?}");
    assert!(users.iter().all(|hook| after.contains(hook)), "{after:#?}");
    scene.run(&["rename-window", "-t", "@0", "again"]).await;
    assert_eq!(scene.next_with("window.renamed", "new_name", "again").await["evidence"], "observed");

    // One that ends as it should leaves nothing at all.
    scene.daemon.signal("TERM").await;
    assert_eq!(scene.daemon.ended().await, Some(0));
    assert_eq!(scene.tmux.hooks().await, users);
    assert_eq!(scene.run(&["list-clients"]).await, "");
    assert!(fifos(&scene).is_empty());
}

/// The user at the terminal notices nothing of it.
#[tokio::test]
async fn a_user_stays_attached_when_the_daemon_is_killed() {
    let mut scene = Scene::of("").await;
    let user = scene.tmux.user("$0").await;
    scene.next("session.attached").await;
    scene.daemon.signal("KILL").await;
    scene.daemon.ended().await;
    let attached = async || {
        let clients = scene.run(&["list-clients", "-F", "#{client_control_mode}"]).await;
        (clients == "0").then_some(())
    };
    eventually("the user alone is attached", attached).await;
    scene.tmux.types("%0", b"still here\r").await;
    let shown = async || scene.run(&["capture-pane", "-p", "-t", "%0"]).await.contains("still here").then_some(());
    eventually("the pane goes on", shown).await;
    user.leaves().await;
}

/// What tmux has not got rid of when its reader dies would keep the client for ever, and with it a server that is killed.
#[tokio::test]
async fn a_daemon_that_is_killed_while_panes_print_leaves_no_client() {
    let tmux = Tmux::start().await;
    for _ in 0..3 {
        tmux.run(&["new-session", "-d", "while :; do seq 10; sleep 0.001; done"]).await;
    }
    let mut scene = Scene::with(tmux, "").await;
    for _ in 0..5 {
        let all = async || (scene.run(&["list-clients"]).await.lines().count() == 4).then_some(());
        eventually("each session is read", all).await;
        scene.next("pane.output").await;
        scene.daemon.signal("KILL").await;
        scene.daemon.ended().await;
        eventually("no client is attached", async || scene.run(&["list-clients"]).await.is_empty().then_some(())).await;
        scene.daemon = scene.daemon.again().await;
        is_watched(&scene.daemon).await;
        scene.client = listener(&scene.daemon).await;
    }
}
