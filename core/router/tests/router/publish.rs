//! Publishing, reading, listing, counting.

use crate::world::{draft, name, offsets, pattern, publish, publish_many, router, sized};
use headwater_engine::{EngineError, MemoryEngine};
use headwater_event::{Draft, Retention};
use headwater_router::{LogLimits, Read, ReadLimit, Router, RouterError};
use std::sync::Arc;

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
    let logs = |text| router.logs(&pattern(text)).iter().map(|log| log.name().to_string()).collect::<Vec<_>>();
    assert_eq!((logs("*").join(","), logs("b").join(","), logs("nobody").len()), ("a,b".to_owned(), "b".to_owned(), 0));
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
