//! What the daemon tells of itself on `daemon_metrics`: only to who asks for it, and what has really happened.

use crate::{
    session::{draft, message, publish, session, subscribe, tell, until_heartbeat},
    world::{World, until},
};
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine, Page, PageLimit};
use headwater_event::{ChannelName, Draft};
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

fn offset(world: &World) -> Option<u64> {
    world.router.log("daemon_metrics").map(|log| log.head())
}

#[tokio::test]
async fn figures_come_while_somebody_asks_for_them_by_name_and_say_what_happened() {
    let world = World::start();
    // Who reads everything has not asked for it.
    let mut everything = session(&world).await;
    subscribe(&mut everything, "*").await;
    let mut client = session(&world).await;
    subscribe(&mut client, "daemon_metrics").await;
    // The first one tells of the second before it, in which the rest happens.
    let first = message(&mut client).await;
    assert_eq!((first["type"].as_str(), first["source"].as_str()), (Some("daemon.stats"), Some("headwater")));
    assert_eq!(first["offset"], 1, "none was told to who reads everything");
    for _ in 0..7 {
        world.get("/healthz").await;
    }
    publish(&world, vec![draft("a", "1"), draft("a", "2")]);
    tell(&mut client, &json!({"type": "command", "command": "none", "request_id": "1"})).await;

    let (mut requests, mut commands, mut last) = (0, 0, first["data"].clone());
    while requests < 7 || commands < 1 {
        let told = message(&mut client).await;
        if told["type"] == "command_error" {
            continue;
        }
        last = told["data"].clone();
        let count = |what: &str| last[what]["count"].as_u64().unwrap();
        requests += count("requests");
        commands += count("commands");
        if count("requests") > 0 {
            let (p50, p99) = (&last["requests"]["p50_ms"], &last["requests"]["p99_ms"]);
            assert!(p50.as_f64() > Some(0.0) && p99.as_f64() >= p50.as_f64(), "{last}");
            let held: u64 =
                last["requests"]["buckets"].as_array().unwrap().iter().map(|b| b[1].as_u64().unwrap()).sum();
            assert_eq!(held, count("requests"));
        }
        assert!(last["window_ms"].as_u64() >= Some(500), "{last}");
    }
    assert_eq!((requests, commands), (7, 1), "each is told once");
    let since = |what: &str| last[what].as_u64().unwrap() - first["data"][what].as_u64().unwrap();
    assert!(since("events") >= 3, "two events and the figures themselves: {last}");
    assert!(since("deliveries") >= 3 && since("bytes_out") > 0, "{last}");
    assert!(since("uptime_ms") >= last["window_ms"].as_u64().unwrap(), "the time in which totals rise: {last}");
    assert_eq!(last["client_events_rejected"], 0);
    assert_eq!((&last["subscriptions"], &last["connections"]["websocket"]), (&json!(2), &json!(2)));
    assert!(last["requests"].get("p50_ms").is_some() || last["requests"]["count"] == 0);
}

/// Harm prevented: a daemon that nobody watches writes a second's figures for ever.
#[tokio::test]
async fn nothing_is_told_once_nobody_asks() {
    let world = World::start();
    let mut client = session(&world).await;
    subscribe(&mut client, "daemon_metrics").await;
    message(&mut client).await;
    tell(&mut client, &json!({"type": "unsubscribe", "channels": ["daemon_metrics"]})).await;
    until_heartbeat(&mut client).await;
    let channel = headwater_event::ChannelName::new("daemon_metrics").unwrap();
    until(async || !world.router.is_asked_for(&channel)).await;
    let told = offset(&world);
    // A second and a half in which it could be told.
    let began = tokio::time::Instant::now();
    until(async || began.elapsed() > std::time::Duration::from_millis(1_500)).await;
    assert_eq!(offset(&world), told);

    // A new reader gets the figures of its own time, not those of all that was before.
    for _ in 0..5 {
        world.get("/healthz").await;
    }
    tokio::time::timeout(crate::wire::PATIENCE, async {
        subscribe(&mut client, "daemon_metrics").await;
        let told: Value = message(&mut client).await;
        assert_eq!(told["data"]["requests"]["count"], 0, "{told}");
        assert!(told["data"]["window_ms"].as_u64() < Some(30_000), "{told}");
    })
    .await
    .expect("it is told again");
}

/// An engine that takes none of the daemon's figures for a while.
struct SlowDisk {
    engine: MemoryEngine,
    busy: AtomicBool,
    refused: AtomicU64,
}

impl Engine for SlowDisk {
    fn start(&self, committed: Committed) {
        self.engine.start(committed);
    }

    fn has_history(&self) -> bool {
        false
    }

    fn publish(&self, drafts: Vec<Draft>) -> Result<Ack, EngineError> {
        if self.busy.load(SeqCst) && drafts.iter().any(|draft| draft.channel.as_str() == "daemon_metrics") {
            self.refused.fetch_add(1, SeqCst);
            return Err(EngineError::Busy("the disk is slow".into()));
        }
        self.engine.publish(drafts)
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        self.engine.read(channel, next, limit)
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        self.engine.open(channel)
    }

    fn heads(&self) -> Vec<Head> {
        self.engine.heads()
    }
}

/// Harm prevented: what is answered while the disk is slow, which is what matters, is in no figure.
#[tokio::test]
async fn what_could_not_be_told_is_told_with_the_next_word() {
    let (busy, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let engine = Arc::new(SlowDisk { engine: MemoryEngine::new(1_000), busy, refused });
    let world = World::on(engine.clone(), LogLimits::default(), |_| {});
    let mut client = session(&world).await;
    subscribe(&mut client, "daemon_metrics").await;
    message(&mut client).await;
    engine.busy.store(true, SeqCst);
    for _ in 0..3 {
        world.get("/healthz").await;
    }
    let missed = engine.refused.load(SeqCst) + 1;
    until(async || engine.refused.load(SeqCst) > missed).await;
    engine.busy.store(false, SeqCst);
    let mut requests = 0;
    while requests < 3 {
        let told = message(&mut client).await;
        requests += told["data"]["requests"]["count"].as_u64().unwrap();
    }
    assert_eq!(requests, 3);
}
