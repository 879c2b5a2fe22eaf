//! What the tests stand on: a router over the in-memory engine, and shards that wait to be woken.

use bytes::Bytes;
use headwater_engine::MemoryEngine;
use headwater_event::{ChannelName, ChannelPattern, Draft, Event, Payload, Position};
use headwater_router::{Inbox, LogLimits, Router};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// Only reached when a wake-up was lost.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn router(limits: LogLimits) -> Arc<Router> {
    Router::new(Arc::new(MemoryEngine::new(100_000)), limits)
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

pub(crate) fn pattern(text: &str) -> ChannelPattern {
    ChannelPattern::parse(text).unwrap()
}

pub(crate) fn draft(channel: &str) -> Draft {
    sized(channel, 1)
}

pub(crate) fn sized(channel: &str, size: usize) -> Draft {
    let data = Payload::new(Bytes::from(format!("\"{}\"", "x".repeat(size)))).unwrap();
    Draft::new(name(channel), "tested", "test", data)
}

pub(crate) fn publish(router: &Router, batch: Vec<Draft>) -> Vec<Position> {
    router.publish(batch).unwrap().wait().unwrap()
}

/// As many events on one channel, in one batch.
pub(crate) fn publish_many(router: &Router, channel: &str, count: usize) -> Vec<Position> {
    publish(router, vec![draft(channel); count])
}

pub(crate) fn offsets(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|event| event.position.offset).collect()
}

/// A shard's thread: its inbox, and a place to sleep.
pub(crate) struct Shard {
    pub(crate) inbox: Inbox,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    sleeper: Condvar,
    count: AtomicUsize,
}

impl Shard {
    pub(crate) fn new(router: &Router) -> Self {
        let bell = Arc::new(Bell::default());
        let ring = bell.clone();
        let inbox = router.shard(Box::new(move || {
            ring.count.fetch_add(1, SeqCst);
            *ring.rung.lock().unwrap() = true;
            ring.sleeper.notify_one();
        }));
        Self { inbox, bell }
    }

    /// Sleeps until it is woken.
    pub(crate) fn sleep(&self) {
        let rung = self.bell.rung.lock().unwrap();
        let (mut rung, timeout) = self.bell.sleeper.wait_timeout_while(rung, PATIENCE, |rung| !*rung).unwrap();
        assert!(!timeout.timed_out(), "a wake-up was lost");
        *rung = false;
    }

    /// How often it was woken.
    pub(crate) fn wakes(&self) -> usize {
        self.bell.count.load(SeqCst)
    }
}
