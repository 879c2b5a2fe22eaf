//! What the checks stand on: what an engine handed back, drafts that are known again, names. Used by the checks beside it.

use crate::{Engine, Head, Page, PageLimit};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Event, Payload, Position};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an engine hands back.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<Arc<Event>>>>);

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Arc<Event>> {
        self.lock().clone()
    }

    pub(super) fn of(&self, name: &ChannelName) -> Vec<Arc<Event>> {
        self.lock().iter().filter(|event| event.channel == *name).cloned().collect()
    }
}

pub(super) fn start(engine: &dyn Engine) -> Seen {
    let seen = Seen::default();
    let record = seen.clone();
    engine.start(Box::new(move |events| {
        // An engine that hands back without holding its order is overtaken here.
        std::thread::yield_now();
        record.lock().extend(events);
    }));
    seen
}

/// Publishes and waits for the ack; by then all has been handed back.
pub(super) fn publish(engine: &dyn Engine, batch: Vec<Draft>) -> Vec<Position> {
    engine.publish(batch).expect("a plain batch is taken").wait().expect("a plain batch is acknowledged")
}

pub(super) fn read(engine: &dyn Engine, name: &ChannelName, next: u64, limit: PageLimit) -> Page {
    engine.read(name, next, limit).expect("a channel can be read")
}

pub(super) fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).expect("invariant: the suite's names are good")
}

/// A draft that is known again by its number.
pub(super) fn draft(name: &ChannelName, number: usize) -> Draft {
    let data = Payload::new(Bytes::from(number.to_string())).expect("invariant: a number is JSON");
    Draft::new(name.clone(), "tested", "conformance", data)
}

pub(super) fn payload(event: &Event) -> String {
    String::from_utf8_lossy(event.data.as_bytes()).into_owned()
}

pub(super) fn find<'a>(events: &'a [Arc<Event>], name: &ChannelName, position: Position) -> &'a Arc<Event> {
    events
        .iter()
        .find(|event| event.channel == *name && event.position == position)
        .unwrap_or_else(|| panic!("`{name}` at {position} was acknowledged or stored, and never handed back"))
}

pub(super) fn assert_contiguous(name: &ChannelName, events: &[Arc<Event>]) {
    for (event, offset) in events.iter().zip(1..) {
        assert_eq!(event.position.offset, offset, "`{name}` was not handed back in the order of offsets from 1");
        assert_eq!(event.position.epoch, events[0].position.epoch, "`{name}` changed its epoch");
    }
}

pub(super) fn sorted(mut heads: Vec<Head>) -> Vec<Head> {
    heads.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    heads
}
