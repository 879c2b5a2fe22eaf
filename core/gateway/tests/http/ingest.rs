//! `POST /v1/events` over the wire.

use crate::{wire::Answer, world::World};
use serde_json::json;
use tokio::io::AsyncWriteExt;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const ONE: &str = r#"{"channel":"deploys","type":"deploy.done","data":{"ok":true}}"#;

/// Nothing may have come into the bus.
fn nothing_published(world: &World) {
    assert!(world.router.channels().is_empty(), "{:?}", world.router.channels());
}

#[tokio::test]
async fn one_event_an_array_and_lines_come_in() {
    let world = World::start();
    let answer = world.post("/v1/events", JSON, ONE).await;
    let first = answer.json();
    let epoch = &first["positions"][0]["epoch"];
    assert_eq!(answer.status, 202);
    assert_eq!(first, json!({"accepted": 1, "positions": [{"channel": "deploys", "epoch": epoch, "offset": 1}]}));
    assert_eq!(epoch.as_str().unwrap().len(), 16);
    let array = format!(r#"[{ONE},{{"channel":"other","type":"t","severity":"warning","key":"k"}},{ONE}]"#);
    let answer = world.post("/v1/events", "application/json; charset=utf-8", array).await.json();
    assert_eq!(answer["accepted"], 3);
    assert_eq!(answer["positions"][1]["channel"], "other");
    assert_eq!(answer["positions"][2]["offset"], 3);
    let answer = world.post("/v1/events", LINES, format!("{ONE}\n\n{ONE}\r\n{ONE}")).await.json();
    assert_eq!((&answer["accepted"], &answer["positions"][2]["offset"]), (&json!(3), &json!(6)));
    let snapshot = world.get("/v1/snapshot").await.json();
    assert_eq!(snapshot["events"][0]["source"], "client");
    assert_eq!(snapshot["events"][0]["severity"], "warning");
}

#[tokio::test]
async fn cloudevents_come_in_as_one_object_as_a_batch_and_as_headers() {
    let world = World::start();
    let one = |id: &str, more: &str| {
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"order.placed","data":{{"n":1}}{more}}}"#)
    };
    let structured = "application/cloudevents+json; charset=utf-8";
    let answer = world.post("/v1/events?channel=orders", structured, one("1", "")).await;
    assert_eq!((answer.status, &answer.json()["positions"][0]["channel"]), (202, &json!("orders")));
    let batch = format!("[{},{}]", one("2", r#","channel":"other""#), one("3", ""));
    let answer = world.post("/v1/events?channel=orders", "application/cloudevents-batch+json", batch).await.json();
    assert_eq!((&answer["accepted"], &answer["positions"][0]["channel"]), (&json!(2), &json!("other")));
    let headers = [
        ("content-type", JSON),
        ("ce-specversion", "1.0"),
        ("ce-id", "4"),
        ("ce-source", "/shop"),
        ("ce-type", "order.placed"),
        ("ce-channel", "orders"),
    ];
    let answer = world.ask("POST", "/v1/events", &headers, br#"{"n":4}"#).await;
    assert_eq!((answer.status, &answer.json()["positions"][0]["offset"]), (202, &json!(3)));
    // The same source and id are the same event.
    let again = world.ask("POST", "/v1/events", &headers, br#"{"n":4}"#).await;
    assert_eq!(again.json()["positions"][0]["offset"], 3);
    assert_eq!(world.router.log("orders").unwrap().head(), 3);
}

#[tokio::test]
async fn a_wrong_cloudevent_is_told_what_is_wrong() {
    let world = World::start();
    let structured = "application/cloudevents+json";
    for (path, content_type, body, status, code, word) in [
        (
            "/v1/events",
            structured,
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
            400,
            "VALIDATION_ERROR",
            "channel",
        ),
        (
            "/v1/events?channel=a",
            structured,
            r#"{"specversion":"1.0","source":"/s","type":"t"}"#,
            400,
            "VALIDATION_ERROR",
            "id",
        ),
        (
            "/v1/events?channel=a",
            structured,
            r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
            400,
            "VALIDATION_ERROR",
            "specversion",
        ),
        (
            "/v1/events?channel=a",
            "application/cloudevents-batch+json",
            r#"[{"specversion":"1.0","id":"1","source":"/s","type":"t"},7]"#,
            400,
            "INVALID_JSON",
            "item 1",
        ),
        ("/v1/events?channel=a", "application/cloudevents-batch+json", "[]", 400, "VALIDATION_ERROR", "no event"),
        ("/v1/events?channel=a", "application/cloudevents+avro", "x", 415, "UNSUPPORTED_MEDIA_TYPE", "avro"),
        ("/v1/events?channel=a%20b", structured, "{}", 400, "VALIDATION_ERROR", "channel"),
        ("/v1/events?chanel=a", structured, "{}", 400, "VALIDATION_ERROR", "chanel"),
        ("/v1/events?channel=a", JSON, ONE, 400, "VALIDATION_ERROR", "in each event"),
    ] {
        let answer = world.post(path, content_type, body).await;
        let problem = answer.problem(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(word), "{body}: {problem}");
    }
    nothing_published(&world);
}

/// Harm prevented: a script whose answer was lost posts again, and every reader counts the deploy twice.
#[tokio::test]
async fn a_call_that_is_sent_again_with_its_key_is_published_once() {
    let world = World::start();
    for key in ["\"k 1\"", "k 1"] {
        let headers = [("content-type", JSON), ("idempotency-key", key)];
        let array = format!("[{ONE},{ONE}]");
        let answer = world.ask("POST", "/v1/events", &headers, array.as_bytes()).await;
        assert_eq!((answer.status, &answer.json()["positions"][1]["offset"]), (202, &json!(2)), "{key}");
    }
    let keyed = r#"{"channel":"deploys","type":"t","idempotency_key":"own"}"#;
    for _ in 0..2 {
        assert_eq!(world.post("/v1/events", JSON, keyed).await.json()["positions"][0]["offset"], 3);
    }
    assert_eq!(world.router.log("deploys").unwrap().head(), 3);
    let empty = [("content-type", JSON), ("idempotency-key", "")];
    world.ask("POST", "/v1/events", &empty, ONE.as_bytes()).await.problem(400, "VALIDATION_ERROR");
}

/// Harm prevented: a form of another site, which needs no permission of the browser for these types.
#[tokio::test]
async fn other_media_types_are_refused() {
    let world = World::start();
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "", "json"]
    {
        world.post("/v1/events", content_type, ONE).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    world.ask("POST", "/v1/events", &[], ONE.as_bytes()).await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let compressed = [("content-type", JSON), ("content-encoding", "gzip")];
    let answer = world.ask("POST", "/v1/events", &compressed, ONE.as_bytes()).await;
    answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    nothing_published(&world);
}

#[tokio::test]
async fn a_bad_item_refuses_the_whole_call_and_is_named() {
    let world = World::start();
    let detail = |answer: &Answer| {
        let problem = answer.problem(400, "VALIDATION_ERROR");
        (problem["detail"].as_str().unwrap().to_owned(), problem)
    };
    let lines = format!("{ONE}\n\n{ONE}\n{{\"channel\":\"x\"}}\n");
    let (text, problem) = detail(&world.post("/v1/events", LINES, lines).await);
    assert!(text.starts_with("item 2 (line 4):") && text.ends_with("nothing was published"), "{text}");
    assert_eq!((&problem["errors"][0]["item"], &problem["errors"][0]["line"]), (&json!(2), &json!(4)));
    let array = format!(r#"[{ONE},{{"channel":"a b","type":"t"}},{{"channel":"a","type":"t","severity":"loud"}}]"#);
    let (text, problem) = detail(&world.post("/v1/events", JSON, array).await);
    assert!(text.starts_with("item 1: `channel`") && text.contains("and 1 more of 3 items"), "{text}");
    assert!(problem["errors"][1]["message"].as_str().unwrap().contains("`severity`"), "{problem}");
    let twice = r#"{"channel":"a","channel":"b","type":"t"}"#;
    let (text, _) = detail(&world.post("/v1/events", JSON, twice).await);
    assert!(text.contains("duplicate field"), "{text}");
    nothing_published(&world);
}

#[tokio::test]
async fn broken_bodies_are_told_apart_from_bad_ones() {
    let world = World::start();
    for (content_type, body) in
        [(JSON, "{"), (JSON, "[{},"), (LINES, "{\n"), (JSON, "\u{feff}{}"), (JSON, "7"), (LINES, "null")]
    {
        world.post("/v1/events", content_type, body).await.problem(400, "INVALID_JSON");
    }
    for (content_type, body) in [(JSON, ""), (JSON, "[]"), (LINES, "\n"), (JSON, "{}")] {
        world.post("/v1/events", content_type, body).await.problem(400, "VALIDATION_ERROR");
    }
    nothing_published(&world);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_answer_arrives() {
    let world = World::with(|options| options.max_ingest_bytes = 1000);
    // Announced: refused before it is read. The client may send on for a moment: a reset could overtake the answer.
    let mut client = world.client().await;
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\ncontent-length: 9000000\r\n\r\n"
    );
    client.send(head.as_bytes()).await;
    client.stream.write_all(&vec![b' '; 9_000_000]).await.unwrap();
    let problem = client.answer(false).await.problem(413, "PAYLOAD_TOO_LARGE");
    assert!(problem["detail"].as_str().unwrap().contains("gateway.max_ingest_bytes"), "{problem}");
    // Not announced: refused where it passes the limit.
    let mut chunked = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..100 {
        chunked.extend_from_slice(b"64\r\n");
        chunked.extend_from_slice(&[b' '; 100]);
        chunked.extend_from_slice(b"\r\n");
    }
    world.raw(chunked).await.problem(413, "PAYLOAD_TOO_LARGE");
    // Exactly the limit is no more than the limit.
    let body = format!("{ONE}{}", " ".repeat(1000 - ONE.len()));
    assert_eq!(world.post("/v1/events", JSON, body).await.status, 202);
}

#[tokio::test]
async fn a_client_that_asks_first_need_not_send_what_is_too_large() {
    let world = World::with(|options| options.max_ingest_bytes = 1000);
    let head = |length: usize| {
        format!(
            "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    world.raw(head(5000)).await.problem(413, "PAYLOAD_TOO_LARGE");
    let mut client = world.client().await;
    client.send(head(ONE.len()).as_bytes()).await;
    assert_eq!(client.answer(false).await.status, 100);
    client.send(ONE.as_bytes()).await;
    assert_eq!(client.answer(false).await.status, 202);
}

#[tokio::test]
async fn a_body_that_ends_early_publishes_nothing() {
    let world = World::start();
    let mut client = world.client().await;
    let head =
        format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {LINES}\r\ncontent-length: 900\r\n\r\n");
    client.send(format!("{head}{ONE}\n").as_bytes()).await;
    client.stream.shutdown().await.unwrap();
    client.closed().await;
    nothing_published(&world);
}

#[tokio::test]
async fn who_publishes_too_fast_is_told_when_to_come_back() {
    let world = World::with(|options| options.limits.publish_per_second = 3);
    let three = format!("{ONE}\n{ONE}\n{ONE}");
    assert_eq!(world.post("/v1/events", LINES, &three).await.status, 202);
    let answer = world.post("/v1/events", LINES, &three).await;
    answer.problem(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(world.router.channels()[0].head, 3);
}

#[tokio::test]
async fn one_channel_too_many_is_refused_with_the_setting_to_raise() {
    let world = World::start(); // a router for 8 channels
    let items: Vec<_> = (0..9).map(|n| json!({"channel": format!("c{n}"), "type": "t"})).collect();
    let body = serde_json::to_vec(&items).unwrap();
    let problem = world.post("/v1/events", JSON, body).await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("router.max_channels"), "{problem}");
    nothing_published(&world);
}
