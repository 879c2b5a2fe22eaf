//! A tmux that answers late or not at once: what happens meanwhile is neither lost nor taken for something else.

use crate::world::{Server, next};
use headwater_plugin_tmux::Tmux;
use headwater_testkit::prelude::*;

/// tmux as it is, but everything is looked at a good while after it was asked for.
const LATE: &str = "case \" $* \" in *\" list-clients \"*) sleep 0.6 ;; esac";

/// Whatever comes up to an event.
async fn until(run: &mut Run, what: &str, wanted: impl Fn(&TestEvent) -> bool) -> Vec<TestEvent> {
    let mut all = Vec::new();
    loop {
        let event = run.next_event_where(what, |_| true).await;
        let last = wanted(&event);
        all.push(event);
        if last {
            return all;
        }
    }
}

/// It would be told as a user who attaches.
#[tokio::test]
async fn a_client_of_ours_that_starts_during_a_look_is_no_user() {
    let server = Server::start();
    let mut run = server.read(json!({ "tmux": server.tmux_after(LATE) })).await;
    run.events();
    server.tmux(&["new-session", "-d", "-s", "two", "-x", "80", "-y", "24", "cat"]);
    let created = |event: &TestEvent| event.kind == "session.created";
    let mut all = until(&mut run, "the session", created).await;
    // It is looked at again and again, also when the client for it comes.
    while server.tmux(&["list-clients"]).lines().count() < 2 {
        server.tmux(&["rename-window", "-t", "@1", "again"]);
        server.tmux(&["rename-window", "-t", "@1", "and again"]);
    }
    server.tmux(&["rename-window", "-t", "@1", "the end"]);
    all.extend(until(&mut run, "the end", |event| event.data["new_name"] == "the end").await);
    let attached: Vec<&TestEvent> = all.iter().filter(|event| event.kind.ends_with("tached")).collect();
    assert!(attached.is_empty(), "nobody came or went: {attached:?}");
}

/// A command that ends at once is dead before anybody looks.
#[tokio::test]
async fn how_a_process_ended_is_told_of_a_pane_that_was_never_seen_alive() {
    let server = Server::start();
    server.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    let settings = json!({ "mode": "hooks", "tmux": server.tmux_after(LATE) });
    let mut run = server.watch(settings).await;
    server.tmux(&["new-window", "-d", "-t", "$0:", "exit 7"]);
    assert_eq!(next(&mut run, "pane.created").await.data["pane_id"], "%1");
    let exited = next(&mut run, "pane.exited").await;
    assert_eq!((&exited.data["pane_id"], &exited.data["exit_status"]), (&json!("%1"), &json!(7)));
    // What was dead before us is not told.
    run.stop().await;
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    server.tmux(&["rename-window", "-t", "@1", "the end"]);
    let all = until(&mut run, "the end", |event| event.data["new_name"] == "the end").await;
    assert!(all.iter().all(|event| event.kind != "pane.exited"), "{all:?}");
}

/// All that was there would be told as new.
#[tokio::test]
async fn a_first_look_that_fails_is_taken_again() {
    let server = Server::start();
    let once = "case \" $* \" in *\" list-clients \"*) [ -e \"$0.failed\" ] || { : >\"$0.failed\"; echo odd >&2; exit 1; } ;; esac";
    let settings = json!({ "mode": "hooks", "reconcile": "1s", "tmux": server.tmux_after(once) });
    let mut run = Testkit::start::<Tmux>(server.settings(settings));
    let all = until(&mut run, "the first pane", |event| event.kind == "pane.state").await;
    assert!(all.iter().all(|event| !event.kind.ends_with(".created")), "{all:?}");
    assert_eq!(all.last().unwrap().evidence, Some(Evidence::Polled));
}

/// Hooks that somebody took away are set again; while that is under way the source stops.
#[tokio::test]
async fn a_repair_of_hooks_that_comes_late_leaves_none_behind() {
    let server = Server::start();
    let slow = "case \" $* \" in *\" set-hook -g \"*) [ -e \"$0.slow\" ] && { : >\"$0.repairs\"; sleep 0.6; tmux \"$@\"; : >\"$0.done\"; exit; } ;; esac";
    let program = server.tmux_after(slow);
    let mut run = server.watch(json!({ "mode": "hooks", "reconcile": "1s", "tmux": program })).await;
    std::fs::write(program.with_extension("slow"), "").unwrap();
    server.tmux(&["set-hook", "-g", "session-created", "display-message mine"]);
    while !program.with_extension("repairs").exists() {
        run.heartbeat().await;
    }
    assert_eq!(run.stop().await, Outcome::Stopped);
    while !program.with_extension("done").exists() {
        std::thread::yield_now();
    }
    assert_eq!(server.hooks(), ["session-created[0] display-message mine"]);
}
