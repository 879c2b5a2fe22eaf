//! Beginning and end of a source.

use crate::actor::Actor;
use headwater_testkit::prelude::*;

#[tokio::test]
async fn a_source_stops_when_it_is_asked_and_may_say_goodbye() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.heartbeat().await;
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert_eq!(run.events().last().map(|event| event.kind.clone()).as_deref(), Some("bowed"));
}

#[tokio::test]
async fn wrong_settings_are_refused_with_their_reason() {
    let refused = |settings| Testkit::try_start::<Actor>(settings).unwrap_err();
    assert_eq!(
        refused(json!({ "beginn": 1 })),
        "settings: unknown field `beginn`, expected one of `begin`, `count`, \
                                                `fuse`, `hint`"
    );
    assert!(refused(json!({ "count": "many" })).starts_with("settings: invalid type: string \"many\""));
    assert!(refused(json!({ "begin": "late" })).starts_with("settings: unknown variant `late`"));
    assert_eq!(refused(json!(["nothing", 1, false, null])), "the settings are no JSON object");
}

#[tokio::test]
async fn a_panic_while_the_settings_are_read_is_a_reason_too() {
    let reason = Testkit::try_start::<Actor>(json!({ "fuse": true })).unwrap_err();
    assert!(reason.starts_with("the fuse was lit, at ") && reason.contains("actor.rs:"), "{reason}");
}

#[tokio::test]
async fn an_error_is_told_with_its_causes() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "fail" }));
    let Outcome::Failed(reason) = run.ended().await else { panic!("it should have failed") };
    assert!(reason.starts_with("cannot read the script: No such file or directory"), "{reason}");
}

#[tokio::test]
async fn two_instances_live_side_by_side_and_a_third_after_them() {
    let mut one = Testkit::start::<Actor>(json!({}));
    let mut two = Testkit::start::<Actor>(json!({}));
    one.command("emit", json!({ "from": "one" })).await.completed();
    two.command("emit", json!({ "from": "two" })).await.completed();
    assert_eq!(one.next_event().await.data["from"], "one");
    assert_eq!(two.next_event().await.data["from"], "two");
    assert_eq!(one.stop().await, Outcome::Stopped);
    two.heartbeat().await;
    assert_eq!(two.stop().await, Outcome::Stopped);
    let mut three = Testkit::start::<Actor>(json!({}));
    three.command("emit", json!({ "from": "three" })).await.completed();
    assert_eq!(three.next_event().await.data["from"], "three");
    assert_eq!(three.stop().await, Outcome::Stopped);
}

/// The heartbeat is answered by the runtime that the source runs on: an endless loop is noticed.
#[tokio::test]
async fn a_source_that_blocks_its_thread_answers_no_heartbeat() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.heartbeat().await;
    run.send_command("block", &json!({}));
    let (taken, request) = run.send(&json!({ "kind": "heartbeat" }));
    assert_eq!(taken, 0);
    // Proof that no answer comes cannot wait for ever: the queue of questions filling up proves that nobody reads it.
    let mut more = 0;
    while let (0, _) = run.send(&json!({ "kind": "heartbeat" })) {
        more += 1;
        assert!(more < 1_000, "heartbeat {request} was read");
    }
}

#[tokio::test]
async fn the_manifest_says_what_the_source_declares() {
    let run = Testkit::start::<Actor>(json!({}));
    let manifest = run.manifest();
    assert_eq!(manifest["name"], "headwater-testkit");
    assert_eq!(manifest["emits"], json!(["actor", "actor:*"]));
    assert_eq!(manifest["reads"], json!(["agents", "workflow:*"]));
    let commands = manifest["commands"].as_array().unwrap();
    assert_eq!(commands[0], json!({ "name": "emit", "permission": "control" }));
    let pause = commands.iter().find(|command| command["name"] == "pause").unwrap();
    let expected = json!({
        "name": "pause", "permission": "operate", "description": "Rests in \"steps\".\n\nAs long as it takes.",
        "parameters": {
            "type": "object", "description": "Parameters of `pause`.",
            "properties": { "steps": { "type": "integer", "minimum": 0 } },
            "required": ["steps"], "additionalProperties": false,
        },
    });
    assert_eq!(pause, &expected);
    let begin = json!({
        "type": "string", "enum": ["nothing", "emit-and-return", "flood", "fail", "panic"], "default": "nothing",
        "description": "What it does before it takes commands.",
    });
    assert_eq!(manifest["config_schema"]["properties"]["begin"], begin);
}
