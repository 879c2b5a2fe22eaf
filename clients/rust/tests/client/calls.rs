//! HTTP calls and single requests of a stream.

use crate::scripted::{Daemon, http, stream};
use headwater_client::{Client, Error, Item, Step, Subscription};
use serde_json::json;

#[tokio::test]
async fn a_publish_sends_lines_and_a_token() {
    let daemon = Daemon::play(vec![http(|request| {
        assert!(request.starts_with("POST /v1/events HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer s3cret\r\n"), "{request}");
        assert!(request.contains("content-type: application/x-ndjson\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n{\"channel\":\"a\"}\n"), "{request}");
        ("202 Accepted", r#"{"accepted":1,"positions":[{"channel":"a","epoch":"00000000000000e1","offset":3}]}"#.into())
    })]);
    let client = Client::new(daemon.url(), Some("s3cret")).unwrap();
    let published = client.publish_ndjson("{\"channel\":\"a\"}\n").await.unwrap();
    assert_eq!((published.accepted, published.positions[0].offset), (1, 3));
    daemon.done();
}

#[tokio::test]
async fn a_refusal_keeps_its_words_and_its_fields() {
    let body = json!({"code": "CONFIG_INVALID", "detail": "the config has errors", "diagnostics": "error[E0102]"});
    let daemon = Daemon::play(vec![
        http(move |_| ("422 Unprocessable Entity", body.to_string())),
        http(|_| ("401 Unauthorized", String::new())),
        http(|_| ("200 OK", "<html>".into())),
    ]);
    let client = Client::new(daemon.url(), None).unwrap();
    let Err(Error::Refused(problem)) = client.reload(true).await else { panic!() };
    assert_eq!((problem.status, problem.code.as_str()), (422, "CONFIG_INVALID"));
    assert_eq!(problem.field("diagnostics").as_deref(), Some("error[E0102]"));
    assert!(matches!(client.channels().await, Err(Error::Denied(_))));
    assert!(matches!(client.sources().await, Err(Error::Protocol(_))));
    daemon.done();
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let client = Client::new("http://127.0.0.1:9", None).unwrap();
    assert!(matches!(client.channels().await, Err(Error::Away { url, .. }) if url == "http://127.0.0.1:9"));
    // Something answers, but with no HTTP.
    let daemon = Daemon::play(vec![Box::new(|mut stream| {
        use std::io::{Read, Write};
        // Answering before the request is read would make it a reset connection now and then.
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
    })]);
    let client = Client::new(daemon.url(), None).unwrap();
    let error = client.channels().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    daemon.done();
}

#[tokio::test]
async fn items_that_come_before_an_answer_are_kept() {
    let daemon = Daemon::play(vec![stream(|peer| {
        peer.subscribed(&json!({}));
        let asked = peer.expect("snapshot");
        peer.event("00000000000000e1", 1);
        peer.event("00000000000000e1", 2);
        peer.say(&json!({"type": "snapshot", "request_id": asked["request_id"], "events": []}));
        peer.expect_close();
    })]);
    let mut stream = Client::new(daemon.url(), None).unwrap().stream().await.unwrap();
    stream.subscribe(&Subscription::to(["a"])).await.unwrap();
    assert_eq!(stream.snapshot(&["a".into()]).await.unwrap(), []);
    for offset in [1, 2] {
        assert!(matches!(stream.next().await, Item::Event(event) if event.position().offset == offset));
    }
    stream.close().await;
    daemon.done();
}

#[tokio::test]
async fn a_command_is_answered_in_steps() {
    let daemon = Daemon::play(vec![stream(|peer| {
        let asked = peer.expect("command");
        assert_eq!((&asked["command"], &asked["parameters"]), (&json!("disk/measure"), &json!({"mount": "/"})));
        let id = &asked["request_id"];
        peer.say(&json!({"type": "command_response", "status": "accepted", "request_id": id, "execution_id": "x"}));
        peer.say(&json!({"type": "command_completed", "request_id": id, "execution_id": "x", "result": {"used": 7}}));
        peer.close(1001, "end");
    })]);
    let mut stream = Client::new(daemon.url(), None).unwrap().stream().await.unwrap();
    let parameters = serde_json::from_str(r#"{"mount":"/"}"#).unwrap();
    let id = stream.command("disk/measure", parameters).await.unwrap();
    let Item::Answer(answer) = stream.next().await else { panic!() };
    assert_eq!((answer.request_id, answer.step), (id, Step::Accepted { message: None }));
    let Item::Answer(answer) = stream.next().await else { panic!() };
    assert_eq!(answer.step, Step::Completed { result: r#"{"used":7}"#.into() });
    assert!(matches!(stream.next().await, Item::Closed(closed) if closed.code == 1001));
    // What is asked of an ended connection fails instead of waiting.
    assert!(matches!(stream.snapshot(&["a".into()]).await, Err(Error::Lost(_))));
    daemon.done();
}

#[tokio::test]
async fn a_refused_handshake_is_a_refusal_and_not_a_lost_connection() {
    let daemon = Daemon::play(vec![
        http(|request| {
            assert!(request.starts_with("GET /v1/stream HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("Sec-WebSocket-Protocol: headwater.v1\r\n"), "{request}");
            ("403 Forbidden", r#"{"detail":"this origin may not connect"}"#.into())
        }),
        http(|_| ("503 Service Unavailable", r#"{"detail":"draining"}"#.into())),
    ]);
    let client = Client::new(daemon.url(), None).unwrap();
    assert!(matches!(client.stream().await, Err(Error::Denied(_))));
    let Err(Error::Refused(problem)) = client.stream().await else { panic!() };
    assert_eq!(problem.status, 503);
    daemon.done();
}

#[tokio::test]
async fn a_daemon_that_says_nothing_more_is_given_up() {
    let daemon = Daemon::play(vec![stream(|peer| {
        peer.subscribed(&json!({}));
        peer.expect("heartbeat");
        peer.expect_end();
    })]);
    let mut stream = Client::new(daemon.url(), None).unwrap().stream().await.unwrap();
    stream.subscribe(&Subscription::to(["a"])).await.unwrap();
    // From here on waiting costs no time: without a question for life this would wait for ever.
    tokio::time::pause();
    let item = stream.next().await;
    assert!(matches!(&item, Item::Closed(closed) if closed.reason == "no sign of life for 20 s"), "{item:?}");
    drop(stream);
    daemon.done();
}
