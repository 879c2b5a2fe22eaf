//! Events on their way out.

use crate::actor::Actor;
use headwater_testkit::prelude::*;
use std::time::{Duration, UNIX_EPOCH};

#[tokio::test]
async fn an_event_carries_all_its_parts() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("full_event", json!({})).await.completed();
    let event = run.next_event().await;
    assert_eq!((event.channel.as_str(), event.kind.as_str()), ("actor:full", "full"));
    assert_eq!(event.severity, Some(Severity::Warning), "the last severity counts");
    assert_eq!(event.evidence, Some(Evidence::Inferred));
    assert_eq!(event.attributes, [("pane".into(), "%1".into()), ("window".into(), "@2".into())].into());
    assert_eq!(event.time, Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
    assert_eq!(event.retained.as_deref(), Some("k"));
    assert_eq!(event.data, json!([1, 2]));
}

#[tokio::test]
async fn a_plain_event_has_nothing_that_was_not_said() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("emit", json!({ "type": "plain" })).await.completed();
    let event = run.next_event().await;
    assert_eq!((event.severity, event.evidence, event.time, event.retained), (None, None, None, None));
    assert!(event.attributes.is_empty());
}

#[tokio::test]
async fn a_snapshot_is_kept_until_it_is_forgotten() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("retain", json!({ "v": 1 })).await.completed();
    run.command("retain", json!({ "v": 2 })).await.completed();
    assert_eq!(run.snapshot("actor", "key").map(|event| event.data), Some(json!({ "v": 2 })));
    run.command("forget", json!({})).await.completed();
    assert_eq!(run.snapshot("actor", "key"), None);
    assert_eq!(run.events().last().map(|event| event.forgets.clone()), Some(Some("key".into())));
}

#[tokio::test]
async fn json_goes_out_as_it_is() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("raw", json!({})).await.completed();
    assert_eq!(run.next_event().await.data, json!({ "raw": true }));
}

/// An emit that returned is with the host: nothing waits on the plugin's side for a turn that no longer comes.
#[tokio::test]
async fn events_emitted_just_before_the_end_arrive_in_order() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "emit-and-return", "count": 500 }));
    assert_eq!(run.ended().await, Outcome::Stopped);
    let numbers: Vec<u64> = run.events().iter().map(|event| event.data["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_queue_makes_emit_wait_and_loses_nothing() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "flood" }));
    run.limit_queue(3);
    let mut expected = None;
    for _ in 0..50 {
        let n = run.next_event().await.data["n"].as_u64().unwrap();
        assert_eq!(n, expected.unwrap_or(n), "no event is lost or doubled");
        expected = Some(n + 1);
    }
    run.limit_queue(usize::MAX);
    assert_eq!(run.stop().await, Outcome::Stopped);
}

/// A source in a tight loop of emits still answers, so that the host does not take it for dead.
#[tokio::test]
async fn a_flood_leaves_room_for_the_heartbeat() {
    let mut run = Testkit::start::<Actor>(json!({ "begin": "flood" }));
    run.limit_queue(usize::MAX);
    for _ in 0..3 {
        run.heartbeat().await;
    }
    assert!(!run.events().is_empty());
    assert_eq!(run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn what_try_emit_drops_is_counted_and_told() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.limit_queue(4);
    let result = run.command("try_emit", json!({})).await.completed();
    assert_eq!(result, json!({ "taken": 4, "dropped": 6 }));
    assert!(run.dropped().is_empty(), "told only when there is room again");
    run.limit_queue(100);
    run.command("emit", json!({})).await.completed();
    assert_eq!(run.dropped(), [("actor".into(), 6)].into());
    assert_eq!(run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn drops_are_told_at_the_end_at_the_latest() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.limit_queue(0);
    run.command("try_emit", json!({})).await.completed();
    run.command("exit", json!({})).await;
    assert_eq!(run.ended().await, Outcome::Stopped);
    assert_eq!(run.dropped(), [("actor".into(), 10)].into());
}

#[tokio::test]
async fn a_value_without_a_json_form_is_an_error_and_no_event() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let (code, message) = run.command("unencodable", json!({})).await.error();
    assert_eq!(code, "INTERNAL_ERROR");
    assert!(message.starts_with("the event has no JSON form"), "{message}");
    assert!(run.events().is_empty());
}

/// The testkit refuses what a daemon would refuse; otherwise the author learns it only in production.
#[tokio::test]
#[should_panic(expected = "the source emitted on `elsewhere`; its manifest declares emits: [\"actor\", \"actor:*\"]")]
async fn an_undeclared_channel_fails_the_test() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("undeclared", json!({})).await;
    run.next_event().await;
}
