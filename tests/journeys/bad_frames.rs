//! Clients that break the protocol: an error with a code, or a close with the right code; others are not affected.

use headwater_tests::{Client, Daemon, World};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

async fn neighbour(daemon: &Daemon) -> Client {
    let mut client = daemon.client().await;
    client.subscribe(&["still-here"]).await;
    client
}

async fn is_served(daemon: &Daemon, neighbour: &mut Client) {
    daemon.client().await.publish("still-here", "ping", json!(1)).await;
    assert_eq!(neighbour.next().await["type"], "ping");
}

/// A connection by hand, on which any byte can be sent.
async fn raw(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.address()).await.unwrap();
    let request = format!(
        "GET /v1/stream HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        daemon.address()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    assert!(String::from_utf8_lossy(&head).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    stream
}

/// Reads until the close frame and gives its code.
async fn close_code(stream: &mut TcpStream) -> u16 {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.first(), Some(&0x88), "a close frame comes first: {bytes:02x?}");
    u16::from_be_bytes([bytes[2], bytes[3]])
}

#[tokio::test]
async fn bytes_that_are_no_websocket_close_with_the_right_code() {
    let daemon = World::new().start().await;
    let mut neighbour = neighbour(&daemon).await;
    let mask = [0u8; 4];
    let frame = |head: &[u8], payload: &[u8]| [head, &mask, payload].concat();
    for (bytes, code) in [
        (vec![0x81, 0x01, b'x'], 1002),
        (frame(&[0xf1, 0x81], b"x"), 1002),
        (frame(&[0x83, 0x81], b"x"), 1002),
        (frame(&[0x80, 0x81], b"x"), 1002),
        (frame(&[0x82, 0x81], b"x"), 1003),
        (frame(&[0x81, 0x81], b"\xff"), 1007),
        (frame(&[0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], b""), 1009),
        (frame(&[0x88, 0x81], b"x"), 1002),
    ] {
        let mut stream = raw(&daemon).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, code, "{bytes:02x?}");
    }
    is_served(&daemon, &mut neighbour).await;
}

#[tokio::test]
async fn a_flood_of_empty_fragments_is_closed_with_1008() {
    let limit = "[gateway.limits]\nframes_per_second = 100\n";
    let daemon = World::new().config(limit).start().await;
    let mut neighbour = neighbour(&daemon).await;
    let mut stream = raw(&daemon).await;
    let mut flood = vec![0x01, 0x80, 0, 0, 0, 0];
    for _ in 0..2000 {
        flood.extend_from_slice(&[0x00, 0x80, 0, 0, 0, 0]);
    }
    stream.write_all(&flood).await.unwrap();
    assert_eq!(close_code(&mut stream).await, 1008);
    is_served(&daemon, &mut neighbour).await;
}

#[tokio::test]
async fn text_that_is_no_request_is_answered_and_the_connection_goes_on() {
    let daemon = World::new().start().await;
    let mut client = daemon.client().await;
    for (text, code) in [
        ("", "INVALID_JSON"),
        ("{", "INVALID_JSON"),
        ("[]", "INVALID_JSON"),
        ("null", "INVALID_JSON"),
        ("{}", "VALIDATION_ERROR"),
        (r#"{"type":"subscribe"}"#, "VALIDATION_ERROR"),
        (r#"{"type":"subscribe","channels":[]}"#, "VALIDATION_ERROR"),
        (r#"{"type":"subscribe","type":"publish"}"#, "VALIDATION_ERROR"),
        (r#"{"type":"no such thing"}"#, "UNKNOWN_MESSAGE_TYPE"),
    ] {
        client.send_text(text).await;
        let answer = client.next().await;
        assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!(code)), "{text}");
    }
    client.subscribe(&["fine"]).await;
}

#[tokio::test]
async fn more_messages_than_allowed_are_refused_with_a_time_to_go_on() {
    let limit = "[gateway.limits]\nmessages_per_second = 5\nmessage_burst = 10\n";
    let daemon = World::new().config(limit).start().await;
    let mut client = daemon.client().await;
    for _ in 0..30 {
        client.send(&json!({"type": "heartbeat"})).await;
    }
    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(client.next().await);
    }
    let served = answers.iter().filter(|answer| answer["type"] == "heartbeat_response").count();
    let refused = answers.iter().find(|answer| answer["type"] == "error").expect("some are refused");
    assert!((10..=15).contains(&served), "{served} of 30 were served");
    assert_eq!(refused["error_code"], "RATE_LIMIT_EXCEEDED");
    assert!(refused["message"].as_str().unwrap().contains("ms"), "{refused}");
}

#[tokio::test]
async fn an_oversize_message_closes_with_1009() {
    let daemon = World::new().start().await;
    let mut neighbour = neighbour(&daemon).await;
    let mut client = daemon.client().await;
    client.send_raw(Message::text("x".repeat(100_000))).await;
    assert_eq!(client.closed().await.code, Some(1009));
    is_served(&daemon, &mut neighbour).await;
}
