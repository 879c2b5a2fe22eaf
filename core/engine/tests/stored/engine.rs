//! An engine with a store, as small as it can be: it writes on a thread of its own, acknowledges when that is done, keeps
//! the newest events and pages them. It can break each promise that the suite knows.

use bytes::Bytes;
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, Page, PageLimit, Receipt};
use headwater_event::{ChannelName, Draft, Epoch, Event, Payload, Position, Retention, Timestamp};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    ops::Range,
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Which promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
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
    ReadsBackUpwards,
    ReadsBackWithHoles,
    ReadsBackPagesTooLong,
    ReadsBackFromTheLastOnly,
    MissesTheLastInTime,
    TakesAllForInTime,
    NothingInTimeAtTheBeginning,
    KeepsAnyEpoch,
    KeepsNoEpoch,
    RetainsWhatIsForgotten,
    RetainsTheFirst,
    RetainsNothing,
    RetainsFromTheStart,
    LosesTheLastAtARestart,
    NumbersAnewAtARestart,
    NewEpochsAtARestart,
    SaysItHasNoHistory,
}

/// The longest batch that it takes.
pub(crate) const MAX_BATCH: usize = 100;
/// How many events of a channel it keeps.
const KEPT: usize = 30;

type Written = (Vec<Arc<Event>>, Receipt, Vec<Position>);

pub(crate) struct Stored {
    fault: Fault,
    committed: OnceLock<Committed>,
    live: Disk,
}

/// What stays when an engine is dropped.
pub(crate) type Disk = Arc<Mutex<Live>>;

/// What an engine knows.
#[derive(Default)]
pub(crate) struct Live {
    /// The source of the epochs.
    life: RandomState,
    channels: BTreeMap<ChannelName, Vec<Arc<Event>>>,
    lasts: BTreeMap<ChannelName, u64>,
    snapshots: BTreeMap<(ChannelName, String), Arc<Event>>,
    writer: Option<mpsc::Sender<Written>>,
    /// Of [`Fault::HandsBackOutsideItsLock`]: whether a publisher waits, and how many have handed back.
    waits: bool,
    handed: u64,
}

impl Stored {
    pub(crate) fn new(fault: Fault) -> Self {
        Self::on(fault, Disk::default())
    }

    /// An engine on what an earlier one has left.
    pub(crate) fn on(fault: Fault, disk: Disk) -> Self {
        let mut live = disk.lock().unwrap();
        match fault {
            Fault::NewEpochsAtARestart => live.life = RandomState::new(),
            Fault::NumbersAnewAtARestart => live.lasts.clear(),
            Fault::LosesTheLastAtARestart => live.channels.values_mut().for_each(|events| drop(events.pop())),
            _ => {}
        }
        drop(live);
        Self { fault, committed: OnceLock::new(), live: disk }
    }

    fn epoch(&self, live: &Live, channel: &ChannelName) -> Epoch {
        match self.fault {
            Fault::OneEpochForAll => Epoch(1),
            Fault::SameEpochsInEachLife => Epoch(channel.as_str().bytes().fold(7, |h, b| h * 31 + u64::from(b))),
            _ => Epoch(live.life.hash_one(channel.as_str())),
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
        self.fault != Fault::SaysItHasNoHistory
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
            let mut epoch = self.epoch(&live, &name);
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
            match &event.retention {
                Retention::None => {}
                Retention::Forget(_) if self.fault == Fault::RetainsWhatIsForgotten => {}
                Retention::Keep(key) if self.fault == Fault::RetainsTheFirst => {
                    live.snapshots.entry((name.clone(), key.to_string())).or_insert(event.clone());
                }
                Retention::Keep(key) => drop(live.snapshots.insert((name.clone(), key.to_string()), event.clone())),
                Retention::Forget(key) => drop(live.snapshots.remove(&(name.clone(), key.to_string()))),
            }
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

    fn read_back(&self, channel: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
        let live = self.live.lock().unwrap();
        let last = live.lasts.get(channel).copied().unwrap_or(0);
        let top = before.saturating_sub(1).min(last);
        let kept = live.channels.get(channel).map_or(&[][..], |kept| kept);
        let first = last + 1 - kept.len() as u64;
        if top == 0 || self.fault == Fault::ReadsBackFromTheLastOnly && before > last + 1 {
            return Ok(Page::Events { events: Vec::new(), next: before });
        }
        if top < first {
            return Ok(Page::Expired { first });
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        for event in kept[..=(top - first) as usize].iter().rev() {
            bytes += event.data.as_bytes().len();
            let full = events.len() == limit.events || (bytes > limit.bytes && !events.is_empty());
            if full && self.fault != Fault::ReadsBackPagesTooLong {
                break;
            }
            events.push(event.clone());
        }
        let next = top + 1 - events.len() as u64;
        match self.fault {
            Fault::ReadsBackUpwards => events.reverse(),
            Fault::ReadsBackWithHoles if events.len() > 2 => drop(events.remove(1)),
            _ => {}
        }
        Ok(Page::Events { events, next })
    }

    fn within(
        &self,
        channel: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        let live = self.live.lock().unwrap();
        let end = live.lasts.get(channel).copied().unwrap_or(0) + 1;
        let kept = live.channels.get(channel).map_or(&[][..], |kept| kept);
        let fits = |event: &&Arc<Event>| {
            since.is_none_or(|since| event.time >= since) && until.is_none_or(|until| event.time <= until)
        };
        let mut offsets = kept.iter().filter(fits).map(|event| event.position.offset);
        Ok(match (offsets.next(), self.fault) {
            (Some(_), Fault::TakesAllForInTime) => end - kept.len() as u64..end,
            (Some(first), Fault::MissesTheLastInTime) => first..offsets.next_back().unwrap_or(first),
            (Some(first), _) => first..offsets.next_back().unwrap_or(first) + 1,
            (None, Fault::NothingInTimeAtTheBeginning) => 1..1,
            (None, _) => end..end,
        })
    }

    fn kept(&self, channel: &ChannelName, epoch: Epoch) -> Option<u64> {
        let head = self.open(channel).unwrap();
        match self.fault {
            Fault::KeepsAnyEpoch => Some(head.last),
            Fault::KeepsNoEpoch => None,
            _ => (head.epoch == epoch).then_some(head.last),
        }
    }

    fn retained(&self) -> Result<Vec<Arc<Event>>, EngineError> {
        let data = Payload::new(Bytes::from_static(b"0")).unwrap();
        let other = Draft::new(ChannelName::new("a").unwrap(), "tested", "test", data);
        let position = Position { epoch: Epoch(1), offset: 1 };
        Ok(match self.fault {
            Fault::RetainsNothing => Vec::new(),
            Fault::RetainsFromTheStart => vec![Arc::new(Event::new(other, position, Uuid::now_v7()))],
            _ => self.live.lock().unwrap().snapshots.values().cloned().collect(),
        })
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let mut live = self.live.lock().unwrap();
        if self.fault == Fault::OpenCreates {
            live.lasts.entry(channel.clone()).or_default();
        }
        let last = live.lasts.get(channel).copied().unwrap_or(0);
        let first = last + 1 - live.channels.get(channel).map_or(0, |kept| kept.len() as u64);
        Ok(Head { name: channel.clone(), epoch: self.epoch(&live, channel), first, last })
    }

    fn heads(&self) -> Vec<Head> {
        let mut names: Vec<_> = self.live.lock().unwrap().lasts.keys().cloned().collect();
        if self.fault == Fault::HeadsWithoutTheLast {
            names.pop();
        }
        names.iter().map(|name| self.open(name).unwrap()).collect()
    }
}
