//! Watching while others publish and channels come to be: no event is lost between a head that was read and the first
//! event that is handed over.

use crate::world::{Shard, draft, pattern, router};
use headwater_event::Event;
use headwater_router::{Attach, From, LogLimits, Read, ReadLimit, Router, Taken};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

const PUBLISHERS: usize = 3;
const WATCHERS: usize = 6;
const BATCHES: usize = 400;
const CHANNELS: usize = 24;

/// One subscription, as the gateway has them: cursors, kept by the rules of the contract.
struct Watcher {
    shard: Shard,
    pattern: &'static str,
    /// The next offset of each channel.
    next: HashMap<String, u64>,
    seen: HashMap<String, Vec<u64>>,
    taken: Vec<Arc<Event>>,
}

impl Watcher {
    fn new(router: &Router, pattern: &'static str) -> Self {
        let shard = Shard::new(router);
        Self { shard, pattern, next: HashMap::new(), seen: HashMap::new(), taken: Vec::new() }
    }

    /// Begins, or begins again where it stopped.
    fn watch(&mut self, router: &Router) {
        for log in self.shard.inbox.watch(&pattern(self.pattern)).unwrap() {
            let name = log.name().to_string();
            let Some(next) = self.next.get_mut(&name) else {
                let Ok(Attach::At(next)) = router.attach(&log, &From::Latest) else { panic!("it is always there") };
                self.next.insert(name, next);
                continue;
            };
            let mut missed = Vec::new();
            let limit = ReadLimit { events: usize::MAX, bytes: usize::MAX };
            assert!(matches!(log.read(*next, limit, &mut missed), Read::Ok { .. }));
            for event in missed {
                self.take_one(&event);
            }
        }
    }

    fn take(&mut self) -> usize {
        let mut taken = std::mem::take(&mut self.taken);
        assert_eq!(self.shard.inbox.take(&mut taken), Taken::All);
        let count = taken.len();
        taken.drain(..).for_each(|event| self.take_one(&event));
        self.taken = taken;
        count
    }

    fn take_one(&mut self, event: &Event) {
        let name = event.channel.as_str();
        // A channel that the watch did not return has come to be since: its first event must be the first one here.
        let next = self.next.entry(name.to_owned()).or_insert(1);
        let offset = event.position.offset;
        if offset < *next {
            return; // before the cursor, or read from the log already
        }
        assert_eq!(offset, *next, "`{name}` jumped");
        *next += 1;
        self.seen.entry(name.to_owned()).or_default().push(offset);
    }

    fn at_the_end(&self, router: &Router) -> bool {
        let fits = pattern(self.pattern);
        let mut channels = router.channels().into_iter().filter(|channel| fits.matches(channel.channel.as_str()));
        channels.all(|channel| self.next.get(channel.channel.as_str()).copied().unwrap_or(1) == channel.head + 1)
    }
}

#[test]
fn every_watcher_sees_each_offset_once_whenever_it_came() {
    for round in 0..8 {
        let router = router(LogLimits {
            channel_events: 1 << 20,
            channel_bytes: 1 << 30,
            memory: 1 << 30,
            ..LogLimits::default()
        });
        let (published, done) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (router, published, done) = (&*router, &published, &done);
            for watcher in 0..WATCHERS {
                scope.spawn(move || {
                    let texts = ["*", "c:1*", "c:7", "c:?", "*3", "c:*"];
                    let mut it = Watcher::new(router, texts[(watcher + round) % texts.len()]);
                    // Each at another moment of the publishing, the first one before it.
                    while published.load(SeqCst) < watcher * PUBLISHERS * BATCHES / WATCHERS / 2 {
                        std::thread::yield_now();
                    }
                    it.watch(router);
                    let mut turns = 0;
                    while !done.load(SeqCst) {
                        it.take();
                        turns += 1;
                        if turns % 50 == 0 {
                            it.shard.inbox.unwatch(&pattern(it.pattern));
                            std::thread::yield_now();
                            it.watch(router);
                        }
                    }
                    it.take();
                    assert!(it.at_the_end(router), "{} stopped before the end: {:?}", it.pattern, it.next);
                    for (name, offsets) in it.seen {
                        let first = offsets[0];
                        assert!(
                            offsets.iter().copied().eq(first..first + offsets.len() as u64),
                            "`{name}`: {offsets:?}"
                        );
                    }
                });
            }
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|publisher| {
                    scope.spawn(move || {
                        for batch in 0..BATCHES {
                            // Ever more channels, so that new ones come to be all the time.
                            let channels = 1 + batch * CHANNELS / BATCHES;
                            let batch = (0..4).map(|n| draft(&format!("c:{}", (batch + publisher + n) % channels)));
                            router.publish(batch.collect()).unwrap();
                            published.fetch_add(1, SeqCst);
                        }
                    })
                })
                .collect();
            for publisher in publishers {
                publisher.join().unwrap();
            }
            done.store(true, SeqCst);
        });
    }
}

/// Sleeping shards: the wake-ups are enough to see everything, none is lost.
#[test]
fn a_shard_that_sleeps_until_it_is_woken_misses_nothing() {
    const EVENTS: usize = 20_000;
    let router = router(LogLimits::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut it = Watcher::new(&router, "c:*");
            it.watch(&router);
            scope.spawn(move || {
                let mut count = 0;
                while count < EVENTS {
                    it.shard.sleep();
                    count += it.take();
                }
                assert_eq!(count, EVENTS);
            });
        }
        for publisher in 0..2 {
            let router = &router;
            scope.spawn(move || {
                for n in 0..EVENTS / 2 {
                    router.publish(vec![draft(&format!("c:{}", (n + publisher) % 3))]).unwrap();
                    if n % 64 == 0 {
                        std::thread::yield_now(); // lets the shards fall asleep in between
                    }
                }
            });
        }
    });
}
