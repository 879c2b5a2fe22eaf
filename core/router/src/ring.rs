//! The events of one channel that are in memory: a run of offsets without a hole. Owned by [`crate::ChannelLog`], under
//! its lock.

use crate::{LogLimits, Read, ReadLimit};
use headwater_event::{Epoch, Event, Timestamp};
use std::{
    collections::VecDeque,
    ops::Range,
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
    /// When which events arrived, oldest first; the first mark covers `tail`. None when no event is held.
    marks: VecDeque<Mark>,
}

/// The events from one offset on, up to the next mark's: they arrived within a part of the age.
#[derive(Debug)]
struct Mark {
    offset: u64,
    first: Instant,
    last: Instant,
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
        Self { epoch, events: VecDeque::new(), tail: last + 1, bytes: 0, marks: VecDeque::new() }
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

    /// Makes ready for an event: drops what the channel's sizes leave no room for beside it. An event that does not
    /// follow the last one (another epoch, a hole) empties the ring: what is held has no hole, whatever an engine does.
    pub(crate) fn make_room(&mut self, event: &Event, weight: usize, limits: &LogLimits) -> Trimmed {
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
        trimmed
    }

    /// Appends an event that [`Self::make_room`] has seen.
    pub(crate) fn push(&mut self, event: Arc<Event>, weight: usize, age: Duration, now: Instant) {
        debug_assert_eq!(event.position.offset, self.head() + 1);
        match self.marks.back_mut() {
            // One of the same batch.
            Some(mark) if mark.last == now => {}
            Some(mark) if now.duration_since(mark.first) < age / AGE_PARTS => mark.last = now,
            _ => self.marks.push_back(Mark { offset: event.position.offset, first: now, last: now }),
        }
        self.bytes += weight;
        self.events.push_back(event);
    }

    /// Drops what arrived longer ago than `age`.
    pub(crate) fn expire(&mut self, age: Duration, now: Instant) -> Trimmed {
        let mut trimmed = Trimmed::default();
        while self.marks.front().is_some_and(|mark| now.duration_since(mark.last) >= age) {
            let until = self.marks.get(1).map_or(u64::MAX, |next| next.offset);
            while self.tail < until && !self.events.is_empty() {
                trimmed += self.pop();
            }
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
        Event::retire(event);
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

    /// The smallest range of offsets that holds every event observed from `since` to `until`, both included; empty, at the
    /// end, where there is none. Looks at each event: clocks do not order them.
    pub(crate) fn within(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Range<u64> {
        let fits = |event: &Arc<Event>| {
            since.is_none_or(|since| event.time >= since) && until.is_none_or(|until| event.time <= until)
        };
        let end = self.head() + 1;
        let Some(first) = self.events.iter().position(fits) else { return end..end };
        let last = self.events.iter().rposition(fits).unwrap_or(first);
        self.tail + first as u64..self.tail + last as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_event::{ChannelName, Draft, Payload, Position};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn event(epoch: Epoch, offset: u64, size: usize) -> Arc<Event> {
        let data = Payload::new(Bytes::from(format!("\"{}\"", "x".repeat(size)))).unwrap();
        let draft = Draft::new(ChannelName::new("a").unwrap(), "tested", "test", data);
        Arc::new(Event::new(draft, Position { epoch, offset }, Uuid::nil()))
    }

    fn limits() -> LogLimits {
        LogLimits {
            channel_events: 20,
            channel_bytes: 12_000,
            channel_age: Duration::from_secs(32),
            ..LogLimits::default()
        }
    }

    /// What may happen to a ring.
    #[derive(Clone, Debug)]
    enum Step {
        Push { size: usize },
        Wait { millis: u64 },
        Expire,
        Keep { bytes: usize },
        Read { from: u64, events: usize, bytes: usize },
        Hole { by: u64 },
        NewEpoch,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0..900_usize).prop_map(|size| Step::Push { size }),
            1 => (13_000..14_000_usize).prop_map(|size| Step::Push { size }),
            3 => (0..20_000_u64).prop_map(|millis| Step::Wait { millis }),
            1 => Just(Step::Expire),
            1 => (0..12_000_usize).prop_map(|bytes| Step::Keep { bytes }),
            4 => (0..40_u64, 0..9_usize, 0..2_000_usize)
                .prop_map(|(from, events, bytes)| Step::Read { from, events, bytes }),
            1 => (2..9_u64).prop_map(|by| Step::Hole { by }),
            1 => Just(Step::NewEpoch),
        ];
        proptest::collection::vec(step, 1..120)
    }

    proptest! {
        /// Whatever happens, what is held has no hole, ends with the newest event, is within its bounds and no older than
        /// its age; and a read gives exactly the offsets from where it was asked, or says that they are gone.
        #[test]
        fn any_order_of_steps_leaves_a_run_without_a_hole(steps in steps()) {
            let limits = limits();
            let mut ring = Ring::new(Epoch(1), 0);
            let mut now = Instant::now();
            // Everything that was ever pushed in this epoch since the last hole: offset, weight, arrival.
            let mut pushed: Vec<(u64, usize, Instant)> = Vec::new();
            let (mut left, mut pushed_bytes, mut pushed_events) = (Trimmed::default(), 0, 0);
            for step in steps {
                let (epoch, next) = (ring.epoch(), ring.head() + 1);
                let coming = match step {
                    Step::Push { size } => Some((epoch, next, size)),
                    Step::Hole { by } => Some((epoch, next + by, 10)),
                    Step::NewEpoch => Some((Epoch(epoch.0 + 1), 1, 10)),
                    _ => None,
                };
                if let Some((epoch, offset, size)) = coming {
                    if (epoch, offset) != (ring.epoch(), next) {
                        pushed.clear();
                    }
                    let event = event(epoch, offset, size);
                    let weight = event.weight();
                    left += ring.expire(limits.channel_age, now);
                    left += ring.make_room(&event, weight, &limits);
                    ring.push(event, weight, limits.channel_age, now);
                    pushed.push((offset, weight, now));
                    pushed_bytes += weight;
                    pushed_events += 1;
                    prop_assert_eq!((ring.epoch(), ring.head()), (epoch, offset));
                    prop_assert!(ring.len() <= limits.channel_events);
                    prop_assert!(ring.bytes() <= limits.channel_bytes || ring.len() == 1);
                }
                match step {
                    Step::Wait { millis } => now += Duration::from_millis(millis),
                    Step::Expire => {
                        left += ring.expire(limits.channel_age, now);
                        let slack = limits.channel_age / AGE_PARTS;
                        for (offset, _, at) in &pushed {
                            let age = now.duration_since(*at);
                            prop_assert!(age < limits.channel_age + slack || *offset < ring.tail(), "{offset} is too old");
                        }
                    }
                    Step::Keep { bytes } => {
                        left += ring.keep(bytes);
                        prop_assert!(ring.bytes() <= bytes);
                    }
                    Step::Read { from, events, bytes } => {
                        // Around what is held: before, inside and behind.
                        let from = ring.tail().saturating_sub(10) + from;
                        let mut out = Vec::new();
                        match ring.read(from, ReadLimit { events, bytes }, &mut out) {
                            Read::Behind { tail } => {
                                prop_assert!(from < tail && tail == ring.tail() && out.is_empty());
                            }
                            Read::Ok { next } => {
                                prop_assert!(from >= ring.tail());
                                let offsets: Vec<u64> = out.iter().map(|event| event.position.offset).collect();
                                prop_assert_eq!(offsets, (from..next).collect::<Vec<_>>());
                                prop_assert_eq!(next == from, from > ring.head());
                                prop_assert!(out.len() <= events.max(1));
                                let size: usize = out.iter().map(|event| event.data.as_bytes().len()).sum();
                                prop_assert!(out.len() <= 1 || size <= bytes);
                            }
                        }
                    }
                    _ => {}
                }
                let held: usize = pushed.iter().filter(|(offset, ..)| *offset >= ring.tail()).map(|(_, w, _)| w).sum();
                prop_assert_eq!(ring.bytes(), held);
                prop_assert_eq!(ring.bytes() + left.bytes, pushed_bytes);
                prop_assert_eq!(ring.len() + left.events, pushed_events);
                prop_assert_eq!(ring.tail() + ring.len() as u64, ring.head() + 1);
                prop_assert!(ring.marks.len() <= AGE_PARTS as usize + 2);
            }
        }

        /// Age alone drops nothing that is young enough.
        #[test]
        fn nothing_young_is_dropped_for_its_age(waits in proptest::collection::vec(0..8_000_u64, 1..20)) {
            let limits = limits();
            let mut ring = Ring::new(Epoch(1), 0);
            let mut now = Instant::now();
            let mut arrived = Vec::new();
            for (wait, offset) in waits.into_iter().zip(1..) {
                now += Duration::from_millis(wait);
                let event = event(Epoch(1), offset, 1);
                let weight = event.weight();
                ring.expire(limits.channel_age, now);
                ring.make_room(&event, weight, &limits);
                ring.push(event, weight, limits.channel_age, now);
                arrived.push((offset, now));
                for (offset, at) in &arrived {
                    let by_bounds = ring.len() == limits.channel_events || ring.bytes() + weight > limits.channel_bytes;
                    prop_assert!(now.duration_since(*at) >= limits.channel_age || *offset >= ring.tail() || by_bounds);
                }
            }
        }
    }

    /// A lone event before a pause once stayed until the one after the pause was too old, past its retention.
    #[test]
    fn an_old_event_goes_though_a_younger_one_follows() {
        let limits = limits();
        let mut ring = Ring::new(Epoch(1), 0);
        let start = Instant::now();
        for (offset, seconds) in [(1, 0), (2, 20)] {
            let event = event(Epoch(1), offset, 1);
            let weight = event.weight();
            ring.push(event, weight, limits.channel_age, start + Duration::from_secs(seconds));
        }
        ring.expire(limits.channel_age, start + Duration::from_secs(31));
        assert_eq!(ring.tail(), 1);
        ring.expire(limits.channel_age, start + Duration::from_secs(33));
        assert_eq!(ring.tail(), 2);
    }

    #[test]
    fn a_burst_does_not_keep_its_slots() {
        let limits = LogLimits { channel_events: 10_000, ..LogLimits::default() };
        let mut ring = Ring::new(Epoch(1), 0);
        let now = Instant::now();
        for offset in 1..=8_000 {
            let event = event(Epoch(1), offset, 1);
            let weight = event.weight();
            ring.push(event, weight, limits.channel_age, now);
        }
        ring.keep(ring.bytes() / 8_000 * 10);
        assert_eq!(ring.len(), 10);
        assert!(ring.events.capacity() <= 2 * SMALL, "{} slots for 10 events", ring.events.capacity());
    }
}
