//! `GET /v1/events` as lines: past and to come, filtered, compressed, and clients that do not read.

use crate::{
    stream::{Stream, draft, metric, numbers, publish, publish_run},
    world::{World, until},
};
use flate2::read::GzDecoder;
use headwater_event::{Draft, Severity, Timestamp};
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::{io::Read, time::Duration};

#[tokio::test]
async fn without_follow_it_is_what_there_is_line_by_line() {
    let world = World::start();
    publish_run(&world, "a", 1..=3);
    publish_run(&world, "b", 4..=4);
    let answer = world.get("/v1/events?channel=a").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    assert_eq!((answer.header("cache-control"), answer.header("x-accel-buffering")), (Some("no-store"), Some("no")));
    assert_eq!((numbers(&answer.text()), answer.header("content-encoding")), (vec![1, 2, 3], None));
    let first: Value = serde_json::from_str(answer.text().lines().next().unwrap()).unwrap();
    assert_eq!((&first["channel"], &first["offset"], &first["type"]), (&json!("a"), &json!(1), &json!("tested")));
    let mut all = numbers(&world.get("/v1/events").await.text());
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4]);
    assert_eq!(numbers(&world.get("/v1/events?channel=a&channel=b&limit=2").await.text()).len(), 2);
    assert_eq!(world.get("/v1/events?channel=nothing").await.text(), "");
    assert!(world.router.log("nothing").is_none(), "asking for what is there made a channel");
}

#[tokio::test]
async fn with_follow_it_begins_at_once_and_goes_on() {
    let world = World::start();
    publish_run(&world, "a", 1..=3);
    let mut stream = Stream::open(&world, "?channel=a&follow=1", &[]).await;
    let mut all = Stream::open(&world, "?channel=a*&follow=1&from=earliest", &[]).await;
    let mut two = Stream::open(&world, "?channel=a&follow=1&limit=2", &[]).await;
    publish_run(&world, "a", 4..=5);
    publish_run(&world, "ab", 6..=6);
    publish_run(&world, "b", 7..=7);
    for number in [4, 5] {
        assert_eq!(stream.json().await["data"], number);
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(all.json().await["data"].as_u64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&two.rest().await), [4, 5]);
    assert_eq!(metric(&world, "headwater_open_streams").await, 2);
    assert!(metric(&world, "headwater_streamed_events_total").await >= 10);
}

#[tokio::test]
async fn a_stream_has_the_filters_of_a_subscription() {
    let world = World::start();
    let mut drafts: Vec<Draft> = (1..=6).map(|number| draft("a", &format!("{{\"n\":{number}}}"))).collect();
    drafts[1].severity = Some(Severity::Error);
    drafts[2].kind = "other".into();
    drafts[3].attributes = Box::new([("mount".into(), "/var".into())]);
    drafts[4].source = "disk".into();
    publish(&world, drafts);
    for (query, expected) in [
        ("severity=warning", &[2][..]),
        ("type=oth*", &[3]),
        ("attr.mount=/*", &[4]),
        ("source=disk&source=none", &[5]),
        ("where=data.n%20%3E%204", &[5, 6]),
        ("where=data.n+%3E+4&source=test", &[6]),
    ] {
        let answer = world.get(&format!("/v1/events?channel=a&{query}")).await;
        let events = answer
            .text()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["n"].clone())
            .collect::<Vec<_>>();
        assert_eq!(events, expected.iter().map(|n| json!(n)).collect::<Vec<_>>(), "{query}");
    }
}

#[tokio::test]
async fn a_span_of_time_begins_and_ends_where_it_is_asked() {
    let world = World::start();
    let at = |seconds: i64| {
        let time = Timestamp(1_700_000_000_000_000_000 + seconds * 1_000_000_000);
        (Draft { time, ..draft("a", &seconds.to_string()) }, time.to_string())
    };
    publish(&world, [10, 20, 30, 40].map(|seconds| at(seconds).0).to_vec());
    let span = format!("/v1/events?since={}&until={}", at(20).1, at(30).1);
    assert_eq!(numbers(&world.get(&span).await.text()), [20, 30]);
    assert_eq!(numbers(&world.get(&format!("/v1/events?since={}", at(25).1)).await.text()), [30, 40]);
    assert_eq!(numbers(&world.get(&format!("/v1/events?until={}", at(15).1)).await.text()), [10]);
    assert_eq!(numbers(&world.get("/v1/events?since=5m").await.text()), [0; 0]);
    let mut stream = Stream::open(&world, &format!("?since={}&follow=1", at(40).1), &[]).await;
    assert_eq!(stream.json().await["data"], 40);
    publish_run(&world, "a", 50..=50);
    assert_eq!(stream.json().await["data"], 50);
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_told() {
    let world = World::start();
    let position = publish_run(&world, "a", 1..=3)[2];
    let ahead = format!("a@{}:9", position.epoch);
    for (query, headers, code, word) in [
        ("?chanel=a", &[][..], "VALIDATION_ERROR", "did you mean `channel`?"),
        ("?channel=a%20b", &[], "VALIDATION_ERROR", "cannot stand in a channel name"),
        ("?where=data.n%20%3D%204", &[], "VALIDATION_ERROR", "column 8"),
        ("?since=soon", &[], "VALIDATION_ERROR", "`since`"),
        ("?format=sse&follow=0", &[], "VALIDATION_ERROR", "`follow`"),
        ("?channel=a&follow=1", &[("last-event-id", ahead.as_str())], "POSITION_AHEAD", "which stands at 3"),
        ("?channel=a&follow=1", &[("last-event-id", "nonsense")], "VALIDATION_ERROR", "Last-Event-ID"),
    ] {
        let problem = world.ask("GET", &format!("/v1/events{query}"), headers, b"").await.problem(400, code);
        assert!(problem["detail"].as_str().unwrap().contains(word), "{query}: {problem}");
    }
    let many = (0..101).map(|channel| format!("channel=c{channel}*")).collect::<Vec<_>>().join("&");
    let world = World::with(|options| options.limits.max_patterns = 100);
    let problem = world.get(&format!("/v1/events?{many}")).await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("at most 100 patterns"), "{problem}");
}

#[tokio::test]
async fn a_head_has_no_body_and_begins_nothing() {
    let world = World::start();
    publish_run(&world, "a", 1..=3);
    for query in ["?channel=a", "?channel=a&follow=1"] {
        let mut client = world.client().await;
        let answer = client.ask("HEAD", &format!("/v1/events{query}"), &[("accept", "text/event-stream")], b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
        // The connection is free for the next request.
        assert_eq!(client.ask("GET", "/healthz", &[], b"").await.text(), "ok\n");
    }
    assert_eq!(world.ask("HEAD", "/v1/events?chanel=a", &[], b"").await.status, 400);
    assert_eq!(metric(&world, "headwater_open_streams").await, 0);
}

#[tokio::test]
async fn what_is_missing_is_said_in_its_place() {
    let world = World::over(LogLimits { channel_events: 5, ..LogLimits::default() }, |_| {});
    let positions = publish_run(&world, "a", 1..=20);
    let from = format!("a@{}", positions[3]);
    let mut stream = Stream::open(&world, &format!("?channel=a&from={from}"), &[]).await;
    let gap = stream.json().await;
    assert_eq!((&gap["type"], &gap["from"], &gap["to"]), (&json!("gap"), &json!(5), &json!(15)));
    assert_eq!((&gap["channel"], &gap["reason"]), (&json!("a"), &json!("retention")));
    assert_eq!(numbers(&stream.rest().await), [16, 17, 18, 19, 20]);
    let headers = [("last-event-id", "a@0000000000000001:7")];
    let mut stream = Stream::open(&world, "?channel=a&format=sse", &headers).await;
    stream.record().await;
    let record = stream.record().await;
    assert_eq!((&record.data["reason"], &record.data["to"]), (&json!("epoch_change"), &json!(15)));
    assert!(record.id.unwrap().ends_with(":15"));
    assert_eq!(stream.record().await.data["data"], 16);
    assert_eq!(metric(&world, "headwater_gapped_events_total").await, 11 + 15);
}

/// Harm prevented: a browser is given a cursor that no head has room for, and never gets in again.

#[tokio::test]
async fn gzip_where_it_is_asked_for_and_nothing_is_held_back() {
    let world = World::start();
    publish(&world, vec![draft("a", &format!("\"{}\"", "x".repeat(10_000))); 20]);
    let gzip = [("accept-encoding", "br, gzip;q=0.8")];
    let mut stream = Stream::open(&world, "?channel=a&follow=1&from=earliest", &gzip).await;
    assert_eq!(stream.head.header("content-encoding"), Some("gzip"));
    let mut arrived = Vec::new();
    let mut unzipped = |body: &mut Vec<u8>| {
        arrived.append(body);
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let mut decoder = GzDecoder::new(arrived.as_slice());
        while let Ok(count @ 1..) = decoder.read(&mut buffer) {
            text.extend_from_slice(&buffer[..count]);
        }
        (String::from_utf8(text).unwrap().lines().count(), arrived.len())
    };
    let mut lines = 0;
    while lines < 20 {
        assert!(stream.more().await);
        (lines, _) = unzipped(&mut stream.body);
    }
    let (lines, size) = unzipped(&mut stream.body);
    assert!(lines == 20 && size < 20_000, "{lines} lines in {size} bytes");
    // The one event that happens is there, though it fills nothing.
    publish_run(&world, "a", 1..=1);
    assert!(stream.more().await);
    assert_eq!(unzipped(&mut stream.body).0, 21);
    let plain = world.ask("GET", "/v1/events", &[("accept-encoding", "gzip;q=0")], b"").await;
    assert_eq!(plain.header("content-encoding"), None);
    // What ends is whole.
    let answer = world.ask("GET", "/v1/events?channel=a&limit=3", &gzip, b"").await;
    let mut text = String::new();
    GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let world = World::start();
    let streams = [
        Stream::open(&world, "?channel=typo&follow=1", &[]).await,
        Stream::open(&world, "?channel=typo&follow=1", &[("accept", "text/event-stream")]).await,
    ];
    assert_eq!(metric(&world, "headwater_open_streams").await, 2);
    drop(streams);
    until(async || metric(&world, "headwater_open_streams").await == 0).await;
    assert!(world.router.log("typo").is_none(), "what nobody watches any more takes one of the channels");
}

/// Harm prevented: who asks for everything and reads nothing keeps a descriptor, and its share of memory, for ever.

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let limits = LogLimits { channel_bytes: 64 << 20, ..LogLimits::default() };
    let world = World::over(limits, |options| options.stall_timeout = Duration::from_millis(300));
    publish(&world, vec![draft("a", &format!("\"{}\"", "x".repeat(20_000))); 1_000]);
    let _stalled = Stream::open(&world, "?channel=a&follow=1&from=earliest", &[]).await;
    until(async || metric(&world, "headwater_open_streams").await == 0).await;
    let given = metric(&world, "headwater_streamed_bytes_total").await;
    assert!(given < 10 << 20, "{given} bytes were made for a client that reads nothing");
}
