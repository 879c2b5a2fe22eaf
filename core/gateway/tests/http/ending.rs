//! The end of a gateway: nobody new, requests finish, WebSocket clients are told when to come back.

use crate::world::{World, until};
use headwater_protocol::CloseCode;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_request_at_hand_is_finished_and_nobody_new_is_taken() {
    let mut world = World::start();
    world.ports.reloads.forget_permits(1000);
    let mut client = world.client().await;
    client.send(b"POST /v1/reload HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    until(async || !world.ports.asked().is_empty()).await;
    let mut resting = world.client().await;
    assert_eq!(resting.ask("GET", "/healthz", &[], b"").await.status, 200);
    world.begin_end(CloseCode::GoingAway);
    // A connection between two requests ends at once.
    assert!(resting.closed().await.is_empty());
    until(async || TcpStream::connect(world.address).await.is_err()).await;
    world.ports.reloads.add_permits(1);
    let answer = client.answer(false).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"unchanged".into()));
    assert_eq!(answer.header("connection"), Some("close"));
    drop(client);
    world.ended().await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut() {
    let mut world = World::with(|options| options.drain = Duration::from_millis(400));
    world.ports.reloads.forget_permits(1000);
    let mut client = world.client().await;
    client.send(b"POST /v1/reload HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    until(async || !world.ports.asked().is_empty()).await;
    let start = Instant::now();
    world.begin_end(CloseCode::GoingAway);
    world.ended().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn websocket_clients_are_told_whether_to_come_back() {
    for code in [CloseCode::Restart, CloseCode::GoingAway] {
        let mut world = World::start();
        let mut client = world.client().await;
        client.upgrade().await;
        world.begin_end(code);
        let payload = loop {
            // What is said before the close is the shards' own.
            let (opcode, payload) = client.frame().await;
            if opcode == 8 {
                break payload;
            }
        };
        assert_eq!(payload[..2], code.number().to_be_bytes());
        drop(client);
        world.ended().await;
    }
}

#[tokio::test]
async fn the_address_is_free_for_the_next_daemon() {
    let mut world = World::start();
    world.begin_end(CloseCode::Restart);
    world.ended().await;
    let address = world.address;
    let next = World::with(|options| options.listen = address);
    assert_eq!(next.get("/healthz").await.status, 200);
}

/// Harm prevented: `curl` is interrupted, and the reload that it asked for stops between the old config and the new one.
#[tokio::test]
async fn a_reload_goes_on_when_its_client_goes_away() {
    let world = World::start();
    world.ports.reloads.forget_permits(1000);
    let mut client = world.client().await;
    client.send(b"POST /v1/reload HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    until(async || !world.ports.asked().is_empty()).await;
    drop(client);
    let mut asking = world.client().await;
    // The connection is gone, and its handler with it.
    until(async || asking.ask("GET", "/metrics", &[], b"").await.text().contains("connections{protocol=\"http\"} 1"))
        .await;
    world.ports.reloads.add_permits(1);
    until(async || world.ports.asked().last().is_some_and(|last| last == "reloaded")).await;
}
