//! From HTTP to WebSocket, and into the shards.

use crate::{
    wire::{Client, UPGRADE, text_frame},
    world::{World, until},
};

#[tokio::test]
async fn the_answer_to_a_handshake_is_as_the_standard_has_it() {
    let world = World::start();
    let mut client = world.client().await;
    let mut headers = UPGRADE.to_vec();
    headers.push(("sec-websocket-protocol", "other.v1, headwater.v1"));
    let answer = client.ask("GET", "/v1/stream", &headers, b"").await;
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 101 Switching Protocols"));
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "headwater.v1"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    // Either would make the client wait for a body.
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("transfer-encoding"), None);
}

#[tokio::test]
async fn without_a_known_subprotocol_none_is_chosen() {
    let world = World::start();
    let mut headers = UPGRADE.to_vec();
    headers.push(("sec-websocket-protocol", "other.v1"));
    let answer = world.ask("GET", "/v1/stream", &headers, b"").await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None));
}

#[tokio::test]
async fn a_client_of_cloudevents_and_a_native_one_hear_the_same_events() {
    let world = World::start();
    let (mut native, mut client) = (world.client().await, world.client().await);
    native.upgrade().await;
    let mut headers = UPGRADE.to_vec();
    headers.push(("sec-websocket-protocol", "cloudevents.json, cloudevents.avro"));
    let answer = client.ask("GET", "/v1/stream", &headers, b"").await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some("cloudevents.json")));
    for client in [&mut native, &mut client] {
        client.send(&text_frame(r#"{"type":"subscribe","channels":"a","request_id":1}"#)).await;
    }
    assert_eq!(said(&mut native).await["type"], "subscription_response");
    // The binding knows CloudEvents only: the answer is one too.
    let answer = said(&mut client).await;
    assert_eq!((&answer["specversion"], &answer["type"]), (&"1.0".into(), &"headwater.subscription_response".into()));
    assert_eq!(answer["data"]["request_id"], 1);

    let event = r#"{"specversion":"1.0","id":"e1","source":"/test","type":"door.open","channel":"a","data":{"n":1}}"#;
    client.send(&text_frame(event)).await;
    let (event, same) = (said(&mut client).await, said(&mut native).await);
    assert_eq!((&event["type"], &event["source"]), (&"door.open".into(), &"/headwater/client".into()));
    assert_eq!((&event["data"], &event["data"]), (&same["data"], &serde_json::json!({"n": 1})));
    assert_eq!((&event["id"], &event["offset"]), (&same["message_id"], &"1".into()));
    assert_eq!(same["attributes"], serde_json::json!({"id": "e1", "source": "/test"}));

    client.send(&text_frame(r#"{"specversion":"1.0","id":"e2","source":"/test","type":"t"}"#)).await;
    let refusal = said(&mut client).await;
    assert_eq!((&refusal["type"], &refusal["data"]["request_id"]), (&"headwater.error".into(), &"e2".into()));
}

async fn said(client: &mut Client) -> serde_json::Value {
    let (_, payload) = client.frame().await;
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn plain_http_at_a_websocket_path_is_told_how_to_connect() {
    let world = World::start();
    let host = world.address.to_string();
    let answer = world.ask("GET", "/v1/stream", &[("host", &host)], b"").await;
    let problem = answer.problem(426, "UPGRADE_REQUIRED");
    let line = format!("websocat ws://{host}/v1/stream");
    assert!(problem["detail"].as_str().unwrap().ends_with(&line), "{problem}");
    assert_eq!(answer.header("upgrade"), Some("websocket"));
}

#[tokio::test]
async fn an_old_version_is_told_the_right_one_and_a_bad_key_is_refused() {
    let world = World::start();
    let changed = |name: &str, value: &'static str| -> Vec<(&str, &str)> {
        UPGRADE.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect()
    };
    let answer = world.ask("GET", "/v1/stream", &changed("sec-websocket-version", "8"), b"").await;
    answer.problem(426, "UPGRADE_REQUIRED");
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    world
        .ask("GET", "/v1/stream", &changed("sec-websocket-key", "c2hvcnQ="), b"")
        .await
        .problem(400, "VALIDATION_ERROR");
    world.ask("GET", "/v1/info", UPGRADE, b"").await.json();
    // Only GET can become a WebSocket.
    assert_eq!(world.ask("HEAD", "/v1/stream", UPGRADE, b"").await.status, 426);
}

/// Harm prevented: a client that does not wait for the answer (a fast one, or websocat with a piped line) loses its
/// first message between HTTP and WebSocket.
#[tokio::test]
async fn what_comes_together_with_the_handshake_is_heard() {
    let world = World::start();
    let mut client = world.client().await;
    let mut bytes = b"GET /v1/stream HTTP/1.1\r\nhost: localhost\r\n".to_vec();
    for (name, value) in UPGRADE {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&text_frame(r#"{"type":"heartbeat","timestamp":"now"}"#));
    client.send(&bytes).await;
    assert_eq!(client.answer(false).await.status, 101);
    let (opcode, text) = client.frame().await;
    assert_eq!(opcode, 1);
    let reply: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(reply["type"], "heartbeat_response");
}

/// Whether there is room is known before the handshake; when the last place went in between, the client is told why.
#[tokio::test]
async fn websockets_count_as_connections() {
    let world = World::with(|options| options.max_connections = 2);
    let mut first = world.client().await;
    first.upgrade().await;
    let mut second = world.client().await;
    second.upgrade().await;
    let answer = world.get("/healthz").await;
    answer.problem(503, "SYSTEM_UNAVAILABLE");
    drop((first, second));
    // When they have gone there is room again.
    until(async || world.get("/healthz").await.status == 200).await;
}
