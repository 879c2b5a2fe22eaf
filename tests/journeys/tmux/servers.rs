//! Servers that are not there yet, come, are killed, and come again as others.

use super::{Scene, asked, ids, is_watched, listener};
use headwater_tests::{Daemon, Tmux, World, built, eventually, runs};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The sessions, windows and panes that a late subscriber is told of.
async fn known(daemon: &Daemon) -> usize {
    let events = daemon.get("/v1/snapshot?channel=tmux").await.json();
    let states = |event: &&Value| event["type"].as_str().is_some_and(|kind| kind.contains(".state"));
    events["events"].as_array().map_or(0, |events| events.iter().filter(states).count())
}

#[tokio::test]
async fn a_server_is_waited_for_and_picked_up() {
    let tmux = Tmux::absent();
    let daemon = World::new().tmux(&tmux, "").start().await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": "tmux", "from": "earliest"})).await;
    let waiting = client.next_of("tmux.mode").await;
    assert_eq!(
        (&waiting["data"]["mode"], &waiting["data"]["reason"]),
        (&json!("waiting"), &json!("no tmux server runs"))
    );
    daemon.source_is("tmux", "up").await;
    assert_eq!(asked(&mut client, "status", json!({})).await["result"]["mode"], "waiting");
    tmux.begin().await;
    let created = client.next_of("session.created").await;
    assert_eq!((ids(&created).as_str(), &created["data"]["server"]["pid"]), ("$0", &json!(tmux.pid().await)));
    tmux.run(&["rename-window", "-t", "@0", "told"]).await;
    assert_eq!(client.next_of("window.renamed").await["evidence"], "observed");
}

/// Ids begin anew in the new server: what was said of `%0` is not true of the other `%0`.
#[tokio::test]
async fn a_server_that_is_killed_and_born_anew_is_another_one() {
    let mut scene = Scene::of("allow_send_keys = true").await;
    let first = scene.tmux.pid().await;
    let stale = format!("{first}:%0");
    let there = asked(&mut scene.client, "capture", json!({"pane": stale})).await;
    assert_eq!(there["type"], "command_completed", "{there}");
    assert_eq!(known(&scene.daemon).await, 3);

    let killed = tokio::process::Command::new("kill").args(["-KILL", &first.to_string()]).status().await.unwrap();
    assert!(killed.success());
    for (kind, place) in [("pane.removed", "$0 @0 %0"), ("window.removed", "$0 @0"), ("session.removed", "$0")] {
        let removed = scene.next(kind).await;
        assert_eq!((ids(&removed).as_str(), &removed["evidence"]), (place, &json!("inferred")), "{removed}");
        assert_eq!(removed["data"]["server"]["pid"], first);
    }
    assert_eq!(scene.next("tmux.mode").await["data"]["mode"], "waiting");
    assert_eq!(known(&scene.daemon).await, 0, "nothing is said to be there");
    let refused = asked(&mut scene.client, "capture", json!({"pane": "%0"})).await;
    assert_eq!(refused["error_code"], "SYSTEM_UNAVAILABLE", "{refused}");

    scene.tmux.begin().await;
    let second = scene.tmux.pid().await;
    assert_ne!(first, second);
    let pane = scene.next("pane.created").await;
    assert_eq!((ids(&pane).as_str(), &pane["data"]["server"]["pid"]), ("$0 @0 %0", &json!(second)));
    is_watched(&scene.daemon).await;
    for (command, more) in [("capture", json!({})), ("send_keys", json!({"text": "for the first one only"}))] {
        let mut parameters = more;
        parameters["pane"] = stale.as_str().into();
        let refused = asked(&mut scene.client, command, parameters).await;
        assert_eq!(refused["error_code"], "RESOURCE_NOT_FOUND", "{command}: {refused}");
    }
    let there = asked(&mut scene.client, "capture", json!({"pane": format!("{second}:%0")})).await;
    assert_eq!(there["result"]["content"].as_str().map(str::trim), Some(""), "nothing was typed into it: {there}");
}

/// Nobody saw it die, and what is kept of it would otherwise be said for ever.
#[tokio::test]
async fn what_a_server_had_that_died_unseen_is_not_said_to_be_there() {
    let mut scene = Scene::of("").await;
    let first = scene.tmux.pid().await;
    scene.daemon.signal("KILL").await;
    scene.daemon.ended().await;
    scene.run(&["kill-server"]).await;
    eventually("it has ended", async || (!runs(first)).then_some(())).await;
    scene.tmux.begin().await;
    scene.daemon = scene.daemon.again().await;
    is_watched(&scene.daemon).await;
    let gone = async || {
        let snapshot = scene.daemon.get("/v1/snapshot?channel=tmux").await;
        (!snapshot.body.contains(&format!("\"pid\":{first}"))).then_some(())
    };
    eventually("what the first one had is taken away", gone).await;
    assert_eq!(known(&scene.daemon).await, 3);
}

/// The source is set to another server, and says no more of the first one.
#[tokio::test]
async fn what_a_source_told_of_a_server_that_it_no_longer_watches_is_taken_away() {
    let scene = Scene::of("").await;
    let other = Tmux::start().await;
    let config = scene.daemon.read("headwater.toml");
    let [old, new] = [&scene.tmux, &other].map(|tmux| tmux.socket().display().to_string());
    scene.daemon.write("headwater.toml", &config.replace(&old, &new));
    let all_of_the_other = async || {
        let snapshot = scene.daemon.get("/v1/snapshot?channel=tmux").await.body;
        (snapshot.contains(&new) && !snapshot.contains(&old)).then_some(())
    };
    eventually("the other server alone is said to be there", all_of_the_other).await;
}

/// How each server is watched is kept for late subscribers.
#[tokio::test]
async fn two_sources_watch_two_servers() {
    let tmuxes = [Tmux::start().await, Tmux::start().await];
    let plugin = built("libheadwater_plugin_tmux.so");
    let settings = |tmux: &Tmux| format!("socket = \"{}\"\nmode = \"hooks\"", tmux.socket().display());
    let world = World::new().plugin("one", &plugin, &settings(&tmuxes[0]));
    let daemon = world.plugin("two", &plugin, &settings(&tmuxes[1])).start().await;
    let both = async || {
        let snapshot = daemon.get("/v1/snapshot?channel=tmux").await.json();
        let modes = snapshot["events"].as_array()?.iter().filter(|event| event["type"] == "tmux.mode");
        let sockets: BTreeSet<&str> = modes.filter_map(|event| event["data"]["socket"].as_str()).collect();
        tmuxes.iter().all(|tmux| sockets.contains(tmux.socket().to_str().unwrap())).then_some(())
    };
    eventually("the modes of both are kept", both).await;
}

/// tmux crashes when it has something to tell all control clients while one of them is still introducing itself; then
/// everything that the user runs is gone.
#[tokio::test]
async fn a_server_survives_sessions_that_come_and_go_all_at_once() {
    let mut scene = Scene::of("").await;
    for round in 0..10 {
        for number in 0..10 {
            scene.run(&["new-session", "-d", "-s", &format!("s{round}-{number}"), "cat"]).await;
        }
        for number in 0..10 {
            scene.run(&["kill-session", "-t", &format!("=s{round}-{number}")]).await;
        }
    }
    // The first one has not read for long, and may have been given up.
    scene.client = listener(&scene.daemon).await;
    scene.run(&["new-session", "-d", "-s", "last", "cat"]).await;
    scene.next_with("session.created", "session", "last").await;
    assert_eq!(scene.run(&["list-sessions", "-F", "#{session_name}"]).await, "last\nmain");
}

/// Each process that is watched takes two. Were all taken, tmux could not be asked any more.
#[tokio::test]
async fn more_panes_than_files_may_be_open_are_told_all_the_same() {
    let tmux = Tmux::start().await;
    let window = ["new-window", "-d", "-t", "$0:", "cat", ";"];
    let windows: Vec<&str> = std::iter::repeat_n(window, 99).flatten().collect();
    tmux.run(&windows).await;
    let few = ["prlimit", "--nofile=128:128", "--"];
    let daemon = World::new().tmux(&tmux, "mode = \"hooks\"").under(&few).start().await;
    is_watched(&daemon).await;
    let mut client = listener(&daemon).await;
    assert_eq!(asked(&mut client, "status", json!({})).await["result"]["panes"], 100);
    tmux.run(&["rename-window", "-t", "@0", "told"]).await;
    assert_eq!(client.next_of("window.renamed").await["data"]["new_name"], "told");
}
