//! A past to ask about: a router whose logs hold a few events, over an engine that keeps the rest, or does not.

#![allow(clippy::unwrap_used)] // a test's engine

use bytes::Bytes;
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine, Page, PageLimit};
use headwater_event::{ChannelName, ChannelPattern, Draft, Event, GapReason, Payload, Timestamp};
use headwater_history::{Budget, HistoryError, Query, Withdrawal};
use headwater_router::{LogLimits, Router};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

/// How many events of a channel the router holds; what is older is in the store.
pub(crate) const HELD: usize = 5;

type Shelves = Arc<Mutex<BTreeMap<ChannelName, Vec<Arc<Event>>>>>;

/// A model of an engine with a store. It numbers as the memory engine does and keeps what that hands back.
pub(crate) struct Store {
    numbering: MemoryEngine,
    shelves: Shelves,
    /// Offsets, of every channel, that were given out and lost.
    lost: Range<u64>,
    /// Offsets below this one have been dropped.
    pub(crate) first: Mutex<u64>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { numbering: MemoryEngine::new(1_000), shelves: Shelves::default(), lost: 0..0, first: Mutex::new(1) }
    }

    /// One that has lost these offsets of every channel.
    pub(crate) fn without(lost: Range<u64>) -> Self {
        Self { lost, ..Self::new() }
    }

    fn shelf(&self, channel: &ChannelName) -> Vec<Arc<Event>> {
        let first = *self.first.lock().unwrap();
        let shelves = self.shelves.lock().unwrap();
        let all = shelves.get(channel).map_or(&[][..], |shelf| shelf);
        all.iter().filter(|event| event.position.offset >= first).cloned().collect()
    }

    fn missing(&self, event: &Event) -> bool {
        self.lost.contains(&event.position.offset)
    }
}

impl Engine for Store {
    fn start(&self, committed: Committed) {
        let shelves = self.shelves.clone();
        self.numbering.start(Box::new(move |events| {
            for event in &events {
                shelves.lock().unwrap().entry(event.channel.clone()).or_default().push(event.clone());
            }
            committed(events);
        }));
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        self.numbering.publish(batch)
    }

    fn has_history(&self) -> bool {
        true
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        let shelf = self.shelf(channel);
        let first = shelf.first().map_or(1, |event| event.position.offset);
        if next < first {
            return Ok(Page::Expired { first });
        }
        if self.lost.contains(&next) {
            return Ok(Page::Missing { to: self.lost.end - 1, reason: GapReason::Corruption });
        }
        let events: Vec<_> = shelf
            .into_iter()
            .skip_while(|event| event.position.offset < next)
            .take_while(|event| !self.missing(event))
            .take(limit.events)
            .collect();
        let next = next + events.len() as u64;
        Ok(Page::Events { events, next })
    }

    fn read_back(&self, channel: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
        if self.lost.contains(&(before - 1)) {
            return Ok(Page::Missing { to: self.lost.start, reason: GapReason::Corruption });
        }
        let below = self.shelf(channel).into_iter().rev().skip_while(|event| event.position.offset >= before);
        let events: Vec<_> = below.take_while(|event| !self.missing(event)).take(limit.events).collect();
        if events.is_empty() {
            return Ok(Page::Expired { first: before });
        }
        let next = before - events.len() as u64;
        Ok(Page::Events { events, next })
    }

    fn within(
        &self,
        channel: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        let fits = |event: &&Arc<Event>| {
            since.is_none_or(|since| event.time >= since)
                && until.is_none_or(|until| event.time <= until)
                && !self.missing(event)
        };
        let shelf = self.shelf(channel);
        let mut offsets = shelf.iter().filter(fits).map(|event| event.position.offset);
        let end = self.open(channel)?.last + 1;
        let Some(first) = offsets.next() else { return Ok(end..end) };
        Ok(first..offsets.next_back().unwrap_or(first) + 1)
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let head = self.numbering.open(channel)?;
        let first = self.shelf(channel).first().map_or(head.last + 1, |event| event.position.offset);
        Ok(Head { first, ..head })
    }

    fn heads(&self) -> Vec<Head> {
        self.numbering.heads().into_iter().map(|head| self.open(&head.name).unwrap()).collect()
    }
}

/// A router whose logs hold [`HELD`] events of each channel.
pub(crate) fn router(engine: Arc<dyn Engine>) -> Arc<Router> {
    Router::new(engine, LogLimits { channel_events: HELD, ..LogLimits::default() })
}

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

/// Publishes one event, observed at this second, and gives it back.
pub(crate) fn publish(router: &Router, channel: &str, seconds: i64, data: &str) -> Arc<Event> {
    publish_as(router, channel, seconds, data, "measured")
}

pub(crate) fn publish_as(router: &Router, channel: &str, seconds: i64, data: &str, kind: &str) -> Arc<Event> {
    let name = ChannelName::new(channel).unwrap();
    let payload = Payload::new(Bytes::copy_from_slice(data.as_bytes())).unwrap();
    let draft = Draft { time: time(seconds), ..Draft::new(name, kind, "test", payload) };
    router.publish(vec![draft]).unwrap().wait().unwrap();
    let log = router.log(channel).unwrap();
    let mut events = Vec::new();
    log.read(log.head(), PageLimit::default(), &mut events);
    events.pop().unwrap()
}

pub(crate) fn query(channels: &str) -> Query {
    Query::new(ChannelPattern::parse(channels).unwrap())
}

/// The name, number and time in seconds of each event.
pub(crate) fn told(events: &[Arc<Event>]) -> Vec<(&str, u64, i64)> {
    events.iter().map(|e| (e.channel.as_str(), e.position.offset, e.time.0.div_euclid(1_000_000_000))).collect()
}

pub(crate) fn offsets(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|event| event.position.offset).collect()
}

/// A page with the usual budget.
pub(crate) fn page(router: &Router, query: &Query) -> Result<headwater_history::Page, HistoryError> {
    query.page(router, Budget::PAGE, &Withdrawal::default())
}

/// All pages of an answer, each cursor through its text.
pub(crate) fn all_pages(router: &Router, query: &Query, budget: Budget) -> Vec<headwater_history::Page> {
    let (mut query, mut pages) = (query.clone(), Vec::new());
    loop {
        let page = query.page(router, budget, &Withdrawal::default()).unwrap();
        let cursor = page.cursor.clone();
        pages.push(page);
        let Some(cursor) = cursor else { return pages };
        query.cursor = Some(headwater_history::Cursor::parse(&cursor.to_string()).unwrap());
        assert!(pages.len() < 10_000, "an answer without end");
    }
}
