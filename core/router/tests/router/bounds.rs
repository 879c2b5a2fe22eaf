//! Memory: one budget for all logs, and age.

use crate::world::{draft, publish, router, sized};
use headwater_router::{LogLimits, Read, ReadLimit, Router};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

/// What the largest event of these tests weighs at most.
const LARGEST: u64 = 12_000;

fn held(router: &Router) -> u64 {
    router.channels().iter().map(|channel| channel.bytes).sum()
}

/// Every log holds a run of offsets that ends with its head.
fn whole(router: &Arc<Router>) {
    for channel in router.channels() {
        let log = router.log(channel.channel.as_str()).unwrap();
        let mut out = Vec::new();
        let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX };
        assert_eq!(log.read(channel.first, limit, &mut out), Read::Ok { next: channel.head + 1 });
        let offsets: Vec<u64> = out.iter().map(|event| event.position.offset).collect();
        assert_eq!(offsets, (channel.first..=channel.head).collect::<Vec<_>>());
        if channel.first > 1 {
            assert_eq!(log.read(channel.first - 1, limit, &mut out), Read::Behind { tail: channel.first });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However events come, the budget is never exceeded by more than one event, and what is told of it is true.
    #[test]
    fn all_logs_together_keep_to_their_budget(
        memory in 0..100_000_usize,
        batches in proptest::collection::vec(proptest::collection::vec((0..12_u8, 0..5_000_usize), 1..12), 1..40),
    ) {
        let router = router(LogLimits { memory, channel_bytes: 40_000, ..LogLimits::default() });
        for batch in batches {
            publish(&router, batch.into_iter().map(|(channel, size)| sized(&format!("c{channel}"), size)).collect());
            let counters = router.counters();
            prop_assert_eq!(counters.held_bytes, held(&router));
            prop_assert!(counters.held_bytes <= memory as u64 + LARGEST, "{} of {memory}", counters.held_bytes);
            whole(&router);
            let events: u64 = router.channels().iter().map(|channel| channel.events).sum();
            prop_assert_eq!(counters.published, counters.trimmed + events);
        }
    }
}

/// Harm prevented: what counts for a moment takes the memory of what is asked for later.
#[test]
fn a_log_is_cut_to_its_newest_events_when_its_publisher_asks() {
    let router = router(LogLimits::default());
    publish(&router, (0..100).map(|_| sized("a", 1_000)).collect());
    publish(&router, vec![draft("b")]);
    let name = headwater_event::ChannelName::new("a").unwrap();
    router.cut(&name, 10_000);
    let [a, b] = router.channels().try_into().unwrap();
    assert!(a.bytes <= 10_000 && a.bytes > 5_000 && a.head == 100, "{a:?}");
    assert_eq!((b.events, router.counters().held_bytes), (1, held(&router)));
    assert_eq!(router.counters().trimmed, 100 - a.events);
    whole(&router);
    router.cut(&name, 0);
    router.cut(&headwater_event::ChannelName::new("none").unwrap(), 0);
    assert!(router.channels()[0].bytes <= 2_000);
}

#[test]
fn a_busy_channel_does_not_push_out_the_quiet_ones() {
    let weight = {
        let router = router(LogLimits::default());
        publish(&router, vec![draft("a")]);
        held(&router) as usize
    };
    let router = router(LogLimits { memory: 1_000 * weight, ..LogLimits::default() });
    for quiet in 0..50 {
        publish(&router, vec![draft(&format!("quiet:{quiet}")); 3]);
    }
    for _ in 0..200 {
        publish(&router, vec![draft("busy"); 50]);
    }
    for quiet in 0..50 {
        assert_eq!(router.log(&format!("quiet:{quiet}")).unwrap().tail(), 1, "a quiet channel lost its events");
    }
    let busy = router.log("busy").unwrap();
    let kept = busy.head() + 1 - busy.tail();
    assert!((700..=850).contains(&kept), "of room for 850 events the busy channel has {kept}");
}

#[test]
fn an_event_larger_than_the_whole_budget_still_reaches_its_readers() {
    let router = router(LogLimits { memory: 5_000, ..LogLimits::default() });
    let shard = router.shard(Box::new(|| {}));
    shard.watch(&super::world::pattern("*")).unwrap();
    publish(&router, vec![draft("a"), sized("b", 50_000), draft("a")]);
    let mut out = Vec::new();
    let _ = shard.take(&mut out);
    assert_eq!(out.len(), 3);
    // It made room for the next one.
    assert_eq!((router.log("b").unwrap().head(), router.log("b").unwrap().tail()), (1, 2));
    assert!(router.counters().held_bytes <= 5_000);
}

#[test]
fn a_sweep_empties_quiet_channels_of_what_is_too_old() {
    let router = router(LogLimits { channel_age: Duration::ZERO, ..LogLimits::default() });
    publish(&router, vec![draft("a"), draft("b")]);
    router.sweep();
    assert_eq!((held(&router), router.counters().held_bytes, router.counters().trimmed), (0, 0, 2));
    assert_eq!((router.log("a").unwrap().head(), router.log("a").unwrap().tail()), (1, 2));
    publish(&router, vec![draft("a")]);
    assert_eq!(router.log("a").unwrap().head(), 2);
}

#[test]
fn a_sweep_leaves_what_is_young() {
    let router = router(LogLimits::default());
    publish(&router, vec![draft("a"); 5]);
    router.sweep();
    assert_eq!(router.log("a").unwrap().tail(), 1);
}

#[test]
fn publishers_on_many_threads_keep_the_accounts_straight() {
    let router = router(LogLimits { memory: 200_000, channel_events: 50, ..LogLimits::default() });
    std::thread::scope(|scope| {
        for publisher in 0..4 {
            let router = &router;
            scope.spawn(move || {
                for batch in 0..200 {
                    publish(router, (0..8).map(|n| draft(&format!("c{}", (publisher + batch * n) % 7))).collect());
                    router.sweep();
                }
            });
        }
    });
    let counters = router.counters();
    assert_eq!(counters.published, 4 * 200 * 8);
    assert_eq!(counters.held_bytes, held(&router));
    assert_eq!(counters.published, counters.trimmed + router.channels().iter().map(|c| c.events).sum::<u64>());
    whole(&router);
}
