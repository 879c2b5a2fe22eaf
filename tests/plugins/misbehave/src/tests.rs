//! The modes that a test process survives do what they say; the others are for the host's tests.

use super::Misbehave;
use headwater_testkit::prelude::*;

fn start(mode: &str) -> Run {
    Testkit::start::<Misbehave>(json!({ "mode": mode }))
}

#[tokio::test]
async fn it_can_behave() {
    let mut run = start("ok");
    let started = run.next_event().await;
    assert_eq!(started.data, json!({ "mode": "ok", "pid": std::process::id() }));
    assert_eq!(run.command("ping", json!({})).await.completed(), json!({ "pid": std::process::id() }));
    assert_eq!(run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn it_ends_in_every_way_that_leaves_the_process() {
    for (mode, expected) in [
        ("panic", "Panicked(\"misbehaved as told, at "),
        ("panic-in-task", "Panicked(\"a task panicked: misbehaved as told, in a task, at "),
        ("panic-with-bad-drop", "Panicked(\"a panic without a text, at "),
        ("error", "Failed(\"misbehaved as told\")"),
        ("early-return", "Stopped"),
    ] {
        let outcome = format!("{:?}", start(mode).ended().await);
        assert!(outcome.starts_with(expected), "{mode}: {outcome}");
    }
}

#[tokio::test]
async fn it_refuses_and_panics_while_it_starts() {
    let refused = |mode: &str| Testkit::try_start::<Misbehave>(json!({ "mode": mode })).unwrap_err();
    assert_eq!(refused("refuse"), "settings: no settings are good enough");
    assert!(refused("panic-in-create").starts_with("the settings blew up, at "));
}

#[tokio::test]
async fn a_flood_is_numbered_and_ends_when_it_is_told_to() {
    let mut run = Testkit::start::<Misbehave>(json!({ "mode": "flood", "n": 1_000 }));
    run.next_event().await;
    for n in 1..=1_000 {
        assert_eq!(run.next_event().await.data["n"], n);
    }
    run.limit_queue(1_000_000_000);
    run.send_command("act", &json!({ "mode": "flood" }));
    run.next_event().await;
    assert_eq!(run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn it_can_misbehave_later_on_command() {
    let mut run = start("ok");
    run.next_event().await;
    let answers = run.command("act", json!({ "mode": "many-channels", "n": 3 })).await;
    assert!(answers.was_accepted());
    assert_eq!(
        run.events().iter().map(|event| event.channel.as_str()).collect::<Vec<_>>(),
        ["misbehave:0", "misbehave:1", "misbehave:2"]
    );
    run.send_command("act", &json!({ "mode": "error" }));
    assert_eq!(run.ended().await, Outcome::Failed("misbehaved as told".into()));
}

#[tokio::test]
#[should_panic(expected = "the data of an event on `misbehave` is no JSON")]
async fn broken_data_goes_out_broken() {
    let mut run = start("bad-json");
    run.next_event_where("the sound event", |event| event.kind == "misbehave.sound").await;
}
