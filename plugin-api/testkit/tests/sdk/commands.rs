//! Commands and their answers.

use crate::actor::Actor;
use headwater_testkit::prelude::*;

#[tokio::test]
async fn a_command_is_accepted_makes_progress_and_completes() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let answers = run.command("pause", json!({ "steps": 3 })).await;
    assert!(answers.was_accepted());
    let steps: Vec<_> = answers.progress().iter().map(|p| p["step_number"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3]);
    let first = json!({ "status": "progress", "current_step": "resting", "step_number": 1, "total_steps": 3 });
    assert_eq!(answers.progress()[0], &first, "what is not known is left out");
    assert_eq!(answers.completed(), json!({ "rested": 3 }));
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_a_validation_error() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let (code, message) = run.command("pause", json!({ "stepz": 3 })).await.error();
    assert_eq!(code, "VALIDATION_ERROR");
    assert!(message.contains("unknown field `stepz`"), "{message}");
}

#[tokio::test]
async fn a_failure_has_a_code_details_and_advice() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let answers = run.command("refuse", json!({})).await;
    let expected = json!({
        "status": "error", "error_code": "RESOURCE_NOT_FOUND", "message": "no such prop",
        "details": { "prop": "skull" }, "suggested_action": "ask Yorick",
    });
    assert_eq!(answers.last(), &expected);
    let (code, message) = run.command("answer_error", json!({})).await.error();
    assert_eq!((code.as_str(), message.as_str()), ("INTERNAL_ERROR", "disk on fire"));
}

#[tokio::test]
async fn an_undeclared_command_never_reaches_the_source() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let (code, message) = run.command("recite", json!({})).await.error();
    assert_eq!((code.as_str(), message.as_str()), ("UNKNOWN_COMMAND", "the source has no command `recite`"));
    let (code, _) = run.command("whoami", json!({})).await.error();
    assert_eq!(code, "UNKNOWN_COMMAND");
    assert_eq!(run.stop().await, Outcome::Stopped);
}

/// A client that waits for an answer gets one, also when the author forgot it.
#[tokio::test]
async fn a_dropped_command_is_answered_with_an_error() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let (code, message) = run.command("drop", json!({})).await.error();
    assert_eq!((code.as_str(), message.as_str()), ("INTERNAL_ERROR", "the source dropped the command"));
    let (_, message) = run.command("not_json", json!({})).await.error();
    assert!(message.starts_with("the result has no JSON form"), "{message}");
}

#[tokio::test]
async fn commands_at_the_end_are_answered_too() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let held = run.send_command("hold", &json!({}));
    run.command("emit", json!({})).await.completed(); // by now it holds the first one
    assert_eq!(run.stop().await, Outcome::Stopped);
    let (code, _) = run.answers(held).await.error();
    assert_eq!(code, "INTERNAL_ERROR");
    let (taken, _) = run.send(&json!({ "kind": "command", "name": "emit" }));
    assert_ne!(taken, 0, "an instance that is gone takes no command");
}

/// The queue is bounded: a source that does not look at its commands cannot be made to hold any number of them, and the
/// host hears at once that the next one is not taken. The heartbeat does not queue behind them.
#[tokio::test]
async fn a_source_that_does_not_listen_takes_a_bounded_number_of_commands() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "flood" }));
    run.limit_queue(usize::MAX);
    let command = json!({ "kind": "command", "name": "emit", "parameters": {} });
    let mut sent = Vec::new();
    while let (0, request) = run.send(&command) {
        sent.push(request);
        assert!(sent.len() < 1_000);
    }
    run.heartbeat().await;
    assert_eq!(run.stop().await, Outcome::Stopped);
    for request in sent {
        let (code, message) = run.answers(request).await.error();
        assert_eq!(code, "SYSTEM_UNAVAILABLE", "{message}");
    }
}

#[tokio::test]
async fn messages_from_the_future_are_answered_and_broken_ones_refused() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let (taken, request) = run.send(&json!({ "kind": "body", "path": "x" }));
    assert_eq!(taken, 0);
    assert_eq!(run.answers(request).await.error().0, "UNKNOWN_COMMAND");
    assert_eq!(run.send(&json!({ "no": "kind" })).0, 1, "malformed");
    assert_eq!(run.send(&json!({ "kind": "log_level", "level": "loud" })).0, 1, "malformed");
    run.heartbeat().await;
}
