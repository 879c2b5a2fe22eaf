//! What programs print, and which programs they are.

use super::{Scene, ids};
use serde_json::{Value, json};

fn content(event: &Value) -> &str {
    event["data"]["content"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_program_prints() {
    let mut scene = Scene::of("").await;
    scene.tmux.types("%0", "h\u{e9}llo → world\r".as_bytes()).await;
    let fits = |event: &Value| event["type"] == "pane.output" && content(event).contains("h\u{e9}llo → world");
    let output = scene.client.next_that(fits).await;
    assert_eq!((ids(&output).as_str(), &output["evidence"]), ("$0 @0 %0", &json!("observed")));
    assert_eq!((&output["channel"], &output["data"]["severity"]), (&json!("tmux_output"), &json!("info")));
    assert_eq!(output["data"]["server"]["pid"], scene.tmux.pid().await);
}

/// Beside the output, of which there is an event all the same.
#[tokio::test]
async fn a_program_prints_an_error_a_warning_and_a_prompt() {
    let mut scene = Scene::of("").await;
    for (text, kind, severity) in [
        ("fatal error: boom\r", "pane.error", "error"),
        ("one\rtwo\rthree\rwarning: low\r", "pane.warning", "warning"),
        ("one\rtwo\rthree\r$ make\r", "pane.command", "info"),
    ] {
        scene.tmux.types("%0", text.as_bytes()).await;
        let event = scene.client.next_that(|event| event["type"] == kind && event["channel"] == "tmux_output").await;
        assert_eq!((ids(&event).as_str(), &event["severity"]), ("$0 @0 %0", &json!(severity)), "{event}");
    }
}

#[tokio::test]
async fn another_program_runs_in_a_pane() {
    let mut scene = Scene::of("").await;
    scene.run(&["new-window", "-d", "-t", "$0:", "env -i PATH=\"$PATH\" sh"]).await;
    scene.next_with("pane.created", "pane_id", "%1").await;
    scene.tmux.types("%1", b"cat\r").await;
    let fits = |event: &Value| event["channel"] == "tmux" && event["data"]["command"] == "cat";
    let command = scene.client.next_that(|event| event["type"] == "pane.command" && fits(event)).await;
    assert_eq!(ids(&command), "$0 @1 %1");
}
