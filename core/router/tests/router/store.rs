//! Where readers begin over an engine with a store: what a position means after a restart, below the log, below the store.

use crate::world::{draft, name, offsets, pattern, publish_many, router};
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, Page};
use headwater_event::{ChannelName, Draft, Epoch, Event, Gap, GapReason, Position, Retention, Timestamp};
use headwater_router::{Attach, From, LogLimits, PageLimit, Paged, Router, RouterError};
use std::{
    ops::Range,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

const NOW: Epoch = Epoch(9);
const EARLIER: Epoch = Epoch(8);

/// An engine that has a past and hands back what it is told to: a store after a restart, or a cluster. Its channel is
/// `a`: offsets 3 to 7 are stored, of which 3 to 5 came in the epoch before; 6 was given out but could not be kept.
#[derive(Clone, Default)]
struct Store {
    committed: Arc<Mutex<Option<Committed>>>,
    /// Offset and seconds of each event.
    events: Vec<(u64, i64)>,
    retained: Vec<Arc<Event>>,
    broken: bool,
}

impl Store {
    fn new() -> Self {
        Self { events: vec![(3, 30), (4, 10), (5, 50), (7, 40)], ..Self::default() }
    }

    fn start(self) -> (Arc<Router>, Self) {
        (Router::new(Arc::new(self.clone()), LogLimits::default()), self)
    }

    fn hand_back(&self, channel: &str, epoch: Epoch, offset: u64) {
        self.committed.lock().unwrap().as_ref().unwrap()(vec![event(channel, epoch, offset, 100)]);
    }
}

fn event(channel: &str, epoch: Epoch, offset: u64, seconds: i64) -> Arc<Event> {
    let draft = Draft { time: time(seconds), ..draft(channel) };
    Arc::new(Event::new(draft, Position { epoch, offset }, Uuid::nil()))
}

fn time(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

impl Engine for Store {
    fn start(&self, committed: Committed) {
        *self.committed.lock().unwrap() = Some(committed);
    }

    fn publish(&self, _batch: Vec<Draft>) -> Result<Ack, EngineError> {
        Err(EngineError::Busy("it is somebody else's turn".into()))
    }

    fn has_history(&self) -> bool {
        true
    }

    fn read(&self, _: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        let first = self.events.first().map_or(8, |(offset, _)| *offset);
        if next < first {
            return Ok(Page::Expired { first });
        }
        if self.events.iter().all(|(offset, _)| *offset != next) && next < 8 {
            return Ok(Page::Missing { to: next, reason: GapReason::Corruption });
        }
        let found = self.events.iter().filter(|(offset, _)| *offset >= next && *offset < 8);
        let mut events = Vec::new();
        for (offset, seconds) in found.take(limit.events) {
            if *offset != next + events.len() as u64 {
                break;
            }
            let epoch = if *offset <= 5 { EARLIER } else { NOW };
            events.push(event("a", epoch, *offset, *seconds));
        }
        let next = next + events.len() as u64;
        Ok(Page::Events { events, next })
    }

    fn read_back(&self, _: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
        if before == 7 {
            return Ok(Page::Missing { to: 6, reason: GapReason::Corruption });
        }
        let found = self.events.iter().rev().filter(|(offset, _)| *offset < before && (before > 7 || *offset < 6));
        let mut events = Vec::new();
        for (offset, seconds) in found.take(limit.events) {
            if *offset + 1 + events.len() as u64 != before {
                break;
            }
            events.push(event("a", NOW, *offset, *seconds));
        }
        if events.is_empty() {
            return Ok(Page::Expired { first: 3 });
        }
        let next = before - events.len() as u64;
        Ok(Page::Events { events, next })
    }

    fn within(
        &self,
        _: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        let fits = |seconds: i64| {
            since.is_none_or(|since| time(seconds) >= since) && until.is_none_or(|until| time(seconds) <= until)
        };
        let mut found = self.events.iter().filter(|(_, seconds)| fits(*seconds)).map(|(offset, _)| *offset);
        let Some(first) = found.next() else { return Ok(8..8) };
        Ok(first..found.next_back().unwrap_or(first) + 1)
    }

    fn kept(&self, _: &ChannelName, epoch: Epoch) -> Option<u64> {
        match epoch {
            NOW => Some(7),
            EARLIER => Some(5),
            _ => None,
        }
    }

    fn retained(&self) -> Result<Vec<Arc<Event>>, EngineError> {
        if self.broken { Err(EngineError::Down("a page is torn".into())) } else { Ok(self.retained.clone()) }
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let known = self.heads().into_iter().find(|head| head.name == *channel);
        Ok(known.unwrap_or(Head { name: channel.clone(), epoch: NOW, first: 1, last: 0 }))
    }

    fn heads(&self) -> Vec<Head> {
        let first = self.events.first().map_or(8, |(offset, _)| *offset);
        vec![Head { name: name("a"), epoch: NOW, first, last: 7 }]
    }
}

fn after(epoch: Epoch, offset: u64) -> From {
    From::After(Position { epoch, offset })
}

fn gap(offset: u64, to: u64, reason: GapReason) -> Gap {
    Gap { channel: name("a"), from: Position { epoch: NOW, offset }, to, reason }
}

#[test]
fn a_reader_begins_in_the_store_after_a_restart() {
    let (router, store) = Store::new().start();
    let log = router.log("a").unwrap();
    assert!(router.has_history());
    assert_eq!((log.epoch(), log.tail(), log.head()), (NOW, 8, 7));
    store.hand_back("a", NOW, 8);
    for (from, answer) in [
        (From::Latest, Attach::At(9)),
        (From::Held, Attach::At(8)),
        (From::Earliest, Attach::At(3)),
        (after(NOW, 8), Attach::At(9)),
        (after(NOW, 4), Attach::At(5)),
        (after(NOW, 2), Attach::At(3)),
        (after(NOW, 0), Attach::Gap { next: 3, gap: gap(1, 2, GapReason::Retention) }),
        (after(NOW, 9), Attach::Ahead { head: 8 }),
        // Of the epoch before, all to 5 was kept: no gap, though the reader's numbers carry another epoch.
        (after(EARLIER, 5), Attach::At(6)),
        (after(EARLIER, 3), Attach::At(4)),
        (after(EARLIER, 1), Attach::Gap { next: 3, gap: gap(2, 2, GapReason::Retention) }),
        (after(EARLIER, 6), Attach::Gap { next: 6, gap: gap(6, 5, GapReason::EpochChange) }),
        (after(Epoch(1), 4), Attach::Gap { next: 3, gap: gap(1, 2, GapReason::EpochChange) }),
    ] {
        assert_eq!(router.attach(&log, &from).unwrap(), answer, "{from:?}");
    }
}

#[test]
fn a_time_is_found_in_the_store_and_in_the_log() {
    let (router, store) = Store::new().start();
    let log = router.log("a").unwrap();
    store.hand_back("a", NOW, 8); // at 100 s
    // Offsets 3, 4, 5, 7, 8 were observed at 30, 10, 50, 40, 100 s.
    for (since, first) in [(0, 3), (10, 3), (31, 5), (50, 5), (51, 8), (100, 8), (101, 9)] {
        assert_eq!(router.attach(&log, &From::Since(time(since))).unwrap(), Attach::At(first), "since {since} s");
    }
    for (since, until, range) in
        [(None, Some(20), 4..5), (Some(40), Some(45), 7..8), (Some(45), None, 5..9), (None, Some(5), 9..9)]
    {
        let found = router.within(&log, since.map(time), until.map(time)).unwrap();
        assert_eq!(found, range, "{since:?} to {until:?}");
    }
}

#[test]
fn pages_downwards_name_what_is_missing_and_end_where_the_store_begins() {
    let (router, _store) = Store::new().start();
    let log = router.log("a").unwrap();
    let (mut before, mut seen, mut gaps) = (8, Vec::new(), Vec::new());
    while before > 1 {
        match router.page_back(&log, before, PageLimit { events: 2, ..PageLimit::default() }).unwrap() {
            Paged::Events { events, next } => {
                assert!(next < before, "a reader that does not move");
                seen.extend(offsets(&events));
                before = next;
            }
            Paged::Gap { next, gap } => {
                assert!(next < before, "a reader that does not move");
                gaps.push(gap);
                before = next;
            }
        }
    }
    assert_eq!(seen, [7, 5, 4, 3]);
    assert_eq!(gaps, [gap(6, 6, GapReason::Corruption), gap(1, 2, GapReason::Retention)]);
}

#[test]
fn pages_from_the_store_end_where_memory_begins_and_name_what_is_missing() {
    let (router, store) = Store::new().start();
    let log = router.log("a").unwrap();
    store.hand_back("a", NOW, 8);
    let read_all = |from| {
        let (mut next, mut seen, mut gaps) = (from, Vec::new(), Vec::new());
        while next < log.tail() {
            match router.page(&log, next, PageLimit { events: 2, ..PageLimit::default() }).unwrap() {
                Paged::Events { events, next: then } => {
                    assert!(then > next, "a reader that does not move");
                    seen.extend(offsets(&events));
                    next = then;
                }
                Paged::Gap { next: then, gap } => {
                    gaps.push(gap);
                    next = then;
                }
            }
        }
        (seen, gaps)
    };
    let missing = gap(6, 6, GapReason::Corruption);
    assert_eq!(read_all(3), (vec![3, 4, 5, 7], vec![missing.clone()]));
    assert_eq!(read_all(1), (vec![3, 4, 5, 7], vec![gap(1, 2, GapReason::Retention), missing]));
    assert_eq!(read_all(7), (vec![7], vec![]));
}

#[test]
fn without_a_store_what_left_the_log_is_a_gap() {
    let router = router(LogLimits { channel_events: 4, ..LogLimits::default() });
    let position = publish_many(&router, "a", 10)[2];
    let log = router.log("a").unwrap();
    assert!(!router.has_history());
    let gap = |offset| {
        let from = Position { epoch: position.epoch, offset };
        Gap { channel: name("a"), from, to: 6, reason: GapReason::Retention }
    };
    let attach = |from| router.attach(&log, &from).unwrap();
    assert_eq!(attach(From::After(position)), Attach::Gap { next: 7, gap: gap(4) });
    assert_eq!(
        (attach(From::Latest), attach(From::Held), attach(From::Earliest)),
        (Attach::At(11), Attach::At(7), Attach::At(7))
    );
    let paged = router.page(&log, 5, PageLimit::default()).unwrap();
    assert!(matches!(&paged, Paged::Gap { next: 7, gap: found } if *found == gap(5)), "{paged:?}");
    // What is still in memory is no gap, whatever the store says of it.
    let paged = router.page(&log, 7, PageLimit::default()).unwrap();
    assert!(matches!(&paged, Paged::Events { events, next: 7 } if events.is_empty()), "{paged:?}");
}

#[test]
fn a_store_with_a_past_goes_on_where_it_was() {
    let (router, store) = Store::new().start();
    let log = router.log("a").unwrap();
    assert!(matches!(router.publish(vec![draft("a")]).unwrap_err(), RouterError::Engine(EngineError::Busy(_))));
    let shard = router.shard(Box::new(|| {}));
    shard.watch(&pattern("*")).unwrap();
    store.hand_back("a", NOW, 8);
    assert_eq!((log.tail(), log.head()), (8, 8));
    // A channel that this router never heard of, in the middle of its life.
    store.hand_back("b", Epoch(5), 41);
    let other = router.log("b").unwrap();
    assert_eq!((other.epoch(), other.tail(), other.head()), (Epoch(5), 41, 41));
    // The store was restored: another numbering. Nothing of the old one may be read as if it belonged to it.
    store.hand_back("a", Epoch(10), 1);
    assert_eq!((log.epoch(), log.tail(), log.head()), (Epoch(10), 1, 1));
    let mut out = Vec::new();
    let _ = shard.take(&mut out);
    assert_eq!(offsets(&out), [8, 41, 1]);
}

#[test]
fn what_was_retained_survives_a_restart() {
    let retained = |key: &str, offset| {
        let draft = Draft { retention: Retention::Keep(key.into()), ..draft("a") };
        Arc::new(Event::new(draft, Position { epoch: EARLIER, offset }, Uuid::nil()))
    };
    let (router, _) = Store { retained: vec![retained("y", 3), retained("x", 4)], ..Store::new() }.start();
    assert_eq!(offsets(&router.snapshot(&pattern("*"))), [4, 3]);
    // A store that cannot tell them does not keep the bus from starting.
    let (router, store) = Store { broken: true, ..Store::new() }.start();
    store.hand_back("a", NOW, 8);
    assert_eq!((router.counters().snapshots, router.log("a").unwrap().head()), (0, 8));
}
