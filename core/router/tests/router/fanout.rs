//! The hand-over to shards: who is woken, how often, and what happens when a shard does not come.

use crate::world::{Shard, name, offsets, pattern, publish, publish_many, router, sized};
use headwater_router::{Attach, From, LogLimits, MAX_SHARDS, Read, ReadLimit, Taken};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn only_the_shards_that_watch_a_channel_are_woken() {
    let router = router(LogLimits::default());
    let shards = [Shard::new(&router), Shard::new(&router), Shard::new(&router)];
    shards[0].inbox.watch(&pattern("a")).unwrap();
    shards[1].inbox.watch(&pattern("b*")).unwrap();
    publish_many(&router, "a", 3);
    publish_many(&router, "b:created:later", 2);
    publish_many(&router, "c", 1);
    let taken: Vec<_> = shards
        .iter()
        .map(|shard| {
            let mut out = Vec::new();
            assert_eq!(shard.inbox.take(&mut out), Taken::All);
            (shard.wakes(), out.len())
        })
        .collect();
    assert_eq!(taken, [(1, 3), (1, 2), (0, 0)]);
}

#[test]
fn who_asks_by_name_is_known_and_every_watch_counts() {
    let router = router(LogLimits::default());
    let shards = [Shard::new(&router), Shard::new(&router)];
    shards[0].inbox.watch(&pattern("*")).unwrap();
    assert!(!router.is_asked_for(&name("a")), "a pattern asks for nothing in particular");
    shards[0].inbox.watch(&pattern("a")).unwrap();
    shards[1].inbox.watch(&pattern("a")).unwrap();
    shards[1].inbox.watch(&pattern("a")).unwrap();
    assert_eq!((router.is_asked_for(&name("a")), router.subscriptions()), (true, 4));
    shards[1].inbox.unwatch(&pattern("a"));
    let [first, second] = shards;
    drop(second);
    assert_eq!((router.is_asked_for(&name("a")), router.subscriptions()), (true, 2));
    first.inbox.unwatch(&pattern("a"));
    assert_eq!((router.is_asked_for(&name("a")), router.subscriptions()), (false, 1));
}

#[test]
fn one_wake_per_batch_and_only_when_nothing_waited() {
    let router = router(LogLimits::default());
    let shard = Shard::new(&router);
    shard.inbox.watch(&pattern("*")).unwrap();
    publish(&router, ["a", "b", "a", "c"].map(|channel| sized(channel, 1)).to_vec());
    assert_eq!(shard.wakes(), 1);
    publish_many(&router, "a", 2);
    assert_eq!(shard.wakes(), 1);
    let mut out = Vec::new();
    assert_eq!(shard.inbox.take(&mut out), Taken::All);
    assert_eq!(offsets(&out), [1, 1, 2, 1, 3, 4]);
    // What is still in the vector stays before the new ones.
    publish_many(&router, "a", 1);
    assert_eq!((shard.wakes(), shard.inbox.take(&mut out)), (2, Taken::All));
    assert_eq!(offsets(&out), [1, 1, 2, 1, 3, 4, 5]);
    out.clear();
    assert_eq!((shard.inbox.take(&mut out), out.len()), (Taken::All, 0));
}

#[test]
fn watches_are_counted_for_each_pattern_and_across_patterns() {
    let router = router(LogLimits::default());
    publish_many(&router, "ab", 1);
    let shard = Shard::new(&router);
    let reaches = || {
        publish_many(&router, "ab", 1);
        let mut out = Vec::new();
        let _ = shard.inbox.take(&mut out);
        out.len() == 1
    };
    for text in ["ab", "ab", "a*", "*b", "x"] {
        shard.inbox.watch(&pattern(text)).unwrap();
    }
    assert!(reaches());
    for text in ["ab", "a*", "x", "ab"] {
        shard.inbox.unwatch(&pattern(text));
        assert!(reaches(), "`*b` still watches after `{text}` went");
    }
    shard.inbox.unwatch(&pattern("*b"));
    assert!(!reaches(), "nothing watches any more");
    // Once too often is nobody else's loss.
    shard.inbox.unwatch(&pattern("*b"));
    shard.inbox.watch(&pattern("*b")).unwrap();
    assert!(reaches());
}

#[test]
fn an_exact_name_has_a_position_before_its_first_event() {
    let router = router(LogLimits::default());
    let shard = Shard::new(&router);
    let logs = shard.inbox.watch(&pattern("later")).unwrap();
    let begin = router.attach(&logs[0], &From::Latest).unwrap();
    assert_eq!((logs.len(), logs[0].name(), begin), (1, &name("later"), Attach::At(1)));
    let position = publish_many(&router, "later", 1)[0];
    assert_eq!((position.epoch, logs[0].head()), (logs[0].epoch(), 1));
    let mut out = Vec::new();
    let _ = shard.inbox.take(&mut out);
    assert_eq!(offsets(&out), [1]);
}

#[test]
fn a_name_that_was_only_watched_is_forgotten_with_its_last_watcher() {
    let router = router(LogLimits { channels: 1, ..LogLimits::default() });
    let (one, other) = (Shard::new(&router), Shard::new(&router));
    one.inbox.watch(&pattern("typo")).unwrap();
    other.inbox.watch(&pattern("*")).unwrap();
    one.inbox.unwatch(&pattern("typo"));
    assert!(router.log("typo").is_some(), "the other shard was given this log");
    drop(other);
    one.inbox.watch(&pattern("typo")).unwrap();
    one.inbox.unwatch(&pattern("typo"));
    assert!(router.log("typo").is_none());
    // Also when a pattern was the last to mean it.
    one.inbox.watch(&pattern("typo")).unwrap();
    one.inbox.watch(&pattern("t*")).unwrap();
    one.inbox.unwatch(&pattern("typo"));
    assert!(router.log("typo").is_some());
    one.inbox.unwatch(&pattern("t*"));
    assert!(router.log("typo").is_none(), "a name takes one of the channels for ever");
    publish_many(&router, "real", 1);
    one.inbox.watch(&pattern("real")).unwrap();
    one.inbox.unwatch(&pattern("real"));
    assert_eq!(router.log("real").unwrap().head(), 1, "a channel with a past keeps its offsets");
}

#[test]
fn a_shard_that_ends_leaves_its_place_and_watches_nothing() {
    let router = router(LogLimits::default());
    let first = Shard::new(&router);
    first.inbox.watch(&pattern("*")).unwrap();
    first.inbox.watch(&pattern("a")).unwrap();
    drop(first);
    let shards: Vec<_> = (0..MAX_SHARDS).map(|_| Shard::new(&router)).collect();
    assert!(catch_unwind(AssertUnwindSafe(|| Shard::new(&router))).is_err(), "one shard more than there are bits");
    publish_many(&router, "a", 1);
    assert!(shards.iter().all(|shard| shard.wakes() == 0), "a new shard has inherited what another one watched");
    shards[MAX_SHARDS - 1].inbox.watch(&pattern("a")).unwrap();
    publish_many(&router, "a", 1);
    assert_eq!(shards.iter().map(Shard::wakes).sum::<usize>(), 1);
}

/// A shard that stalls must not cost memory without end, and must not lose events that the log still holds.
#[test]
fn a_shard_that_overflowed_finds_what_it_missed_in_the_log() {
    for limits in [
        LogLimits { inbox_events: 10, ..LogLimits::default() },
        LogLimits { inbox_bytes: 5_000, ..LogLimits::default() },
    ] {
        let router = router(limits);
        let shard = Shard::new(&router);
        let log = shard.inbox.watch(&pattern("a")).unwrap().remove(0);
        let mut out = Vec::new();
        let mut next = 1;
        for round in 1..=3 {
            for _ in 0..100 {
                publish_many(&router, "a", 3);
            }
            assert_eq!(shard.wakes(), round, "one wake for a shard that does not come");
            assert_eq!(router.counters().overflows, round as u64);
            assert_eq!(shard.inbox.take(&mut out), Taken::Overflowed);
            assert!((1..=10).contains(&out.len()), "{} events waited", out.len());
            assert_eq!(offsets(&out), (next..next + out.len() as u64).collect::<Vec<_>>());
            next += out.len() as u64;
            out.clear();
            let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX };
            let Read::Ok { next: then } = log.read(next, limit, &mut out) else { panic!("the log holds all") };
            assert_eq!(offsets(&out), (next..then).collect::<Vec<_>>());
            assert_eq!(then, log.head() + 1);
            next = then;
            out.clear();
            assert_eq!((shard.inbox.take(&mut out), out.len()), (Taken::All, 0));
        }
        publish_many(&router, "a", 1);
        assert_eq!(shard.inbox.take(&mut out), Taken::All);
        assert_eq!(offsets(&out), [next]);
    }
}

#[test]
fn a_batch_larger_than_an_inbox_passes_when_nothing_waits() {
    let router = router(LogLimits { inbox_events: 10, ..LogLimits::default() });
    let shard = Shard::new(&router);
    shard.inbox.watch(&pattern("a")).unwrap();
    publish_many(&router, "a", 30);
    let mut out = Vec::new();
    assert_eq!((shard.inbox.take(&mut out), out.len()), (Taken::All, 30));
}
