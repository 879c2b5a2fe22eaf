//! Delivered and gapped together are what was published: readers of every kind on real threads, while channels come to be.

use crate::world::{Reader, World};
use headwater_follow::{Item, Lag};
use headwater_router::{From, LogLimits};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const BATCHES: usize = 1_500;
const CHANNELS: usize = 12;

/// Reads until it has accounted for every offset up to the heads; asks slowly, in bursts, or as fast as it goes.
async fn account(world: &World, mut reader: Reader, pause: usize, done: &tokio::sync::Notify) -> (u64, u64) {
    // By channel: the next offset.
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let (mut delivered, mut gapped, mut pages) = (0, 0, 0);
    let mut over = false;
    loop {
        tokio::select! {
            page = reader.follower.next() => {
                for item in page.expect("nobody ends it").items {
                    match item {
                        Item::Event(event) => {
                            let next = next.entry(event.channel.to_string()).or_insert(1);
                            assert_eq!(event.position.offset, *next, "`{}` jumped or repeats", event.channel);
                            *next += 1;
                            delivered += 1;
                        }
                        Item::Gap(gap) => {
                            let next = next.entry(gap.channel.to_string()).or_insert(1);
                            assert_eq!(gap.from.offset, *next, "a gap in `{}` that does not begin where it stood", gap.channel);
                            assert!(gap.to >= gap.from.offset);
                            gapped += gap.to + 1 - *next;
                            *next = gap.to + 1;
                        }
                    }
                }
                pages += 1;
                if pause > 0 && pages % 3 == 0 {
                    for _ in 0..pause {
                        tokio::task::yield_now().await;
                    }
                }
            }
            () = done.notified(), if !over => over = true,
        }
        let accounted = |channel: &str, head: u64| next.get(channel).copied().unwrap_or(1) == head + 1;
        if over && world.router.channels().iter().all(|info| accounted(info.channel.as_str(), info.head)) {
            return (delivered, gapped);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_event_is_delivered_or_told_as_missing_exactly_once() {
    for store in [true, false] {
        let limits = LogLimits { channel_events: 40, ..LogLimits::default() };
        let world = Arc::new(if store { World::stored(40) } else { World::forgetful(limits) });
        let mut readers = tokio::task::JoinSet::new();
        let done: Vec<_> = (0..4).map(|_| Arc::new(tokio::sync::Notify::new())).collect();
        for (reader, done) in done.iter().cloned().enumerate() {
            let (patterns, lag, pause): (&[&str], _, _) = match reader {
                0 => (&["*"], Lag::Store, 0),
                1 => (&["*"], Lag::Gap, 200),
                2 => (&["c:*", "c:1"], Lag::Store, 200),
                _ => (&["c:0", "*"], Lag::Gap, 0),
            };
            let reader = world.follow_as(patterns, From::Latest, |follow| follow.lag = lag);
            let world = world.clone();
            readers.spawn(async move { account(&world, reader, pause, &done).await });
        }
        let publishing = world.clone();
        let published = tokio::task::spawn_blocking(move || {
            for batch in 0..BATCHES {
                let channels = 1 + batch * CHANNELS / BATCHES;
                let drafts = (0..8).map(|n| crate::world::draft(&format!("c:{}", (batch + n) % channels)));
                publishing.router.publish(drafts.collect()).unwrap();
            }
            publishing.router.counters().published
        });
        let published = published.await.unwrap();
        for done in done {
            done.notify_one();
        }
        let accounts = async {
            while let Some(account) = readers.join_next().await {
                let (delivered, gapped) = account.unwrap();
                assert_eq!(delivered + gapped, published, "{delivered} delivered, {gapped} gapped");
            }
        };
        tokio::time::timeout(Duration::from_mins(1), accounts).await.expect("a reader is stuck");
    }
}
