//! The state of the whole hive.

use crate::world::World;
use headwater_testkit::prelude::*;
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_hive_is_told_on_change_and_at_most_once_a_second() {
    let mut world = World::new(json!({ "status_interval": "1h" })).await;
    let first = world.next("hive_status_update").await;
    let begun = Instant::now();
    assert_eq!((&first.data["status"], &first.data["metrics"]["total_agents"]), (&json!("healthy"), &json!(0)));
    assert_eq!(first.retained.as_deref(), Some("hive"));
    for number in 0..50 {
        world.run.command("create_agent", json!({ "id": format!("a{number}") })).await.completed();
    }
    let second = world.next("hive_status_update").await;
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(900), "{took:?}");
    assert_eq!(second.data["metrics"]["total_agents"], 50, "one update for all of it");
}

#[tokio::test]
async fn quiet_times_have_their_updates_too() {
    let mut world = World::new(json!({ "status_interval": "1s" })).await;
    world.next("hive_status_update").await;
    let begun = Instant::now();
    world.next("hive_status_update").await;
    assert!(begun.elapsed() > Duration::from_millis(900));
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
