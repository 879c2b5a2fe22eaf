//! An engine of another kind, as a model of one with a store: it writes on a thread of its own, acknowledges when that is
//! done, keeps the newest events and pages them. It shows that the trait is enough for such an engine, and, broken in
//! each way that the suite knows, that the suite notices.

#![allow(clippy::unwrap_used)] // a test's engine

use bytes::Bytes;
use headwater_engine::{
    Ack, Committed, Engine, EngineError, Head, Page, PageLimit, Receipt,
    conformance::{a_refused_batch_leaves_nothing, conformance},
};
use headwater_event::{ChannelName, Draft, Epoch, Event, Payload, Position};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Which promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    StartsAtZero,
    HandsBackOutsideItsLock,
    HandsBackTwice,
    LosesTheLastOfABatch,
    PositionsInReverse,
    OneEpochForAll,
    SameEpochsInEachLife,
    EpochChangesAtTheFirstEvent,
    TakesBeforeTheStart,
    RefusesAfterNumbering,
    SwapsABatch,
    ForgetsAttributes,
    OneIdForAll,
    HeadsWithoutTheLast,
    OpenCreates,
    PagesWithHoles,
    PagesTooLong,
    EmptyPages,
    ExpiresTheFuture,
    ReadsOnlyWhatIsWritten,
}

/// The longest batch that it takes.
const MAX_BATCH: usize = 100;
/// How many events of a channel it keeps.
const KEPT: usize = 30;

type Written = (Vec<Arc<Event>>, Receipt, Vec<Position>);

struct Stored {
    fault: Fault,
    life: RandomState,
    committed: OnceLock<Committed>,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    channels: BTreeMap<ChannelName, Vec<Arc<Event>>>,
    lasts: BTreeMap<ChannelName, u64>,
    writer: Option<mpsc::Sender<Written>>,
    /// Of [`Fault::HandsBackOutsideItsLock`]: whether a publisher waits, and how many have handed back.
    waits: bool,
    handed: u64,
}

impl Stored {
    fn new(fault: Fault) -> Self {
        Self { fault, life: RandomState::new(), committed: OnceLock::new(), live: Mutex::default() }
    }

    fn epoch(&self, channel: &ChannelName) -> Epoch {
        match self.fault {
            Fault::OneEpochForAll => Epoch(1),
            Fault::SameEpochsInEachLife => Epoch(channel.as_str().bytes().fold(7, |h, b| h * 31 + u64::from(b))),
            _ => Epoch(self.life.hash_one(channel.as_str())),
        }
    }
}

impl Engine for Stored {
    fn start(&self, committed: Committed) {
        assert!(self.committed.set(committed).is_ok());
        let (sender, written) = mpsc::channel::<Written>();
        // It ends when the engine, and with it the sender, is gone.
        std::thread::spawn(move || {
            for (_events, receipt, positions) in written {
                receipt.complete(Ok(positions));
            }
        });
        self.live.lock().unwrap().writer = Some(sender);
    }

    fn has_history(&self) -> bool {
        true
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        let Some(committed) = self.committed.get() else {
            if self.fault == Fault::TakesBeforeTheStart {
                return Ok(Ack::ready(Ok(Vec::new())));
            }
            return Err(EngineError::Down("not started".into()));
        };
        let too_long = batch.len() > MAX_BATCH;
        if too_long && self.fault != Fault::RefusesAfterNumbering {
            return Err(EngineError::Refused("the batch is too long".into()));
        }
        let mut live = self.live.lock().unwrap();
        let (mut events, mut positions) = (Vec::new(), Vec::new());
        for mut draft in batch {
            let name = draft.channel.clone();
            let last = live.lasts.entry(name.clone()).or_default();
            *last += 1;
            let offset = *last - u64::from(self.fault == Fault::StartsAtZero);
            let mut epoch = self.epoch(&name);
            if self.fault == Fault::EpochChangesAtTheFirstEvent {
                epoch.0 ^= 1;
            }
            if self.fault == Fault::ForgetsAttributes {
                draft.attributes = Box::default();
            }
            let position = Position { epoch, offset };
            positions.push(position);
            let id = if self.fault == Fault::OneIdForAll { Uuid::from_u128(7 << 76) } else { Uuid::now_v7() };
            let event = Arc::new(Event::new(draft, position, id));
            events.push(event.clone());
            let kept = live.channels.entry(name).or_default();
            kept.push(event);
            if kept.len() > KEPT {
                kept.remove(0);
            }
        }
        if too_long {
            return Err(EngineError::Refused("the batch is too long".into()));
        }
        let (receipt, ack) = Ack::pending();
        let mut handed = events.clone();
        match self.fault {
            Fault::HandsBackTwice => handed.extend(events.last().cloned()),
            Fault::LosesTheLastOfABatch if handed.len() > 1 => drop(handed.pop()),
            Fault::SwapsABatch => handed.reverse(),
            Fault::PositionsInReverse => positions.reverse(),
            _ => {}
        }
        let writer = live.writer.clone().unwrap();
        if self.fault == Fault::HandsBackOutsideItsLock {
            let (waits, before) = (!live.waits, live.handed);
            live.waits = true;
            drop(live);
            // One publisher waits until another one has overtaken it: then the fault is there, not by luck.
            let end = Instant::now() + Duration::from_millis(100);
            while waits && self.live.lock().unwrap().handed == before && Instant::now() < end {
                std::thread::yield_now();
            }
            committed(handed);
            let mut live = self.live.lock().unwrap();
            live.handed += 1;
            live.waits &= !waits;
        } else {
            committed(handed);
        }
        writer.send((events, receipt, positions)).unwrap();
        Ok(ack)
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        let live = self.live.lock().unwrap();
        let last = live.lasts.get(channel).copied().unwrap_or(0);
        if next > last {
            return Ok(match self.fault {
                Fault::ExpiresTheFuture => Page::Expired { first: last + 1 },
                _ => Page::Events { events: Vec::new(), next },
            });
        }
        let kept = live.channels.get(channel).map_or(&[][..], |kept| kept);
        let first = last + 1 - kept.len() as u64;
        if next < first {
            return Ok(Page::Expired { first });
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        let unwritten = if self.fault == Fault::ReadsOnlyWhatIsWritten { 3 } else { 0 };
        for event in kept[(next - first) as usize..].iter().filter(|event| event.position.offset + unwritten <= last) {
            bytes += event.data.as_bytes().len();
            let full = events.len() == limit.events || (bytes > limit.bytes && !events.is_empty());
            if full && self.fault != Fault::PagesTooLong || self.fault == Fault::EmptyPages {
                break;
            }
            events.push(event.clone());
        }
        if self.fault == Fault::PagesWithHoles && events.len() > 2 {
            events.remove(1);
        }
        let next = next + events.len() as u64;
        Ok(Page::Events { events, next })
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let mut live = self.live.lock().unwrap();
        if self.fault == Fault::OpenCreates {
            live.lasts.entry(channel.clone()).or_default();
        }
        let last = live.lasts.get(channel).copied().unwrap_or(0);
        let first = last + 1 - live.channels.get(channel).map_or(0, |kept| kept.len() as u64);
        Ok(Head { name: channel.clone(), epoch: self.epoch(channel), first, last })
    }

    fn heads(&self) -> Vec<Head> {
        let mut names: Vec<_> = self.live.lock().unwrap().lasts.keys().cloned().collect();
        if self.fault == Fault::HeadsWithoutTheLast {
            names.pop();
        }
        names.iter().map(|name| self.open(name).unwrap()).collect()
    }
}

fn draft(number: usize) -> Draft {
    let data = Payload::new(Bytes::from(number.to_string())).unwrap();
    Draft::new(ChannelName::new("a").unwrap(), "tested", "test", data)
}

fn check(fault: Fault) {
    conformance(|| Box::new(Stored::new(fault)));
    a_refused_batch_leaves_nothing(&Stored::new(fault), &draft(0), (0..=MAX_BATCH).map(draft).collect());
}

#[test]
fn an_engine_that_acknowledges_later_and_keeps_the_newest_conforms() {
    check(Fault::None);
}

/// A suite that lets a broken engine pass promises nothing.
#[test]
fn every_broken_promise_is_noticed() {
    for fault in [
        Fault::StartsAtZero,
        Fault::HandsBackOutsideItsLock,
        Fault::HandsBackTwice,
        Fault::LosesTheLastOfABatch,
        Fault::PositionsInReverse,
        Fault::OneEpochForAll,
        Fault::SameEpochsInEachLife,
        Fault::EpochChangesAtTheFirstEvent,
        Fault::TakesBeforeTheStart,
        Fault::RefusesAfterNumbering,
        Fault::SwapsABatch,
        Fault::ForgetsAttributes,
        Fault::OneIdForAll,
        Fault::HeadsWithoutTheLast,
        Fault::OpenCreates,
        Fault::PagesWithHoles,
        Fault::PagesTooLong,
        Fault::EmptyPages,
        Fault::ExpiresTheFuture,
        Fault::ReadsOnlyWhatIsWritten,
    ] {
        assert!(catch_unwind(AssertUnwindSafe(|| check(fault))).is_err(), "{fault:?} was not noticed");
    }
}
