//! Sources that read the bus.

use crate::world::{BOTH, World, event};
use headwater_host::{DeliverySink, SinkClosed};
use serde_json::json;

async fn subscribed(world: &World, name: &str) -> DeliverySink {
    world
        .until("a subscription", || {
            let sinks = world.bus.sinks.lock().unwrap();
            sinks.iter().find(|(source, ..)| source == name).map(|(_, _, sink)| sink.clone())
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_source_gets_every_event_in_order() {
    for isolation in BOTH {
        let mut world = World::new();
        let request = json!({ "subscription": 3, "channels": ["agents"], "from": "earliest" });
        let mut config = World::fixture("reader", json!({ "mode": "reads", "request": request }));
        config.isolation = isolation;
        world.start(config).await;
        let sink = subscribed(&world, "reader").await;
        assert_eq!((sink.subscription(), &world.bus.sinks.lock().unwrap()[0].1), (3, &request));

        // Far more than the window: the source takes them, or this would wait for ever.
        let events: Vec<_> = (1..=5000).map(event).collect();
        for page in events.chunks(700) {
            sink.deliver(page).await.unwrap();
        }
        sink.notice(br#"{"type":"gap","channel":"agents"}"#).unwrap();
        world.until("all of them", || (world.count("reader", "seen") == 5000).then_some(())).await;
        let seen = world.payloads("reader", "seen");
        assert!(seen.iter().map(|data| data["offset"].as_u64().unwrap()).eq(1..=5000));
        assert_eq!(seen[4999]["id"], events[4999].id.to_string());
        assert_eq!((&seen[0]["source"], &seen[0]["kind"]), (&json!("claude"), &json!("agent.status")));
        let notice = world.until("the notice", || world.payloads("reader", "noticed").pop()).await;
        assert_eq!(
            notice,
            json!({ "kind": "notice", "subscription": 3, "notice": { "type": "gap", "channel": "agents" } })
        );

        world.host.shutdown().await;
        assert_eq!(*world.bus.ended.borrow(), 1, "the end of the source ends its subscription");
        assert_eq!(sink.deliver(&events[..1]).await, Err(SinkClosed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_the_bus_refuses_is_told_to_the_source() {
    let mut world = World::new();
    let request = json!({ "subscription": 1, "channels": [] });
    world.start(World::fixture("reader", json!({ "mode": "reads", "request": request }))).await;
    let notice = world.until("the refusal", || world.payloads("reader", "noticed").pop()).await;
    assert_eq!(notice["notice"]["error_code"], "VALIDATION_ERROR");
    assert_eq!(notice["notice"]["message"], "`channels` names none");
    world.host.shutdown().await;
}
