//! `GET /v1/events` as server-sent events: cursors, and clients that come back with them.

use crate::{
    stream::{Stream, draft, numbers, publish, publish_run},
    world::World,
};
use flate2::read::GzDecoder;
use headwater_protocol::CloseCode;
use headwater_router::LogLimits;
use std::io::Read;

#[tokio::test]
async fn server_sent_events_carry_a_cursor_with_which_a_client_comes_back() {
    let world = World::start();
    publish_run(&world, "a", 1..=3);
    let sse = [("accept", "text/event-stream")];
    let mut stream = Stream::open(&world, "?channel=a&from=earliest", &sse).await;
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    let begun = stream.record().await;
    assert!(begun.data.is_null() && begun.id.unwrap().ends_with(":0"));
    let mut ids = Vec::new();
    for number in 1..=3 {
        let record = stream.record().await;
        assert_eq!(record.data["data"], number);
        ids.push(record.id.unwrap());
    }
    drop(stream);
    publish_run(&world, "a", 4..=5);
    // Behind what it handled, wherever that was; the header goes before the address.
    for (back, numbers) in [(&ids[2], vec![4, 5]), (&ids[0], vec![2, 3, 4, 5])] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", back)];
        let mut stream = Stream::open(&world, "?channel=a&from=earliest", &headers).await;
        assert_eq!(stream.record().await.id.as_ref(), Some(back), "it begins where it was");
        for number in numbers {
            assert_eq!(stream.record().await.data["data"], number);
        }
        let mut polyfill = Stream::open(&world, &format!("?channel=a&format=sse&last_event_id={back}"), &[]).await;
        polyfill.record().await;
        assert_eq!(polyfill.record().await.data["data"], if *back == ids[0] { 2 } else { 4 });
    }
}

#[tokio::test]
async fn a_stream_of_several_channels_comes_back_to_all_of_them() {
    let world = World::start();
    publish_run(&world, "a", 1..=2);
    publish_run(&world, "b", 3..=3);
    let sse = [("accept", "text/event-stream")];
    let mut stream = Stream::open(&world, "?channel=*", &sse).await;
    let mut last = stream.record().await.id.unwrap();
    assert_eq!(last.split(',').count(), 2, "{last}");
    publish_run(&world, "a", 4..=4);
    let record = stream.record().await;
    assert_eq!(record.data["data"], 4);
    last = record.id.unwrap_or(last);
    drop(stream);
    // While it is away: one goes on, and one comes to be.
    publish_run(&world, "b", 5..=5);
    publish_run(&world, "c", 6..=7);
    let headers = [("accept", "text/event-stream"), ("last-event-id", &last)];
    let mut stream = Stream::open(&world, "?channel=*", &headers).await;
    stream.record().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(stream.record().await.data["data"].as_u64().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, [5, 6, 7]);
}

#[tokio::test]
async fn a_pattern_of_too_many_channels_is_refused_where_it_could_not_come_back() {
    let world = World::over(LogLimits { channels: 2_000, ..LogLimits::default() }, |_| {});
    publish(&world, (0..1_000).map(|channel| draft(&format!("channel:{channel}"), "1")).collect());
    let problem = world.get("/v1/events?channel=*&format=sse").await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("1000 channels"), "{problem}");
    assert_eq!(numbers(&world.get("/v1/events?channel=*").await.text()).len(), 1_000);
    // What is allowed does come back: a head of this size is taken.
    publish(&world, (0..200).map(|channel| draft(&format!("few:{channel}"), "1")).collect());
    let sse = [("accept", "text/event-stream")];
    let last = Stream::open(&world, "?channel=few:*", &sse).await.record().await.id.unwrap();
    assert!(last.len() > 5_000);
    let headers = [("accept", "text/event-stream"), ("last-event-id", last.as_str())];
    assert_eq!(Stream::open(&world, "?channel=few:*", &headers).await.record().await.id, Some(last.clone()));
}

#[tokio::test]
async fn streams_end_with_the_gateway_and_so_that_clients_come_back() {
    let mut world = World::start();
    publish_run(&world, "a", 1..=2);
    let mut lines = Stream::open(&world, "?channel=a&follow=1&from=earliest", &[]).await;
    let mut sse = Stream::open(&world, "?channel=a&format=sse&from=earliest", &[]).await;
    let mut quiet = Stream::open(&world, "?channel=b&follow=1", &[("accept-encoding", "gzip")]).await;
    for number in [1, 2] {
        assert_eq!(lines.json().await["data"], number);
    }
    let text = {
        sse.more().await;
        String::from_utf8(sse.body.clone()).unwrap()
    };
    assert!(text.starts_with("retry: "), "{text}");
    world.begin_end(CloseCode::Restart);
    // Whole answers, with their last chunk: a browser comes back after those, and curl ends without an error.
    assert_eq!(lines.rest().await, "");
    assert!(sse.rest().await.contains("\"data\":2"));
    while quiet.more().await {}
    let mut nothing = String::new();
    assert_eq!(GzDecoder::new(quiet.body.as_slice()).read_to_string(&mut nothing).unwrap(), 0);
    world.ended().await;
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_its_answers() {
    let world = World::with(|options| options.allowed_origins = vec!["https://tools.example".into()]);
    let origin = [("origin", "https://tools.example")];
    let stream = Stream::open(&world, "?channel=a&format=sse", &origin).await;
    assert_eq!(stream.head.header("access-control-allow-origin"), Some("https://tools.example"));
    let wrong = world.ask("GET", "/v1/events?chanel=a", &origin, b"").await;
    assert_eq!(wrong.header("access-control-allow-origin"), Some("https://tools.example"));
    let other = world.ask("GET", "/v1/events", &[("origin", "https://evil.example")], b"").await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (403, None));
    assert_eq!(world.get("/v1/events").await.header("access-control-allow-origin"), None);
}
