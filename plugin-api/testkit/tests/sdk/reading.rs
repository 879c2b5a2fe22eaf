//! A source that reads the bus.

use crate::actor::Actor;
use headwater_testkit::prelude::*;

#[tokio::test]
async fn a_subscription_asks_and_gets_whole_events_in_order() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let request = json!({ "filter": { "severity": "error" }, "from": "earliest" });
    run.command("subscribe", request.clone()).await.completed();
    let asked = run.subscribed(1).await.remove(0);
    assert_eq!(asked["channels"], json!(["agents", "workflow:*"]));
    assert_eq!((&asked["filter"], &asked["from"]), (&request["filter"], &request["from"]));

    let event = BusEvent::new("workflow:7", "started", &json!({ "x": 1 })).source("flows").attribute("pane", "%3");
    assert_eq!(run.deliver(event.severity(Severity::Error).offset(41)).await, 1);
    assert_eq!(run.deliver(BusEvent::new("workflow:7", "ended", &json!(null))).await, 1);
    assert_eq!(run.deliver(BusEvent::new("unrelated", "noise", &json!(1))).await, 0);
    let expected = json!({
        "channel": "workflow:7", "kind": "started", "source": "flows", "data": { "x": 1 }, "pane": "%3",
        "severe": true, "position": { "epoch": "0000000000007e57", "offset": 41 },
        "id": "00000000-0000-7000-8000-000000000029",
    });
    assert_eq!(run.next_event().await.data, expected);
    assert_eq!(run.next_event().await.data["position"]["offset"], 42);
    assert_eq!(run.stop().await, Outcome::Stopped);
    assert_eq!(run.next_event().await.kind, "closed", "a subscription ends when the source is to stop");
    assert!(run.subscriptions().is_empty());
}

#[tokio::test]
async fn a_gap_comes_as_a_gap_and_other_notices_as_they_are() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("subscribe", json!({})).await.completed();
    run.subscribed(1).await;
    run.notice(
        &json!({ "type": "gap", "channel": "agents", "epoch": "7e57", "from": 5, "to": 9, "reason": "retention" }),
    );
    run.notice(&json!({ "type": "lag", "behind": 3 }));
    let lost = run.next_event().await;
    assert_eq!((lost.kind.as_str(), lost.data), ("lost", json!({ "lost": 5, "why": "retention" })));
    assert_eq!(run.next_event().await.data, json!({ "type": "lag", "behind": 3 }));
}

/// A subscription that nobody reads holds a bounded number of events; the rest stays with the host.
#[tokio::test]
async fn a_source_that_does_not_read_takes_a_bounded_number_of_events() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("subscribe_and_ignore", json!({})).await.completed();
    run.subscribed(1).await;
    let event = BusEvent::new("agents", "seen", &json!({}));
    let mut taken = 0;
    while run.try_deliver(&event) == 1 {
        taken += 1;
        assert!(taken < 10_000);
    }
    assert!(taken > 0);
    // A gap still finds its place: without it the loss would be silent.
    run.notice(&json!({ "type": "gap", "channel": "agents", "from": 1, "to": 2, "reason": "retention" }));
}

#[tokio::test]
async fn a_dropped_subscription_is_given_up() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let refused = run.command("subscribe_briefly", json!({})).await.completed();
    assert_eq!(refused, "the request of a subscription is a JSON object");
    assert!(run.subscriptions().is_empty());
    assert_eq!(run.deliver(BusEvent::new("agents", "seen", &json!({}))).await, 0);
}
