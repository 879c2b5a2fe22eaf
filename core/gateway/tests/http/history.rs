//! Questions about the past, over WebSocket and over HTTP.

use crate::{
    wire::{Client, text_frame},
    world::World,
};
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine, Page, PageLimit};
use headwater_event::{ChannelName, Draft, Payload, Timestamp};
use headwater_protocol::CloseCode;
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::{
    ops::Range,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

const SECOND: i64 = 1_000_000_000;

fn publish(world: &World, channel: &str, seconds: i64, data: &str) {
    let payload = Payload::new(data.to_owned().into()).unwrap();
    let draft = Draft::new(ChannelName::new(channel).unwrap(), "t", "s", payload);
    world.router.publish(vec![Draft { time: Timestamp(seconds * SECOND), ..draft }]).unwrap().wait().unwrap();
}

async fn ask(client: &mut Client, id: &str, channel: &str, parameters: Value) {
    let question =
        json!({"type": "request_historical_data", "channel": channel, "parameters": parameters, "request_id": id});
    client.send(&text_frame(&question.to_string())).await;
}

async fn message(client: &mut Client) -> Value {
    let (opcode, payload) = client.frame().await;
    assert_eq!(opcode, 1, "a message: {}", String::from_utf8_lossy(&payload));
    serde_json::from_slice(&payload).unwrap()
}

async fn session(world: &World) -> Client {
    let mut client = world.client().await;
    client.upgrade().await;
    client
}

fn offsets(data: &Value) -> Vec<u64> {
    data["events"].as_array().unwrap().iter().map(|event| event["offset"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn both_ways_of_asking_have_the_same_answer() {
    let world = World::start();
    for n in 0..10 {
        publish(&world, "a", n * 30, &format!("{{\"cpu_usage_percent\": {n}}}"));
    }
    let mut client = session(&world).await;
    for (parameters, query) in [
        (json!({"limit": 3}), "limit=3"),
        (json!({"limit": 3, "order": "desc"}), "limit=3&order=desc"),
        (
            json!({"start_time": "1970-01-01T00:01:00Z", "end_time": "1970-01-01T00:03:00Z", "filter": {"sources": "s"}}),
            "since=1970-01-01T00:01:00Z&until=1970-01-01T00:03:00Z&source=s",
        ),
        (json!({"filter": {"where": "data.cpu_usage_percent > 7"}}), "where=data.cpu_usage_percent%20%3E%207"),
        (json!({"granularity": "minute", "metrics": ["cpu_usage"]}), "granularity=minute&metric=cpu_usage"),
    ] {
        ask(&mut client, "h", "a", parameters).await;
        let said = message(&mut client).await;
        assert_eq!(
            (&said["type"], &said["status"], &said["request_id"]),
            (&json!("historical_data"), &json!("success"), &json!("h"))
        );
        let answer = world.get(&format!("/v1/history?channel=a&{query}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.json(), said["data"], "{query}");
    }
    let points = world.get("/v1/history?channel=a&granularity=minute&metric=cpu_usage").await.json();
    assert_eq!(
        (&points["count"], &points["truncated"], &points["granularity"]),
        (&json!(5), &json!(false), &json!("minute"))
    );
    assert_eq!(
        points["points"][1],
        json!({"timestamp": "1970-01-01T00:01:00.000000Z", "count": 2, "cpu_usage": 2.5, "stats":
        {"cpu_usage": {"count": 2, "avg": 2.5, "min": 2, "max": 3, "p50": 2, "p95": 3, "last": 3}}})
    );
}

#[tokio::test]
async fn pages_follow_one_another_by_their_cursors() {
    let world = World::start();
    for n in 0..10 {
        publish(&world, ["a", "b"][n as usize % 2], n, "1");
    }
    let mut seen = 0;
    let mut query = "/v1/history?channel=*&limit=4".to_owned();
    loop {
        let page = world.get(&query).await.json();
        seen += page["count"].as_u64().unwrap();
        let Some(cursor) = page["cursor"].as_str() else {
            assert_eq!(page["truncated"], false);
            break;
        };
        // As it is: nothing in it needs escaping.
        query = format!("/v1/history?channel=*&limit=4&cursor={cursor}");
    }
    assert_eq!(seen, 10);
}

#[tokio::test]
async fn a_question_that_has_no_answer_says_why() {
    let world = World::start();
    publish(&world, "a", 1, "1");
    for (query, words) in [
        ("", "`channel` is missing"),
        ("channel=a&since=soon", "RFC 3339"),
        ("channel=a&since=5m&until=1h", "before it begins"),
        ("channel=a&granularity=second&since=30d", "longer granularity"),
        ("channel=a&granularity=week", "second, minute"),
        ("channel=a&cursor=mine", "`cursor`"),
        ("channel=a&where=data.n%20=%201", "column 8"),
        ("channel=a&limit=99999", "10000"),
        ("channel=a&colour=red", "no key of this query"),
    ] {
        let problem = world.get(&format!("/v1/history?{query}")).await.problem(400, "VALIDATION_ERROR");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{query}: {problem}");
    }
    let metrics = "&metric=m".repeat(101);
    let problem = world.get(&format!("/v1/history?channel=a{metrics}")).await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("at most 100"), "{problem}");
    let mut client = session(&world).await;
    ask(&mut client, "h", "a", json!({"cursor": "mine"})).await;
    let error = message(&mut client).await;
    assert_eq!((&error["error_code"], &error["request_id"]), (&json!("VALIDATION_ERROR"), &json!("h")));
}

/// Harm prevented: a client that asks several large questions at once, and reads, is closed for their answers' size.
#[tokio::test]
async fn several_large_answers_come_one_after_the_other() {
    let world = World::start();
    let large = format!("\"{}\"", "x".repeat(300_000));
    for n in 0..3 {
        publish(&world, "a", n, &large);
    }
    let mut client = session(&world).await;
    for n in 0..8 {
        ask(&mut client, &n.to_string(), "a", json!({})).await;
    }
    for n in 0..8 {
        let said = message(&mut client).await;
        assert_eq!((&said["request_id"], offsets(&said["data"])), (&json!(n.to_string()), vec![1, 2, 3]));
    }
}

/// An engine whose store answers when it is told to.
struct Slow {
    memory: MemoryEngine,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    asked: AtomicU64,
    read: AtomicU64,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

impl Engine for Slow {
    fn start(&self, committed: Committed) {
        self.memory.start(committed);
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        self.memory.publish(batch)
    }

    fn has_history(&self) -> bool {
        true
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        self.gate.read.fetch_add(1, SeqCst);
        self.memory.read(channel, next, limit)
    }

    fn within(&self, _: &ChannelName, _: Option<Timestamp>, _: Option<Timestamp>) -> Result<Range<u64>, EngineError> {
        self.gate.asked.fetch_add(1, SeqCst);
        let open = self.gate.open.lock().unwrap();
        drop(self.gate.changed.wait_while(open, |open| !*open).unwrap());
        Ok(1..3)
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        self.memory.open(channel)
    }

    fn heads(&self) -> Vec<Head> {
        self.memory.heads()
    }
}

fn slow() -> (World, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let engine = Slow { memory: MemoryEngine::new(10), gate: gate.clone() };
    // Of two events the log holds one: the other is asked of the store.
    let limits = LogLimits { channel_events: 1, ..LogLimits::default() };
    let world = World::on(Arc::new(engine), limits, |_| {});
    publish(&world, "a", 1, "1");
    publish(&world, "a", 2, "1");
    (world, gate)
}

/// Harm prevented: a store that is slow holds up everything else that a client does.
#[tokio::test]
async fn a_client_goes_on_while_its_question_is_being_answered() {
    let (world, gate) = slow();
    let mut client = session(&world).await;
    for n in 0..9 {
        ask(&mut client, &n.to_string(), "a", json!({"start_time": "1970-01-01T00:00:00Z"})).await;
    }
    let refused = message(&mut client).await;
    assert_eq!((&refused["error_code"], &refused["request_id"]), (&json!("RATE_LIMIT_EXCEEDED"), &json!("8")));
    client.send(&text_frame(r#"{"type":"heartbeat"}"#)).await;
    assert_eq!(message(&mut client).await["type"], "heartbeat_response");
    gate.open();
    for n in 0..8 {
        let said = message(&mut client).await;
        assert_eq!((&said["request_id"], offsets(&said["data"])), (&json!(n.to_string()), vec![2]));
    }
    // And may ask again.
    ask(&mut client, "again", "a", json!({})).await;
    assert_eq!(message(&mut client).await["request_id"], "again");
}

/// Harm prevented: clients that ask and leave keep the store at work for nobody.
#[tokio::test]
async fn a_question_ends_when_its_client_has_gone() {
    let (mut world, gate) = slow();
    let mut websocket = session(&world).await;
    ask(&mut websocket, "h", "a", json!({"start_time": "1970-01-01T00:00:00Z"})).await;
    let mut http = world.client().await;
    http.send(b"GET /v1/history?channel=a&since=1970-01-01T00:00:00Z HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    crate::world::until(async || gate.asked.load(SeqCst) == 2).await;
    drop((websocket, http));
    let metrics = async || world.get("/metrics").await.text();
    crate::world::until(async || metrics().await.contains("headwater_connections{protocol=\"websocket\"} 0")).await;
    // The question about the metrics is on a connection too.
    crate::world::until(async || metrics().await.contains("headwater_connections{protocol=\"http\"} 1")).await;
    gate.open();
    world.begin_end(CloseCode::GoingAway);
    world.ended().await;
    assert_eq!(gate.read.load(SeqCst), 0, "nothing was read for those who had gone");
}
