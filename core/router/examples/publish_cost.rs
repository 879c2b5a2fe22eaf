//! What one event costs in engine and router, in nanoseconds of one thread: `cargo run --release -p headwater-router
//! --example publish_cost`. A look for whoever changes these rooms; nothing depends on the figures.

use bytes::Bytes;
use headwater_engine::MemoryEngine;
use headwater_event::{ChannelName, ChannelPattern, Draft, Event, Payload};
use headwater_router::{LogLimits, Router, Taken};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

const EVENTS: usize = 640_000;
const ROUNDS: usize = 5;

fn main() {
    println!("ns per 200-byte event, median of {ROUNDS}; the shard takes after each batch, drafts are made beforehand");
    for (batch, channels, shards) in
        [(64, 1, 0), (64, 1, 1), (64, 1, 2), (1, 1, 1), (1024, 1, 1), (64, 64, 1), (64, 1_000, 1)]
    {
        let ns = median((0..ROUNDS).map(|_| publish(batch, channels, shards)).collect());
        println!("  publish, batches of {batch:4}, {channels:5} channels, {shards} shards interested: {ns:6.1}");
    }
    let two = median((0..ROUNDS).map(|_| two_threads()).collect());
    println!("  publish, batches of   64,     1 channels, the shard on another core:  {two:6.1}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn drafts(batch: usize, channels: usize, round: usize) -> Vec<Draft> {
    let data = Payload::new(Bytes::from(format!("\"{}\"", "x".repeat(198)))).expect("JSON");
    let name = |n: usize| ChannelName::new(&format!("bench:{}", n % channels)).expect("a name");
    let names: Vec<_> = (0..batch.min(channels)).map(|n| name(round * batch + n)).collect();
    // Each with its own payload and type, as they come from a source; the source's name is shared.
    let source = Arc::from("bench");
    (0..batch)
        .map(|n| {
            let own = Payload::new(Bytes::copy_from_slice(data.as_bytes())).expect("JSON");
            Draft { source: Arc::clone(&source), ..Draft::new(names[n % names.len()].clone(), "tick", "", own) }
        })
        .collect()
}

fn router() -> Arc<Router> {
    Router::new(Arc::new(MemoryEngine::new(10_000)), LogLimits::default())
}

fn publish(batch: usize, channels: usize, shards: usize) -> f64 {
    let router = router();
    let inboxes: Vec<_> = (0..shards).map(|_| router.shard(Box::new(|| {}))).collect();
    for inbox in &inboxes {
        inbox.watch(&ChannelPattern::parse("bench:*").expect("a pattern")).expect("watched");
    }
    let mut taken = Vec::new();
    let mut spent = Duration::ZERO;
    let mut published = 0;
    for round in 0..2 * EVENTS / batch {
        let batch = drafts(batch, channels, round);
        let count = batch.len();
        let began = Instant::now();
        black_box(router.publish(batch).expect("published").try_now().expect("known").expect("acknowledged"));
        // The first half fills the logs: after it each event pushes out another one.
        if published >= EVENTS {
            spent += began.elapsed();
        }
        published += count;
        for inbox in &inboxes {
            assert_eq!(inbox.take(&mut taken), Taken::All);
            taken.clear();
        }
    }
    spent.as_nanos() as f64 / (published - EVENTS) as f64
}

fn two_threads() -> f64 {
    let router = router();
    let shard = std::thread::current();
    let inbox = router.shard(Box::new(move || shard.unpark()));
    inbox.watch(&ChannelPattern::parse("bench:*").expect("a pattern")).expect("watched");
    let publisher = std::thread::spawn(move || {
        let mut spent = Duration::ZERO;
        for round in 0..EVENTS / 64 {
            let batch = drafts(64, 1, round);
            let began = Instant::now();
            black_box(router.publish(batch).expect("published").try_now().expect("known").expect("acknowledged"));
            spent += began.elapsed();
        }
        spent.as_nanos() as f64 / EVENTS as f64
    });
    let mut taken: Vec<Arc<Event>> = Vec::new();
    while !publisher.is_finished() {
        std::thread::park_timeout(Duration::from_millis(1));
        let _ = inbox.take(&mut taken);
        taken.clear();
    }
    publisher.join().expect("the publisher ended")
}
