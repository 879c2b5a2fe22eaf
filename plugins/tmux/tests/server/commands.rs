//! What clients may ask of a real server.

use crate::world::{Server, next};
use headwater_testkit::prelude::*;

#[tokio::test]
async fn capture_gives_the_screen_and_the_last_lines_without_secrets() {
    let server = Server::start();
    let script = "cat >/dev/null; seq 100; echo key=sk-abcdefghijklmnopqrstuvwx; tmux wait-for -S shown; cat";
    server.tmux(&["new-window", "-d", "-t", "$0:", script]);
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    server.tmux(&["send-keys", "-t", "%1", "-H", "04"]);
    server.tmux(&["wait-for", "shown"]);
    let last = run.command("capture", json!({ "pane": "%1", "lines": 3 })).await.completed();
    assert_eq!(last["content"], "99\n100\nkey=[redacted]\n");
    assert_eq!((&last["pane_id"], &last["session"]), (&json!("%1"), &json!("main")));
    let screen = run.command("capture", json!({ "pane": format!("{}:%1", server.pid()) })).await.completed();
    let screen = screen["content"].as_str().unwrap();
    assert!(screen.contains("\n100\n") && !screen.contains("\n50\n"), "{screen}");
    for (pane, code) in [
        ("%9", "RESOURCE_NOT_FOUND"),
        ("1:%1", "RESOURCE_NOT_FOUND"),
        ("main", "VALIDATION_ERROR"),
        ("%1; kill-server", "VALIDATION_ERROR"),
        ("#(touch x)", "VALIDATION_ERROR"),
    ] {
        assert_eq!(run.command("capture", json!({ "pane": pane })).await.error().0, code, "{pane}");
    }
    assert_eq!(run.command("capture", json!({ "pane": "%1", "lines": 0 })).await.error().0, "VALIDATION_ERROR");
}

/// Half a secret in one line and half in the next is none to those who look for secrets.
#[tokio::test]
async fn a_secret_that_the_edge_of_the_pane_breaks_is_not_captured() {
    let server = Server::start();
    let script = "printf '%060d token=abcdefghijklmnopqrstuvwxyz\\n' 0; tmux wait-for -S shown; cat";
    server.tmux(&["new-window", "-d", "-t", "$0:", script]);
    server.tmux(&["wait-for", "shown"]);
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    for parameters in [json!({ "pane": "%1" }), json!({ "pane": "%1", "lines": 5 })] {
        let shown = run.command("capture", parameters).await.completed();
        let content = shown["content"].as_str().unwrap();
        assert_eq!(content.lines().next(), Some(format!("{:060} token=[redacted]", 0).as_str()), "{content}");
        assert!(!content.contains("uvwxyz"), "{content}");
    }
}

#[tokio::test]
async fn typing_is_off_unless_the_settings_allow_it() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks" })).await;
    let refused = run.command("send_keys", json!({ "pane": "%0", "text": "x" })).await.error();
    assert_eq!(refused.0, "PERMISSION_DENIED");
    let commands = run.manifest()["commands"].as_array().unwrap();
    let permission = |name: &str| commands.iter().find(|c| c["name"] == name).unwrap()["permission"].clone();
    assert_eq!(
        (permission("send_keys"), permission("capture"), permission("list")),
        (json!("terminal"), json!("capture"), json!("monitor"))
    );
}

#[tokio::test]
async fn what_is_typed_arrives_as_it_is() {
    let server = Server::start();
    let mut run = server.read(json!({ "allow_send_keys": true })).await;
    let sentinel = server.path("sentinel");
    let text = format!("é; #(touch {0}) $(touch {0}) `touch {0}` ' \" \\ %0 $0 Enter;", sentinel.display());
    run.command("send_keys", json!({ "pane": "%0", "text": text, "enter": true })).await.completed();
    let mut seen = String::new();
    while !seen.contains("Enter;\n") {
        seen += next(&mut run, "pane.output").await.data["content"].as_str().unwrap();
    }
    let joined: String = server.tmux(&["capture-pane", "-p", "-J", "-t", "%0"]);
    assert!(joined.contains(&text), "{joined}");
    assert!(!sentinel.exists());
    assert_eq!(run.command("send_keys", json!({ "pane": "%7", "text": "x" })).await.error().0, "RESOURCE_NOT_FOUND");
    assert_eq!(
        run.command("send_keys", json!({ "pane": "%0", "keys": ["; kill-server"] })).await.error().0,
        "VALIDATION_ERROR"
    );
    run.command("send_keys", json!({ "pane": "%0", "keys": ["C-d"] })).await.completed();
    assert_eq!(next(&mut run, "pane.exited").await.data["pane_id"], "%0");
}

/// In copy mode keys are commands of tmux, whatever the user has bound them to.
#[tokio::test]
async fn nothing_is_typed_into_a_mode_of_tmux() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks", "allow_send_keys": true })).await;
    server.tmux(&["bind-key", "-T", "copy-mode", "y", "set-option -g @ran yes"]);
    server.tmux(&["copy-mode", "-t", "%0"]);
    for parameters in [json!({ "pane": "%0", "text": "y" }), json!({ "pane": "%0", "keys": ["y"] })] {
        let (code, message) = run.command("send_keys", parameters).await.error();
        assert_eq!(code, "SYSTEM_UNAVAILABLE");
        assert!(message.contains("in a mode"), "{message}");
    }
    assert_eq!(server.tmux(&["show-options", "-gqv", "@ran"]), "");
    server.tmux(&["send-keys", "-t", "%0", "-X", "cancel"]);
    run.command("send_keys", json!({ "pane": "%0", "text": "y" })).await.completed();
}

/// A client need not wait for an answer before it types on.
#[tokio::test]
async fn what_one_command_after_the_other_types_comes_in_that_order() {
    let server = Server::start();
    let mut run = server.watch(json!({ "mode": "hooks", "allow_send_keys": true })).await;
    let text = "abcdefghijklmno";
    let typed = |c: char| json!({ "pane": "%0", "text": c.to_string() });
    let requests: Vec<u64> = text.chars().map(|c| run.send_command("send_keys", &typed(c))).collect();
    for request in requests {
        run.answers(request).await.completed();
    }
    server.tmux(&["send-keys", "-t", "%0", "-H", "0d"]);
    let mut shown = String::new();
    while shown.lines().count() < 2 {
        shown = server.tmux(&["capture-pane", "-p", "-t", "%0"]);
    }
    assert_eq!(shown.lines().next(), Some(text));
}
