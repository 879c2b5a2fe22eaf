//! Servers that are not there, come, go, and come again; and what we leave in them.

use crate::world::{Server, next};
use headwater_plugin_tmux::Tmux;
use headwater_testkit::prelude::*;

/// The next mode, with its reason.
async fn mode(run: &mut Run) -> (String, String) {
    let event = next(run, "tmux.mode").await;
    let text = |key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
    let key = format!("mode:{}", event.data["socket"].as_str().unwrap());
    assert_eq!(event.retained, Some(key), "a late subscriber knows it too");
    (text("mode"), text("reason"))
}

/// Waits for a fact.
async fn until(run: &mut Run, fact: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + headwater_testkit::PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{fact}");
        run.heartbeat().await;
    }
}

fn pair(mode: &str, reason: &str) -> (String, String) {
    (mode.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn without_tmux_the_source_waits_and_says_so() {
    let server = Server::absent();
    let settings = server.settings(json!({ "tmux": server.path("no-such-program") }));
    let mut run = Testkit::start::<Tmux>(settings);
    assert_eq!(mode(&mut run).await, pair("waiting", "tmux is not installed"));
    assert_eq!(run.command("status", json!({})).await.completed()["mode"], "waiting");
    assert_eq!(run.command("list", json!({})).await.completed(), json!({ "sessions": [] }));
    run.heartbeat().await;
    assert_eq!(run.stop().await, Outcome::Stopped);
}

/// Nobody would look for them when a server comes at last.
#[tokio::test]
async fn wrong_settings_are_told_before_there_is_a_server() {
    for (wrong, says) in [
        (json!({ "redact_also": ["("] }), "to redact by"),
        (
            json!({ "watch": { "rules": [{ "name": "mine", "agent": "claude", "region": "tail", "regex": "(", "state": "busy" }] } }),
            "mine",
        ),
    ] {
        let server = Server::absent();
        let mut run = Testkit::start::<Tmux>(server.settings(wrong));
        let Outcome::Failed(reason) = run.ended().await else { panic!("it goes on") };
        assert!(reason.contains(says), "{reason}");
    }
}

#[tokio::test]
async fn a_server_is_picked_up_when_it_appears_and_forgotten_when_it_is_gone() {
    let server = Server::absent();
    let mut run = Testkit::start::<Tmux>(server.settings(json!({ "mode": "hooks" })));
    assert_eq!(mode(&mut run).await, pair("waiting", "no tmux server runs"));
    server.begin();
    let created = next(&mut run, "session.created").await;
    assert_eq!(created.evidence, Some(Evidence::Inferred), "it was born while we waited");
    let first = server.pid();
    let key = |pid: u64| format!("pane:{pid}:%0");
    run.next_event_where("its pane", |event| event.retained == Some(key(first))).await;
    assert_eq!(mode(&mut run).await, pair("hooks", ""));

    server.tmux(&["kill-server"]);
    let removed = next(&mut run, "session.removed").await;
    assert_eq!(removed.evidence, Some(Evidence::Inferred));
    assert_eq!(mode(&mut run).await, pair("waiting", "no tmux server runs"));
    assert_eq!(run.snapshot("tmux", &key(first)), None);

    server.begin();
    let again = next(&mut run, "session.created").await;
    assert_ne!(server.pid(), first);
    assert_eq!((&again.data["session_id"], &again.data["server"]["pid"]), (&json!("$0"), &json!(server.pid())));
    assert_eq!(mode(&mut run).await, pair("hooks", ""));
}

/// A server that is killed leaves its socket behind, on which nobody listens.
#[tokio::test]
async fn a_server_that_was_killed_and_born_anew_is_another_one() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let first = server.pid();
    let killed = std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(next(&mut run, "pane.removed").await.data["server"]["pid"], first);
    next(&mut run, "tmux.mode").await;
    assert!(server.socket().exists());
    server.begin();
    let pane = next(&mut run, "pane.created").await;
    assert_eq!((&pane.data["pane_id"], &pane.data["server"]["pid"]), (&json!("%0"), &json!(server.pid())));
}

#[tokio::test]
async fn what_was_there_before_is_known_and_not_told_as_new() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let key = format!("session:{}:$0", server.pid());
    let state = run.snapshot("tmux", &key).unwrap();
    assert_eq!((&state.data["session"], state.evidence), (&json!("main"), Some(Evidence::Polled)));
    server.tmux(&["new-window", "-d", "-t", "$0:", "cat"]);
    let kinds = |event: &TestEvent| event.kind.ends_with(".created");
    let first = run.next_event_where("something new", kinds).await;
    assert_eq!(first.data["window_id"], "@1");
}

#[tokio::test]
async fn the_users_hooks_stay_and_ours_go_with_us() {
    let server = Server::start();
    server.tmux(&["set-hook", "-g", "session-created[3]", "display-message hello"]);
    server.tmux(&["set-hook", "-g", "window-renamed", "display-message renamed"]);
    let before = server.hooks();
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let during = server.hooks();
    assert!(before.iter().all(|hook| during.contains(hook)), "{during:?}");
    let fifo = during
        .iter()
        .find_map(|hook| hook.split(' ').find(|word| word.contains("/headwater-tmux-") && !word.contains('<')))
        .unwrap()
        .to_owned();
    assert!(std::path::Path::new(&fifo).exists());
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert_eq!(server.hooks(), before);
    assert!(!std::path::Path::new(&fifo).exists());
}

/// `set-hook -g` without an index empties the whole array, and ours with it.
#[tokio::test]
async fn hooks_that_were_taken_away_come_back() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks", "reconcile": "1s" })).await;
    server.tmux(&["set-hook", "-g", "session-created", "display-message mine"]);
    let ours = |server: &Server| server.hooks().iter().filter(|hook| hook.contains("headwater-tmux-")).count();
    let fewer = ours(&server);
    run.logged("are set again").await;
    assert_eq!(ours(&server), fewer + 1);
    assert!(server.hooks().contains(&"session-created[0] display-message mine".to_owned()));
    server.tmux(&["new-session", "-d", "-s", "two", "cat"]);
    assert_eq!(next(&mut run, "session.created").await.evidence, Some(Evidence::Observed));
}

/// What a daemon that was killed has left: hooks that write into a FIFO that nobody reads.
#[tokio::test]
async fn leftovers_of_a_daemon_that_was_killed_are_cleared_away() {
    let server = Server::start();
    let dead = std::env::temp_dir().join(format!("headwater-tmux-{:016x}.fifo", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&dead).status().unwrap().success());
    let text =
        format!("run-shell -b \"{{ [ -p {0} ] && echo 'session-created' 1<>{0}; }} 2>/dev/null || :\"", dead.display());
    server.tmux(&[
        "set-hook",
        "-g",
        "session-created[97310]",
        &text,
        ";",
        "set-hook",
        "-g",
        "window-renamed[97310]",
        &text,
    ]);
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let left = |server: &Server| server.hooks().iter().any(|hook| hook.contains(dead.to_str().unwrap()));
    assert!(!left(&server) && !dead.exists());
    // Two daemons watch one server: neither takes the other's hooks for leftovers.
    let mut other = server.watch(json!({ "mode": "hooks" })).await;
    server.tmux(&["new-session", "-d", "-s", "two", "cat"]);
    assert_eq!(next(&mut run, "session.created").await.evidence, Some(Evidence::Observed));
    assert_eq!(next(&mut other, "session.created").await.evidence, Some(Evidence::Observed));
    assert_eq!(other.stop().await, Outcome::Stopped);
    server.tmux(&["new-session", "-d", "-s", "three", "cat"]);
    let third = run.next_event_where("the third", |event| event.data["session"] == "three").await;
    assert_eq!((third.kind.as_str(), third.evidence), ("session.created", Some(Evidence::Observed)));
}

/// A server that cannot be given hooks is looked at again and again.
#[tokio::test]
async fn the_last_rung_is_polling() {
    let server = Server::start();
    let mut run = Testkit::start::<Tmux>(server.settings(json!({ "mode": "poll", "poll": "100ms" })));
    next(&mut run, "pane.state").await;
    assert_eq!(mode(&mut run).await, pair("poll", "the settings say so"));
    server.tmux(&["rename-window", "-t", "@0", "other"]);
    let renamed = next(&mut run, "window.renamed").await;
    assert_eq!((&renamed.data["new_name"], renamed.evidence), (&json!("other"), Some(Evidence::Polled)));
    assert_eq!(server.hooks().iter().filter(|hook| hook.contains("headwater")).count(), 0);
}

/// What ends control clients at once.
const NO_CONTROL: &str = "case \" $* \" in *\" -C \"*) echo '%exit'; exit 1 ;; esac";

#[tokio::test]
async fn control_clients_that_end_at_once_are_given_up_for_a_while() {
    let server = Server::start();
    let mut run = Testkit::start::<Tmux>(server.settings(json!({ "tmux": server.tmux_after(NO_CONTROL) })));
    assert_eq!(mode(&mut run).await, pair("hooks", "control clients end as soon as they start"));
    assert_eq!(run.command("status", json!({})).await.completed()["control_clients"], 0);
    // What hooks tell, they still tell; titles too, which no output brings now.
    server.tmux(&["rename-window", "-t", "@0", "other"]);
    assert_eq!(next(&mut run, "window.renamed").await.evidence, Some(Evidence::Observed));
    let titles = |server: &Server| server.hooks().iter().any(|hook| hook.starts_with("pane-title-changed["));
    while !titles(&server) {
        run.command("status", json!({})).await;
    }
    server.tmux(&["select-pane", "-t", "%0", "-T", "hello"]);
    assert_eq!(next(&mut run, "pane.title").await.data["title"], "hello");
}

/// With `exit-unattached` a client of ours would keep the server alive, and its end would end the server.
#[tokio::test]
async fn a_server_that_ends_without_clients_gets_none() {
    let server = Server::start();
    let mut user = server.user("$0");
    server.tmux(&["set-option", "-s", "exit-unattached", "on"]);
    let mut run = server.watch(json!({})).await;
    assert_eq!(mode(&mut run).await, pair("hooks", "the server is to exit when nobody is attached"));
    user.leave();
    next(&mut run, "session.removed").await;
    assert_eq!(mode(&mut run).await.0, "waiting");
}

/// tmux speaks to our pipes itself: a client that is stopped holds neither the pane's program nor its output.
#[tokio::test]
async fn a_control_client_that_is_stopped_holds_nobody() {
    let server = Server::start();
    let script = format!("cat >/dev/null; seq 300000; tmux -S {} wait-for -S done; cat", server.socket().display());
    server.tmux(&["new-window", "-d", "-t", "$0:", &script]);
    let mut run = server.read(json!({})).await;
    let client = server.tmux(&["list-clients", "-F", "#{client_pid}"]);
    assert!(std::process::Command::new("kill").args(["-STOP", &client]).status().unwrap().success());
    server.tmux(&["send-keys", "-t", "%1", "-H", "04"]);
    server.tmux(&["wait-for", "done"]);
    let last =
        |event: &TestEvent| event.kind == "pane.output" && event.data["content"].as_str().unwrap().contains("300000");
    run.next_event_where("what the pane shows at last", last).await;
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert_eq!(server.tmux(&["list-clients"]), "");
}

/// A control client that was killed is replaced.
#[tokio::test]
async fn a_control_client_that_is_killed_is_replaced() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    let clients = || server.tmux(&["list-clients", "-F", "#{client_pid}"]);
    let kill = |client: &str| std::process::Command::new("kill").args(["-9", client]).status().unwrap().success();
    let mut client = clients();
    // On a busy machine one that is slow to answer may just be replaced.
    while client.is_empty() || !kill(&client) {
        run.heartbeat().await;
        client = clients();
    }
    let mut now = String::new();
    while now.is_empty() || now == client {
        run.command("status", json!({})).await;
        now = clients();
    }
    server.tmux(&["send-keys", "-t", "%0", "-H", "61", "0d"]);
    assert_eq!(next(&mut run, "pane.output").await.data["pane_id"], "%0");
}

/// Each hook runs a shell, for which the server stands still. What control clients are told needs none; without them it does.
#[tokio::test]
async fn hooks_are_set_for_what_no_control_client_tells() {
    let server = Server::start();
    let none_more = format!("[ -e '{}' ] && {{ {NO_CONTROL}; }}", server.path("none").display());
    let mut run = server.read(json!({ "tmux": server.tmux_after(&none_more) })).await;
    let set = |name: &str| server.hooks().iter().any(|hook| hook.starts_with(&format!("{name}[97310] ")));
    until(&mut run, "a client is told of it", || !set("window-renamed")).await;
    assert!(set("alert-bell") && set("pane-died") && !set("session-created") && !set("pane-title-changed"));
    server.tmux(&["rename-window", "-t", "@0", "other"]);
    assert_eq!(next(&mut run, "window.renamed").await.evidence, Some(Evidence::Observed));
    std::fs::write(server.path("none"), "").unwrap();
    let client = server.tmux(&["list-clients", "-F", "#{client_pid}"]);
    assert!(std::process::Command::new("kill").args(["-9", &client]).status().unwrap().success());
    until(&mut run, "no client is told of it", || set("window-renamed")).await;
    server.tmux(&["rename-window", "-t", "@0", "again"]);
    assert_eq!(next(&mut run, "window.renamed").await.evidence, Some(Evidence::Observed));
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert!(server.hooks().is_empty(), "{:?}", server.hooks());
}

/// What changed is asked over the connection that is there: to run `tmux` each time takes longer than all else.
#[tokio::test]
async fn what_changes_is_asked_of_a_control_client() {
    let server = Server::start();
    let refused = server.path("refused");
    let refuses = format!("case \" $* \" in *' list-panes '*) [ -e '{0}' ] && exit 1 ;; esac", refused.display());
    let settings = json!({ "tmux": server.tmux_after(&refuses), "reconcile": "1s" });
    let mut run = Testkit::start::<Tmux>(server.settings(settings));
    assert_eq!(mode(&mut run).await, pair("control", ""));
    std::fs::write(refused, "").unwrap();
    let name = "a 'b' \"c\" %end ✳; d";
    server.tmux(&["new-window", "-d", "-t", "$0:", "-n", name, "cat"]);
    assert_eq!(next(&mut run, "window.created").await.data["name"], name);
    server.tmux(&["set-hook", "-gu", "alert-bell[97310]"]);
    run.logged("are set again").await;
    let user = server.user("$0");
    assert_eq!(next(&mut run, "session.attached").await.data["clients"], 1, "our own client is none");
    drop(user);
    server.tmux(&["kill-server"]);
    assert_eq!(next(&mut run, "session.removed").await.evidence, Some(Evidence::Inferred));
    assert_eq!(mode(&mut run).await.0, "waiting");
}

/// A control client that hears nothing any more, as behind a connection that is stuck: nothing waits for it.
#[tokio::test]
async fn a_control_client_that_does_not_answer_is_done_without() {
    let server = Server::start();
    let until_ready = "while IFS= read -r line; do [ $deaf ] || printf '%s\\n' \"$line\"; \
        case \"$line\" in *' ready'*) deaf=1 ;; esac; done";
    let deaf = format!(
        "case \" $* \" in *' -C '*) mkfifo {0}; exec 3<&0; {{ {until_ready}; }} <&3 >{0} & exec tmux \"$@\" <{0} 3<&- ;; esac",
        server.path("words").display()
    );
    let mut run = Testkit::start::<Tmux>(server.settings(json!({ "tmux": server.tmux_after(&deaf) })));
    assert_eq!(mode(&mut run).await, pair("control", ""));
    for number in 0..20 {
        let name = format!("window {number}");
        server.tmux(&["rename-window", "-t", "@0", &name]);
        let renamed = next(&mut run, "window.renamed").await;
        assert_eq!((&renamed.data["new_name"], renamed.evidence), (&json!(name), Some(Evidence::Observed)));
    }
    server.tmux(&["send-keys", "-t", "%0", "-H", "61", "0d"]);
    assert_eq!(next(&mut run, "pane.output").await.data["pane_id"], "%0", "it still brings what is printed");
}

/// One of which nothing is heard any more, though it stays. What it does not tell, hooks do.
#[tokio::test]
async fn hooks_are_set_again_where_a_control_client_falls_silent() {
    let server = Server::start();
    let until_ready = "while IFS= read -r line; do [ $mute ] || printf '%s\\n' \"$line\"; \
        case \"$line\" in *' ready'*) mute=1 ;; esac; done";
    let mute = format!("case \" $* \" in *' -C '*) tmux \"$@\" | {{ {until_ready}; }}; exit ;; esac");
    let mut run = server.read(json!({ "tmux": server.tmux_after(&mute), "reconcile": "1h" })).await;
    let set = |name: &str| server.hooks().iter().any(|hook| hook.starts_with(&format!("{name}[97310] ")));
    until(&mut run, "it is thought to tell of it", || !set("window-renamed")).await;
    // It is asked what there is when a hook tells of something.
    server.tmux(&["split-window", "-d", "-t", "%0", "cat"]);
    assert_eq!(next(&mut run, "pane.created").await.data["pane_id"], "%1");
    until(&mut run, "it does not", || set("window-renamed")).await;
    for number in 0..10 {
        let name = format!("window {number}");
        server.tmux(&["rename-window", "-t", "@0", &name]);
        let renamed = next(&mut run, "window.renamed").await;
        assert_eq!((&renamed.data["new_name"], renamed.evidence), (&json!(name), Some(Evidence::Observed)));
    }
}
