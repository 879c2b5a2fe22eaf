//! The state of the whole hive.

use crate::world::World;
use headwater_testkit::prelude::*;
use std::time::Duration;

/// When an update was made: a test that is held up itself reads it later.
fn made(update: &TestEvent) -> jiff::Timestamp {
    update.data["timestamp"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_hive_is_told_on_change_and_at_most_once_a_second() {
    let mut world = World::new(json!({ "status_interval": "1h" })).await;
    let mut last = world.next("hive_status_update").await;
    assert_eq!((&last.data["status"], &last.data["metrics"]["total_agents"]), (&json!("healthy"), &json!(0)));
    assert_eq!(last.retained.as_deref(), Some("hive"));
    for number in 0..50 {
        world.run.command("create_agent", json!({ "id": format!("a{number}") })).await.completed();
    }
    // One update for all of it, or a few where the machine is slow.
    while last.data["metrics"]["total_agents"] != 50 {
        let next = world.next("hive_status_update").await;
        let apart = made(&next).duration_since(made(&last)).unsigned_abs();
        assert!(apart > Duration::from_millis(500), "{apart:?}");
        last = next;
    }
}

#[tokio::test]
async fn quiet_times_have_their_updates_too() {
    let mut world = World::new(json!({ "status_interval": "1s" })).await;
    let first = world.next("hive_status_update").await;
    let second = world.next("hive_status_update").await;
    assert!(made(&second).duration_since(made(&first)).unsigned_abs() > Duration::from_millis(500));
}

#[tokio::test]
async fn an_alert_of_a_client_degrades_it() {
    let mut world = World::new(json!({})).await;
    let data = json!({ "level": "warning", "title": "Disk", "message": "full", "details": {} });
    world.run.command("report", json!({ "type": "system_alert", "data": data })).await.completed();
    let degraded = |event: &TestEvent| event.kind == "hive_status_update" && event.data["status"] == "degraded";
    let update = world.run.next_event_where("a degraded hive", degraded).await;
    assert_eq!(update.data["alerts"][0]["message"], "full");
}
