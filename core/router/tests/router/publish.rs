//! Publishing, reading, attaching, listing, counting.

use crate::world::{draft, name, offsets, pattern, publish, publish_many, router, sized};
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine};
use headwater_event::{ChannelName, Draft, Epoch, Event, Position, Retention};
use headwater_router::{Attach, From, LogLimits, Page, PageLimit, Read, ReadLimit, Router, RouterError};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

#[test]
fn a_batch_is_in_the_logs_when_publish_returns() {
    let router = router(LogLimits::default());
    let positions = publish(&router, ["a", "a", "b", "a"].map(draft).to_vec());
    assert_eq!(positions.iter().map(|position| position.offset).collect::<Vec<_>>(), [1, 2, 1, 3]);
    let log = router.log("a").unwrap();
    assert_eq!((log.head(), log.tail(), log.epoch()), (3, 1, positions[0].epoch));
    let mut out = Vec::new();
    assert_eq!(log.read(2, ReadLimit::default(), &mut out), Read::Ok { next: 4 });
    assert_eq!(offsets(&out), [2, 3]);
    assert!(router.log("c").is_none());
}

#[test]
fn channels_are_told_by_name_and_counted() {
    let router = router(LogLimits { channel_events: 3, ..LogLimits::default() });
    publish(&router, ["b", "a", "b", "b", "b", "b"].map(draft).to_vec());
    let channels = router.channels();
    let told: Vec<_> = channels.iter().map(|c| (c.channel.as_str(), c.first, c.head, c.events)).collect();
    assert_eq!(told, [("a", 1, 1, 1), ("b", 3, 5, 3)]);
    let counters = router.counters();
    assert_eq!((counters.published, counters.trimmed, counters.channels), (6, 2, 2));
    assert_eq!(counters.bytes, 6 * 3); // `"x"`
    assert_eq!(counters.held_bytes, channels.iter().map(|channel| channel.bytes).sum::<u64>());
}

#[test]
fn one_channel_too_many_is_refused_and_named_and_counted() {
    let router = router(LogLimits { channels: 2, ..LogLimits::default() });
    publish_many(&router, "a", 1);
    let error = router.publish(["a", "b", "c"].map(draft).to_vec()).unwrap_err();
    assert_eq!(error, RouterError::TooManyChannels { name: name("c"), limit: 2 });
    assert!(error.to_string().contains("`c`") && error.to_string().contains("router.max_channels"), "{error}");
    assert_eq!((router.counters().rejected, router.log("a").unwrap().head()), (3, 1));
    assert!(router.log("b").is_none(), "a refused batch left a channel");
    publish(&router, ["b", "a", "b"].map(draft).to_vec());
    let shard = router.shard(Box::new(|| {}));
    assert_eq!(shard.watch(&pattern("d")).unwrap_err(), RouterError::TooManyChannels { name: name("d"), limit: 2 });
    assert_eq!(shard.watch(&pattern("d*")).unwrap().len(), 0); // a pattern creates nothing
}

#[test]
fn what_the_engine_refuses_is_counted_and_told_as_it_is() {
    let router = Router::new(Arc::new(MemoryEngine::new(1)), LogLimits::default());
    let error = router.publish(["a", "b"].map(draft).to_vec()).unwrap_err();
    assert!(matches!(error, RouterError::Engine(EngineError::Refused(_))), "{error:?}");
    assert_eq!((router.counters().rejected, router.counters().published, router.channels().len()), (2, 0, 0));
}

#[test]
fn a_resume_below_the_log_asks_the_store_and_learns_the_gap() {
    let router = router(LogLimits { channel_events: 4, ..LogLimits::default() });
    let position = publish_many(&router, "a", 10)[2];
    let log = router.log("a").unwrap();
    assert_eq!(log.attach(&From::After(position)), Attach::Expired { next_wanted: 4, first: 7 });
    let page = router.page(&name("a"), 4, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Expired { first: 11 }), "{page:?}");
    let elsewhere = Position { epoch: Epoch(position.epoch.0 ^ 1), ..position };
    assert_eq!(log.attach(&From::After(elsewhere)), Attach::EpochChanged { epoch: position.epoch, next: 7 });
    assert_eq!(log.attach(&From::Latest), Attach::At(11));
    assert_eq!(log.attach(&From::Earliest), Attach::At(7));
}

#[test]
fn retained_events_outlive_the_log() {
    let router = router(LogLimits { channel_events: 1, ..LogLimits::default() });
    let retained = |key: &str, size| Draft { retention: Retention::Keep(key.into()), ..sized("a", size) };
    publish(&router, vec![retained("x", 1), retained("y", 2), retained("x", 3), draft("a"), draft("b")]);
    assert_eq!(offsets(&router.snapshot(&pattern("a"))), [3, 2]);
    assert_eq!(router.snapshot(&pattern("b")).len(), 0);
    publish(&router, vec![Draft { retention: Retention::Forget("x".into()), ..draft("a") }]);
    assert_eq!(offsets(&router.snapshot(&pattern("*"))), [2]);
    assert_eq!(router.counters().snapshots, 1);
}

/// An engine that has a past and hands back what it is told to: a store after a restart, or a cluster.
struct Elsewhere {
    heads: Vec<Head>,
    committed: Arc<Mutex<Option<Committed>>>,
}

impl Engine for Elsewhere {
    fn start(&self, committed: Committed) {
        *self.committed.lock().unwrap() = Some(committed);
    }

    fn publish(&self, _batch: Vec<Draft>) -> Result<Ack, EngineError> {
        Err(EngineError::Busy("it is somebody else's turn".into()))
    }

    fn read(&self, _channel: &ChannelName, next: u64, _limit: PageLimit) -> Result<Page, EngineError> {
        Ok(Page::Events { events: Vec::new(), next })
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        Ok(Head { name: channel.clone(), epoch: Epoch(9), first: 1, last: 0 })
    }

    fn heads(&self) -> Vec<Head> {
        self.heads.clone()
    }
}

#[test]
fn a_store_with_a_past_goes_on_where_it_was() {
    let committed = Arc::new(Mutex::new(None));
    let heads = vec![Head { name: name("a"), epoch: Epoch(9), first: 3, last: 7 }];
    let router = Router::new(Arc::new(Elsewhere { heads, committed: committed.clone() }), LogLimits::default());
    let log = router.log("a").unwrap();
    assert_eq!((log.epoch(), log.tail(), log.head()), (Epoch(9), 8, 7));
    let after = |offset| From::After(Position { epoch: Epoch(9), offset });
    assert_eq!(log.attach(&after(7)), Attach::At(8));
    assert_eq!(log.attach(&after(4)), Attach::Expired { next_wanted: 5, first: 8 });
    assert!(matches!(router.publish(vec![draft("a")]).unwrap_err(), RouterError::Engine(EngineError::Busy(_))));

    let shard = router.shard(Box::new(|| {}));
    shard.watch(&pattern("*")).unwrap();
    let hand_back = |channel: &str, epoch, offset| {
        let position = Position { epoch: Epoch(epoch), offset };
        let event = Arc::new(Event::new(draft(channel), position, Uuid::nil()));
        committed.lock().unwrap().as_ref().unwrap()(vec![event]);
    };
    hand_back("a", 9, 8);
    assert_eq!((log.tail(), log.head()), (8, 8));
    // A channel that this router never heard of, in the middle of its life.
    hand_back("b", 5, 41);
    let other = router.log("b").unwrap();
    assert_eq!((other.epoch(), other.tail(), other.head()), (Epoch(5), 41, 41));
    // The store was restored: another numbering. Nothing of the old one may be read as if it belonged to it.
    hand_back("a", 10, 1);
    assert_eq!((log.epoch(), log.tail(), log.head()), (Epoch(10), 1, 1));
    assert_eq!(log.attach(&after(8)), Attach::EpochChanged { epoch: Epoch(10), next: 1 });
    let mut out = Vec::new();
    let _ = shard.take(&mut out);
    assert_eq!(offsets(&out), [8, 41, 1]);
}
