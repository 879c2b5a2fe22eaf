//! What panes print, by control clients: bytes in, text out, and no program ever waits for us.

use crate::world::{Server, next};
use headwater_testkit::prelude::*;

/// The next event on the channel of outputs that fits.
async fn printed(run: &mut Run, what: &str, wanted: impl Fn(&TestEvent) -> bool) -> TestEvent {
    run.next_event_where(what, |event| event.channel == "tmux_output" && wanted(event)).await
}

fn content(event: &TestEvent) -> &str {
    event.data["content"].as_str().unwrap_or_default()
}

/// Shows this in a pane that runs `cat`.
fn show(server: &Server, pane: &str, text: &[u8]) {
    let hex: Vec<String> = text.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut arguments = vec!["send-keys", "-t", pane, "-H"];
    arguments.extend(hex.iter().map(String::as_str));
    server.tmux(&arguments);
}

#[tokio::test]
async fn output_is_told_with_its_place_and_what_it_is_about() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    show(&server, "%0", "héllo → wörld\r".as_bytes());
    let event = printed(&mut run, "the text", |event| content(event).contains("héllo → wörld")).await;
    assert_eq!((event.kind.as_str(), event.evidence), ("pane.output", Some(Evidence::Observed)));
    assert_eq!(
        (&event.data["session"], &event.data["window"], &event.data["pane"]),
        (&json!("main"), &json!(0), &json!(0))
    );
    assert_eq!((&event.data["severity"], &event.data["activity"]), (&json!("info"), &json!("output")));
    assert!(event.data["preview"].as_str().unwrap().contains("héllo"));
    assert_eq!((event.attributes["pane"].as_str(), event.attributes["session"].as_str()), ("%0", "$0"));
    for (text, kind, severity) in [
        ("fatal ERROR: boom\r", "pane.error", Severity::Error),
        ("a\rb\rc\rd\rwarning: low\r", "pane.warning", Severity::Warning),
        ("a\rb\rc\rd\r$ ls\r", "pane.command", Severity::Info),
    ] {
        show(&server, "%0", text.as_bytes());
        let event = printed(&mut run, kind, |event| event.kind == kind).await;
        assert_eq!((event.severity, event.data["activity"].as_str()), (Some(severity), kind.strip_prefix("pane.")));
        assert!(event.data["preview"].is_string() && event.data["content"].is_string());
    }
}

/// A program's bytes are cut anywhere, and some are no text at all.
#[tokio::test]
async fn escapes_titles_bells_and_wrong_bytes_are_taken_apart() {
    let server = Server::start();
    server.tmux(&["new-window", "-d", "-t", "$0:", "cat >/dev/null; printf 'x\\377\\302'; sleep 0.1; printf '\\251\\033[31mred\\033[0m\\033]2;✳ ti\\\\tle\\007\\a'; cat"]);
    let mut run = server.read(json!({})).await;
    server.tmux(&["send-keys", "-t", "%1", "-H", "04"]);
    let title = next(&mut run, "pane.title").await;
    assert_eq!((&title.data["title"], title.evidence), (&json!("✳ ti\\tle"), Some(Evidence::Observed)));
    let key = format!("pane:{}:%1", server.pid());
    assert_eq!(
        run.snapshot("tmux", &key).unwrap().data["title"],
        "vm".replace("vm", title.data["title"].as_str().unwrap())
    );
    assert_eq!(next(&mut run, "pane.bell").await.data["pane_id"], "%1");
    let event = printed(&mut run, "the text", |event| content(event).contains("red")).await;
    assert!(!content(&event).contains('\u{1b}') && !content(&event).contains("31m"), "{:?}", content(&event));
}

#[tokio::test]
async fn what_a_new_session_printed_before_it_could_be_read_is_told() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    server.tmux(&["new-session", "-d", "-s", "two", "-x", "80", "-y", "24", "echo early; cat"]);
    let event = printed(&mut run, "the first line", |event| content(event).contains("early")).await;
    assert_eq!(event.data["session"], "two");
    // What was on the screen before us is not new.
    assert!(run.events().iter().all(|event| event.data["session"] != "main" || event.channel != "tmux_output"));
}

#[tokio::test]
async fn only_selected_sessions_are_read_and_of_the_others_all_else_is_told() {
    let server = Server::start();
    server.tmux(&["new-session", "-d", "-s", "secret", "-x", "80", "-y", "24", "cat"]);
    let mut run = server.read(json!({ "sessions": ["ma*"] })).await;
    show(&server, "%1", b"hidden\r");
    server.tmux(&["select-pane", "-t", "%1", "-T", "seen"]);
    assert_eq!(next(&mut run, "pane.title").await.data["title"], "seen", "the hook for titles is set");
    show(&server, "%0", b"shown\r");
    let event = printed(&mut run, "output", |_| true).await;
    assert_eq!(event.data["pane_id"], "%0");
    assert!(content(&event).contains("shown"));
}

/// Each client of a group of sessions brings the output of the windows that they share.
#[tokio::test]
async fn a_window_that_two_sessions_share_is_told_once() {
    let server = Server::start();
    server.tmux(&["new-session", "-d", "-t", "main", "-s", "other"]);
    let mut run = server.read(json!({})).await;
    let mut clients = 0;
    while clients != 2 {
        clients = run.command("status", json!({})).await.completed()["control_clients"].as_u64().unwrap();
    }
    let mut all = String::new();
    // Each is echoed by the terminal, and once more by `cat`, which may come to it after further typing.
    for text in ["once", "end"] {
        show(&server, "%0", format!("{text}\r").as_bytes());
        while all.matches(text).count() < 2 {
            all += content(&printed(&mut run, "output", |event| event.kind == "pane.output").await);
        }
    }
    assert_eq!(all.matches("once").count(), 2, "{all}");
}

/// tmux is asked for all titles every now and then, and keeps them as they were set.
#[tokio::test]
async fn a_title_is_told_once_and_without_its_secrets() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    run.events();
    let long = format!("token=abcdefghijklmnop {}", "é".repeat(300));
    show(&server, "%0", format!("\u{1b}]2;{long}\u{1b}\\\r").as_bytes());
    let title = next(&mut run, "pane.title").await;
    let title = title.data["title"].as_str().unwrap().to_owned();
    assert!(title.starts_with("token=[redacted] éé"), "{title}");
    server.tmux(&["rename-window", "-t", "@0", "looked at"]);
    let mut last = String::new();
    while last != "window.state" {
        let event = run.next_event().await;
        assert!(!event.data.to_string().contains("abcdefghijklmnop"), "{}", event.data);
        assert_ne!(event.kind, "pane.title", "the title is the same");
        last = if event.data["name"] == "looked at" { event.kind } else { String::new() };
    }
    let list = run.command("list", json!({})).await.completed();
    assert_eq!(list["sessions"][0]["windows"][0]["panes"][0]["title"], title);
    // With hooks alone it is only ever read from tmux.
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let list = run.command("list", json!({})).await.completed();
    assert_eq!(list["sessions"][0]["windows"][0]["panes"][0]["title"], title);
}

/// What a pane prints comes by the client of its session: of another one after it was moved.
#[tokio::test]
async fn a_pane_that_is_moved_to_another_session_is_read_there() {
    let server = Server::start();
    server.tmux(&["new-window", "-d", "-t", "$0:", "cat"]);
    server.tmux(&["new-session", "-d", "-s", "two", "-x", "80", "-y", "24", "cat"]);
    let mut run = server.read(json!({})).await;
    while server.tmux(&["list-clients"]).lines().count() < 2 {
        run.heartbeat().await;
    }
    for (pane, text) in [("%1", "here"), ("%2", "there")] {
        show(&server, pane, format!("{text}\r").as_bytes());
        printed(&mut run, text, |event| event.data["pane_id"] == pane && content(event).contains(text)).await;
    }
    server.tmux(&["move-window", "-d", "-s", "@1", "-t", "$1:"]);
    let created = next(&mut run, "window.created").await;
    assert_eq!((&created.data["session_id"], &created.data["window_id"]), (&json!("$1"), &json!("@1")));
    show(&server, "%1", b"moved\r");
    let event = printed(&mut run, "what it prints there", |event| content(event).contains("moved")).await;
    assert_eq!((&event.data["session"], &event.data["pane_id"]), (&json!("two"), &json!("%1")));
}

/// The user sees no client of ours: neither in the size of windows nor as somebody who is attached.
#[tokio::test]
async fn our_clients_are_no_users() {
    let server = Server::start();
    server.tmux(&["new-session", "-d", "-s", "fleeting", "-x", "90", "-y", "30", "cat"]);
    server.tmux(&["set-option", "-t", "fleeting", "destroy-unattached", "off"]);
    let size = server.tmux(&["display-message", "-p", "-t", "%0", "#{window_width}x#{window_height}"]);
    let mut run = server.read(json!({})).await;
    show(&server, "%0", b"x\r");
    printed(&mut run, "output", |_| true).await;
    assert_eq!(server.tmux(&["display-message", "-p", "-t", "%0", "#{window_width}x#{window_height}"]), size);
    let list = run.command("list", json!({})).await.completed();
    assert_eq!(list["sessions"][0]["attached"], false);
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert_eq!(server.tmux(&["list-clients"]), "", "they go with us");
}

/// A plain `tmux attach` goes to the session that was used last: by the user, not by us.
#[tokio::test]
async fn the_session_that_was_used_last_stays_that() {
    let server = Server::start();
    server.tmux(&["new-session", "-d", "-s", "two", "-x", "80", "-y", "24", "cat"]);
    let used = |session: &str| server.tmux(&["display-message", "-p", "-t", session, "#{session_activity}"]);
    // tmux tells the time in seconds.
    while used("$0") <= used("$1") {
        server.user("$0").leave();
    }
    let last = || server.tmux(&["display-message", "-p", "#{session_id}"]);
    assert_eq!(last(), "$0");
    let mut run = server.read(json!({})).await;
    while server.tmux(&["list-clients"]).lines().count() < 2 {
        run.heartbeat().await;
    }
    assert_eq!(last(), "$0");
}

/// A client of ours would keep such a session when its user leaves, and end it when we leave. (That it then ends is not
/// tried: tmux 3.3a crashes now and then when it does, also without us.)
#[tokio::test]
async fn sessions_that_end_without_clients_get_none() {
    let server = Server::start();
    server.tmux(&["new-session", "-d", "-s", "two", "-x", "80", "-y", "24", "cat"]);
    let _user = server.user("$1");
    server.tmux(&["set-option", "-t", "$1", "destroy-unattached", "on"]);
    let mut run = server.read(json!({})).await;
    assert_eq!(run.command("status", json!({})).await.completed()["control_clients"], 1);
    let clients = server.tmux(&["list-clients", "-F", "#{session_id}"]);
    assert_eq!(clients.lines().filter(|session| *session == "$1").count(), 1, "its user's");
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert_eq!(server.tmux(&["list-sessions", "-F", "#{session_id}"]), "$0\n$1");
}

#[tokio::test]
async fn a_pane_that_floods_does_not_slow_down_and_loses_output_only() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    let script = format!("cat >/dev/null; seq 400000; tmux -S {} wait-for -S done; cat", server.socket().display());
    server.tmux(&["new-window", "-d", "-t", "$0:", &script]);
    next(&mut run, "pane.created").await;
    server.tmux(&["send-keys", "-t", "%1", "-H", "04"]);
    server.tmux(&["wait-for", "done"]);
    let dropped = next(&mut run, "tmux.output_dropped").await;
    assert_eq!((&dropped.data["pane_id"], dropped.severity), (&json!("%1"), Some(Severity::Warning)));
    assert!(dropped.data["bytes"] != 0 && dropped.data["paused_ms"] != 0, "{}", dropped.data);
    printed(&mut run, "how it ended", |event| content(event).contains("400000")).await;
    server.tmux(&["rename-window", "-t", "@1", "after"]);
    assert_eq!(next(&mut run, "window.renamed").await.data["new_name"], "after");
    show(&server, "%1", b"again\r");
    printed(&mut run, "output goes on", |event| content(event).contains("again")).await;
    run.heartbeat().await;
}

/// While the bus has no room, output is lost and counted; what happened is told as soon as there is room.
#[tokio::test]
async fn a_bus_without_room_costs_output_and_no_lifecycle() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    run.events();
    run.limit_queue(0);
    for turn in 0..20 {
        show(&server, "%0", format!("line {turn}\r").as_bytes());
    }
    server.tmux(&["new-session", "-d", "-s", "two", "cat"]);
    server.tmux(&["wait-for", "-S", "never-waited-for"]);
    run.limit_queue(10_000);
    assert_eq!(next(&mut run, "session.created").await.data["session"], "two");
}

#[tokio::test]
async fn how_processes_ended_is_told_at_once() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    server.tmux(&["new-window", "-d", "-t", "$0:", "read x; exit 42"]);
    next(&mut run, "pane.created").await;
    server.tmux(&["send-keys", "-t", "%1", "-H", "0d"]);
    // Who is told first that it ended, the source or tmux, is up to the kernel.
    let of_its_end = |event: &TestEvent| matches!(event.kind.as_str(), "pane.exited" | "pane.removed");
    let mut ends =
        [run.next_event_where("its end", of_its_end).await, run.next_event_where("its end", of_its_end).await];
    ends.sort_by(|one, other| one.kind.cmp(&other.kind));
    let [exited, removed] = &ends;
    assert_eq!((exited.kind.as_str(), removed.kind.as_str()), ("pane.exited", "pane.removed"), "each once");
    assert_eq!((&exited.data["pane_id"], exited.evidence), (&json!("%1"), Some(Evidence::Observed)));
    // tmux may have asked for it before us; then it is not known, and never something else.
    assert!(exited.data.get("exit_status").is_none_or(|status| *status == 42), "{}", exited.data);
    assert!(exited.data.get("signal").is_none());
    assert_eq!(removed.data["pane_id"], "%1");
}
