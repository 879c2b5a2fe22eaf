//! Names that try to be more than names. Nothing in them is executed, no other session is reached, and they come through.

use crate::world::{Server, next};
use headwater_testkit::prelude::*;

/// Names that a client could give with `rename-session` and `rename-window`, each once as it is and once among others.
fn names(sentinel: &str) -> Vec<String> {
    let touch = format!("touch {sentinel}");
    let mut names = vec![
        format!("#({touch})"),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("';{touch};'"),
        format!("\"; run-shell '{touch}'; \""),
        format!("x; {touch}"),
        format!("x;"),
        format!("#{{l:#({touch})}}"),
        format!("#{{E:#({touch})}}"),
        format!("%1 {touch}"),
    ];
    let odd = [
        "-t",
        "--",
        "=main",
        "main-db",
        "mai",
        "$0",
        "@0",
        "%0",
        "*",
        "?",
        "{last}",
        "!",
        "~",
        "12:34",
        "\u{202e}abc",
        "é✳日本",
        "a\u{1f}b",
        " ",
        "''",
        "\\n\\t\\033]2;x\\007",
    ];
    names.extend(odd.map(str::to_owned));
    names
}

#[tokio::test]
async fn names_are_told_and_never_run() {
    let server = Server::start();
    let sentinel = server.path("sentinel");
    let mut run = server.read(json!({ "reconcile": "1s", "allow_send_keys": true })).await;
    server.tmux(&["new-window", "-d", "-t", "$0:", "-n", "other", "cat"]);
    next(&mut run, "pane.created").await;
    let mut told = 0;
    for name in names(sentinel.to_str().unwrap()) {
        // As a program in a pane may do it: tmux takes the name from the escape sequence and expands nothing.
        let bytes: Vec<String> =
            format!("\u{1b}k{name}\u{1b}\\\u{1b}]2;{name}\u{1b}\\\r").bytes().map(|b| format!("{b:02x}")).collect();
        let mut keys = vec!["send-keys", "-t", "%1", "-H"];
        keys.extend(bytes.iter().map(String::as_str));
        server.tmux(&keys);
        told += 1;
        for command in ["capture", "send_keys"].into_iter().filter(|_| name != "%0") {
            let code = run.command(command, json!({ "pane": name, "text": "x" })).await.error().0;
            assert_eq!(code, "VALIDATION_ERROR", "{command} {name}");
        }
    }
    assert_eq!(told, 30);
    server.tmux(&["rename-window", "-t", "@1", "the end"]);
    run.next_event_where("the last name", |event| event.data["new_name"] == "the end").await;
    assert!(!sentinel.exists());
    assert_eq!(server.tmux(&["list-sessions", "-F", "#{session_id}"]), "$0");
}

/// `prod` also finds `prod-db` where names are targets.
#[tokio::test]
async fn sessions_with_like_names_are_told_apart() {
    let server = Server::start();
    server.tmux(&["new-session", "-d", "-s", "prod-db", "-x", "80", "-y", "24", "cat"]);
    let mut run = server.read(json!({ "sessions": ["prod"] })).await;
    assert_eq!(run.command("status", json!({})).await.completed()["control_clients"], 0);
    server.tmux(&["new-session", "-d", "-s", "prod", "-x", "80", "-y", "24", "cat"]);
    next(&mut run, "session.created").await;
    assert_eq!(next(&mut run, "tmux.mode").await.data["mode"], "control");
    server.tmux(&["send-keys", "-t", "%1", "-H", "61", "0d"]);
    server.tmux(&["send-keys", "-t", "%2", "-H", "62", "0d"]);
    assert_eq!(next(&mut run, "pane.output").await.data["pane_id"], "%2");
    server.tmux(&["kill-session", "-t", "=prod"]);
    let removed = next(&mut run, "session.removed").await;
    assert_eq!((&removed.data["session"], &removed.data["session_id"]), (&json!("prod"), &json!("$2")));
}
