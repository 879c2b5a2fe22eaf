//! The rooms of older clients where there are many of them, and many who read them.

use crate::{
    mcp::{call, refused},
    session::{draft, publish, session, subscribe},
    world::{World, until},
};
use headwater_router::LogLimits;
use serde_json::{Value, json};

fn members(value: &Value) -> usize {
    value.as_object().map(serde_json::Map::len).or_else(|| value.as_array().map(Vec::len)).unwrap()
}

/// Harm prevented: a thousand connections that read a thousand channels each are a million ids, which a shard would write
/// instead of delivering events, and a model would read.
#[tokio::test]
async fn an_answer_about_rooms_is_bounded_and_counts_all() {
    let limits = LogLimits { channels: 2_000, ..LogLimits::default() };
    let world = World::over(limits, |options| (options.max_connections, options.shards) = (1_000, 2));
    publish(&world, (0..130).map(|room| draft(&format!("room:{room:03}"), "1")).collect());
    let mut readers = Vec::new();
    for _ in 0..110 {
        let mut reader = session(&world).await;
        subscribe(&mut reader, "room:*").await;
        readers.push(reader);
    }
    let status = call(&world, "websocket_get_status", json!({})).await;
    assert_eq!((&status["total_connections"], &status["total_rooms"]), (&json!(110), &json!(130)));
    assert_eq!((members(&status["connections"]), members(&status["rooms"])), (100, 100));
    let room = &status["rooms"]["room:000"];
    assert_eq!((&room["subscribers"], members(&room["connection_ids"])), (&json!(110), 20));
    assert_eq!(status["truncated"], true);
    // What is left out can be asked for.
    let one = call(&world, "websocket_get_status", json!({ "room": "room:129" })).await;
    assert_eq!((&one["total_rooms"], &one["rooms"]["room:129"]["subscribers"]), (&json!(1), &json!(110)));
    let rooms = call(&world, "websocket_list_rooms", json!({})).await;
    assert_eq!((members(&rooms["rooms"]), &rooms["total_rooms"], rooms.get("truncated")), (130, &json!(130), None));
    assert_eq!(rooms["rooms"]["room:129"]["subscribers"], 110);
    let few = call(&world, "websocket_list_rooms", json!({ "room": "room:00*" })).await;
    assert_eq!((members(&few["rooms"]), &few["total_rooms"]), (10, &json!(10)));
    let told = refused(&world, "websocket_list_rooms", json!({ "room": "a b" })).await;
    assert!(told.starts_with("VALIDATION_ERROR: `room`"), "{told}");
    let sent = json!({ "event_type": "t", "room": "room:000" });
    assert_eq!(call(&world, "websocket_broadcast_test_event", sent).await["subscribers"], 110);

    publish(&world, (0..900).map(|room| draft(&format!("more:{room:03}"), "1")).collect());
    let rooms = call(&world, "websocket_list_rooms", json!({})).await;
    assert_eq!((members(&rooms["rooms"]), &rooms["total_rooms"]), (1_000, &json!(1_030)));
    assert_eq!(rooms["truncated"], true);

    // Few enough: all of it, as those clients know it.
    readers.truncate(3);
    until(async || call(&world, "websocket_health_check", json!({})).await["connections"] == 3).await;
    let status = call(&world, "websocket_get_status", json!({ "room": "room:00*" })).await;
    assert_eq!((members(&status["connections"]), status.get("truncated")), (3, None), "{status}");
    assert_eq!(status["rooms"]["room:009"]["connection_ids"], status["connections"]);
}
