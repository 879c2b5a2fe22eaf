//! One channel as it is known without asking the file: how far it is numbered and written, and its events that wait for
//! the writer, as pages. Part of the live state, under its lock.

use super::{lineage::Lineage, options::Keep};
use crate::{Head, PageLimit};
use headwater_event::{ChannelName, Event};
use std::sync::Arc;

/// One channel.
pub(crate) struct Channel {
    /// Shared by all its events, whatever allocation their drafts came with.
    pub(crate) name: ChannelName,
    /// Its number in the file.
    pub(crate) id: i64,
    pub(crate) lineage: Lineage,
    /// Whether its events are stored.
    pub(crate) store: bool,
    /// How much of them.
    pub(crate) keep: Keep,
    /// When the first event that the file has was published, in milliseconds since 1970; `None` where it has none.
    pub(crate) oldest: Option<i64>,
    /// Whether the file has a row for it.
    pub(crate) recorded: bool,
    /// The first offset that can be read; one behind the last where there is none.
    pub(crate) first: u64,
    /// The last offset that was handed back.
    pub(crate) last: u64,
    /// Everything up to here is in the file, or lost.
    pub(crate) written: u64,
    /// What the writer is writing.
    pub(crate) flying: Arc<Vec<Arc<Event>>>,
    /// What waits for it, and its bytes.
    pub(crate) waiting: Vec<Arc<Event>>,
    pub(crate) waiting_bytes: usize,
    /// Offsets that were handed back and not kept, and of which the file does not know yet.
    pub(crate) lost: Vec<(u64, u64)>,
    /// Whether the writer knows that there is something for it.
    pub(crate) dirty: bool,
}

impl Channel {
    /// A channel that the file does not know. It is not stored where nothing is to be kept.
    pub(crate) fn new(name: ChannelName, id: i64, lineage: Lineage, keep: Option<Keep>) -> Self {
        Self {
            name,
            id,
            lineage,
            store: keep.is_some(),
            keep: keep.unwrap_or_default(),
            oldest: None,
            recorded: false,
            first: 1,
            last: 0,
            written: 0,
            flying: Arc::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            lost: Vec::new(),
            dirty: false,
        }
    }

    pub(crate) fn head(&self) -> Head {
        Head { name: self.name.clone(), epoch: self.lineage.epoch(), first: self.first, last: self.last }
    }

    /// Notes an offset that was handed back and cannot be kept.
    pub(crate) fn lose(&mut self, offset: u64) {
        match self.lost.last_mut() {
            Some(open) if open.1 + 1 == offset => open.1 = offset,
            _ => self.lost.push((offset, offset)),
        }
    }

    /// The hole that an offset lies in, if the file does not know of it yet.
    pub(crate) fn hole(&self, offset: u64) -> Option<(u64, u64)> {
        let after = self.lost.partition_point(|(first, _)| *first <= offset);
        self.lost.get(after.checked_sub(1)?).copied().filter(|(_, last)| *last >= offset)
    }

    /// The events that are not in the file yet, ascending from `next` on, without a hole, as many as a page holds.
    pub(crate) fn pending_from(&self, next: u64, limit: PageLimit) -> Vec<Arc<Event>> {
        let (flying, waiting) = (&self.flying[from(&self.flying, next)..], &self.waiting[from(&self.waiting, next)..]);
        let mut page = Filling::new(limit);
        for (event, expected) in flying.iter().chain(waiting).zip(next..) {
            if event.position.offset != expected || !page.take(event) {
                break;
            }
        }
        page.events
    }

    /// The same downwards, from `last` on.
    pub(crate) fn pending_down(&self, last: u64, limit: PageLimit) -> Vec<Arc<Event>> {
        let upto = |events: &[Arc<Event>]| events.partition_point(|event| event.position.offset <= last);
        let (flying, waiting) = (&self.flying[..upto(&self.flying)], &self.waiting[..upto(&self.waiting)]);
        let mut page = Filling::new(limit);
        for (event, expected) in waiting.iter().rev().chain(flying.iter().rev()).zip((0..=last).rev()) {
            if event.position.offset != expected || !page.take(event) {
                break;
            }
        }
        page.events
    }

    /// All that is not in the file yet, in order.
    pub(crate) fn pending(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.flying.iter().chain(&self.waiting)
    }
}

fn from(events: &[Arc<Event>], next: u64) -> usize {
    events.partition_point(|event| event.position.offset < next)
}

/// A page that is being filled.
pub(crate) struct Filling {
    pub(crate) events: Vec<Arc<Event>>,
    limit: PageLimit,
    bytes: usize,
}

impl Filling {
    pub(crate) fn new(limit: PageLimit) -> Self {
        Self { events: Vec::new(), limit, bytes: 0 }
    }

    /// Whether there is room for an event with this many bytes of payload. There always is for the first.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.events.is_empty()
            || self.events.len() < self.limit.events && self.bytes.saturating_add(bytes) <= self.limit.bytes
    }

    pub(crate) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.data.as_bytes().len();
        self.events.push(event);
    }

    fn take(&mut self, event: &Arc<Event>) -> bool {
        let room = self.has_room(event.data.as_bytes().len());
        if room {
            self.push(event.clone());
        }
        room
    }
}
