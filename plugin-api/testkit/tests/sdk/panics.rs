//! Panics of the author's code stay on the plugin's side, and are told with their place.

use crate::actor::Actor;
use headwater_testkit::prelude::*;

async fn panics(run: &mut Run) -> String {
    match run.ended().await {
        Outcome::Panicked(text) => text,
        other => panic!("it should have panicked: {other:?}"),
    }
}

#[tokio::test]
async fn a_panic_in_run_is_told_with_its_place() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "panic" }));
    let text = panics(&mut run).await;
    assert!(text.starts_with("stage fright, at ") && text.contains("actor.rs:"), "{text}");
    assert_eq!(run.logged("stage fright, at ").await.level, 1);
}

/// Half a source is worse than one that starts again: a task that panicked ends it, also when nobody waits for the task.
#[tokio::test]
async fn a_panic_in_a_task_ends_the_source() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("panic_in_task", json!({})).await;
    let text = panics(&mut run).await;
    assert!(text.starts_with("a task panicked: the understudy fell, at "), "{text}");
}

#[tokio::test]
async fn a_panic_in_blocking_work_ends_the_source() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.send_command("panic_in_blocking", &json!({}));
    let text = panics(&mut run).await;
    assert!(text.starts_with("a task panicked: the stagehand fell, at "), "{text}");
}

/// Such a payload tears down the process of whoever drops it.
#[tokio::test]
async fn a_panic_payload_that_panics_when_dropped_does_no_harm() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.send_command("panic_badly", &json!({}));
    let text = panics(&mut run).await;
    assert!(text.starts_with("a panic without a text, at "), "{text}");
}

/// What a command did before the panic nobody knows: the host says `outcome_unknown`, the plugin says nothing.
#[tokio::test]
async fn a_command_that_panics_is_not_answered_by_the_plugin() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let held = run.send_command("hold", &json!({}));
    run.send_command("panic", &json!({}));
    panics(&mut run).await;
    assert_eq!(run.unanswered(), [held, held + 1]);
}

#[tokio::test]
async fn a_plugin_starts_again_after_a_panic() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "panic" }));
    panics(&mut run).await;
    let mut again = Testkit::start::<Actor>(json!({}));
    again.heartbeat().await;
    assert_eq!(again.stop().await, Outcome::Stopped);
}
