//! The events of one channel that are in memory: a run of offsets without a hole. Owned by [`crate::ChannelLog`], under
//! its lock.

use crate::{LogLimits, Read, ReadLimit};
use headwater_event::{Epoch, Event};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// An age is kept to within this part of it: one mark for each part, not a time for each event.
const AGE_PARTS: u32 = 32;

/// A ring of this many slots or fewer is not worth shrinking.
const SMALL: usize = 64;

#[derive(Debug)]
pub(crate) struct Ring {
    epoch: Epoch,
    events: VecDeque<Arc<Event>>,
    /// The offset of the first event held; of the next one to come when none is.
    tail: u64,
    bytes: usize,
    /// When which offset arrived, oldest first; the first mark covers `tail`.
    marks: VecDeque<Mark>,
    /// When the newest event arrived.
    newest: Option<Instant>,
}

#[derive(Debug)]
struct Mark {
    at: Instant,
    offset: u64,
}

/// What left the ring.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

impl std::ops::AddAssign for Trimmed {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

impl Ring {
    /// An empty ring behind `last`.
    pub(crate) fn new(epoch: Epoch, last: u64) -> Self {
        Self { epoch, events: VecDeque::new(), tail: last + 1, bytes: 0, marks: VecDeque::new(), newest: None }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    pub(crate) fn head(&self) -> u64 {
        self.tail + self.events.len() as u64 - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes ready for an event: drops what the channel's bounds leave no room for beside it. An event that does not
    /// follow the last one (another epoch, a hole) empties the ring: what is held has no hole, whatever an engine does.
    pub(crate) fn make_room(&mut self, event: &Event, weight: usize, limits: &LogLimits, now: Instant) -> Trimmed {
        let mut trimmed = Trimmed::default();
        if event.position.epoch != self.epoch || event.position.offset != self.head() + 1 {
            trimmed += self.keep(0);
            self.epoch = event.position.epoch;
            self.tail = event.position.offset;
        }
        while !self.events.is_empty()
            && (self.events.len() >= limits.channel_events || self.bytes + weight > limits.channel_bytes)
        {
            trimmed += self.pop();
        }
        trimmed += self.expire(limits.channel_age, now);
        trimmed
    }

    /// Appends an event that [`Self::make_room`] has seen.
    pub(crate) fn push(&mut self, event: Arc<Event>, weight: usize, age: Duration, now: Instant) {
        debug_assert_eq!(event.position.offset, self.head() + 1);
        if self.marks.back().is_none_or(|mark| now.duration_since(mark.at) >= age / AGE_PARTS) {
            self.marks.push_back(Mark { at: now, offset: event.position.offset });
        }
        self.newest = Some(now);
        self.bytes += weight;
        self.events.push_back(event);
    }

    /// Drops what arrived longer ago than `age`.
    pub(crate) fn expire(&mut self, age: Duration, now: Instant) -> Trimmed {
        let mut trimmed = Trimmed::default();
        if self.newest.is_none_or(|newest| now.duration_since(newest) >= age) {
            trimmed += self.keep(0);
        }
        // All before the second mark arrived before that mark was set.
        while self.marks.get(1).is_some_and(|second| now.duration_since(second.at) >= age) {
            let second = self.marks[1].offset;
            while self.tail < second {
                trimmed += self.pop();
            }
            self.marks.pop_front();
        }
        trimmed
    }

    /// Drops the oldest events until at most `bytes` are held.
    pub(crate) fn keep(&mut self, bytes: usize) -> Trimmed {
        let mut trimmed = Trimmed::default();
        while self.bytes > bytes {
            trimmed += self.pop();
        }
        trimmed
    }

    fn pop(&mut self) -> Trimmed {
        let Some(event) = self.events.pop_front() else { return Trimmed::default() };
        self.tail += 1;
        let bytes = event.weight();
        self.bytes -= bytes;
        while self.marks.get(1).is_some_and(|second| second.offset <= self.tail) {
            self.marks.pop_front();
        }
        if self.events.is_empty() {
            self.marks.clear();
        }
        // A channel that was busy once must not keep the slots for ever; halving keeps this cheap per event.
        if self.events.capacity() > SMALL && self.events.len() < self.events.capacity() / 4 {
            self.events.shrink_to(self.events.capacity() / 2);
        }
        Trimmed { events: 1, bytes }
    }

    /// Copies events from `next` on; the start is found by its number.
    pub(crate) fn read(&self, next: u64, limit: ReadLimit, out: &mut Vec<Arc<Event>>) -> Read {
        if next < self.tail {
            return Read::Behind { tail: self.tail };
        }
        let start = usize::try_from(next - self.tail).unwrap_or(usize::MAX).min(self.events.len());
        let (mut count, mut bytes) = (0, 0);
        for event in self.events.range(start..).take(limit.events.max(1)) {
            bytes += event.data.as_bytes().len();
            // The first one always goes: a reader that got none would never move.
            if count > 0 && bytes > limit.bytes {
                break;
            }
            out.push(event.clone());
            count += 1;
        }
        Read::Ok { next: next + count }
    }
}
