//! One channel's part of an answer: its wanted events in a range of offsets, read some at a time, from memory where the
//! log holds them and from the store below it. Pages merge several of these, aggregates run through one after the other.

use crate::{HistoryError, Order, Span};
use headwater_event::{Event, Gap, Position, Timestamp};
use headwater_filter::Filter;
use headwater_router::{ChannelLog, PageLimit, Paged, Read, Router};
use std::{collections::VecDeque, ops::Range, sync::Arc};

/// Which events.
pub(crate) struct Wanted {
    pub(crate) filter: Filter,
    pub(crate) span: Span,
}

/// The wanted events of one channel.
pub(crate) struct Stream<'a> {
    router: &'a Router,
    wanted: &'a Wanted,
    log: Arc<ChannelLog>,
    order: Order,
    /// What has not been looked at.
    left: Range<u64>,
    /// What has been, and is wanted, in the order asked for.
    buffer: VecDeque<Arc<Event>>,
    /// The payload bytes in the buffer.
    held: usize,
    gaps: Vec<Gap>,
    /// Whether there was something to read, or had been on an earlier page.
    placed: bool,
    /// How many events the next read takes. It grows: who wants one event of many does not read a thousand.
    batch: usize,
}

/// The events of the first read.
const FIRST_BATCH: usize = 32;

impl<'a> Stream<'a> {
    /// Events of `range`; `gaps` are what is known to be missing before it. `resumed`: there was a page before.
    pub(crate) fn new(
        router: &'a Router,
        wanted: &'a Wanted,
        log: Arc<ChannelLog>,
        order: Order,
        range: Range<u64>,
        gaps: Vec<Gap>,
        resumed: bool,
    ) -> Self {
        let (placed, left) = (resumed || !range.is_empty(), range.start.min(range.end)..range.end);
        Self { router, wanted, log, order, left, buffer: VecDeque::new(), held: 0, gaps, placed, batch: FIRST_BATCH }
    }

    pub(crate) fn log(&self) -> &ChannelLog {
        &self.log
    }

    /// Whether nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.buffer.is_empty() && self.left.is_empty()
    }

    /// Whether its place belongs into a cursor.
    pub(crate) fn is_placed(&self) -> bool {
        self.placed
    }

    /// Whether the next event is known without a read.
    pub(crate) fn is_ready(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// When the next event was observed, where one is known.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.buffer.front().map(|event| event.time)
    }

    /// The payload bytes of the next event.
    pub(crate) fn next_bytes(&self) -> usize {
        self.buffer.front().map_or(0, |event| event.data.as_bytes().len())
    }

    /// The payload bytes of the events that wait.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Takes the next event.
    pub(crate) fn take(&mut self) -> Option<Arc<Event>> {
        let event = self.buffer.pop_front()?;
        self.held -= event.data.as_bytes().len();
        Some(event)
    }

    /// Forgets the events that wait; they are read again when they are due.
    pub(crate) fn unload(&mut self) {
        let offset = self.buffer.front().map(|event| event.position.offset);
        match (self.order, offset) {
            (_, None) => {}
            (Order::Ascending, Some(offset)) => self.left.start = offset,
            (Order::Descending, Some(offset)) => self.left.end = offset + 1,
        }
        self.buffer.clear();
        self.held = 0;
        self.batch = 1;
    }

    /// Looks at some more events and says at how many. What was found waits to be taken, if anything.
    pub(crate) fn fill(&mut self, most: PageLimit) -> Result<u64, HistoryError> {
        let unseen = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        let limit = PageLimit { events: self.batch.min(most.events).min(unseen).max(1), bytes: most.bytes };
        self.batch = self.batch.saturating_mul(2).min(most.events);
        match self.order {
            Order::Ascending => self.read_on(limit),
            Order::Descending => self.read_back(limit),
        }
    }

    fn read_on(&mut self, limit: PageLimit) -> Result<u64, HistoryError> {
        let start = self.left.start;
        let mut events = Vec::new();
        if let Read::Ok { next } = self.log.read(start, limit, &mut events) {
            // Nothing lies behind the last event; the range was made with one that has gone since.
            let next = if next == start { self.left.end } else { next };
            return Ok(self.looked_at(events, next..self.left.end));
        }
        match self.router.page(&self.log, start, limit)? {
            Paged::Events { events, next } => Ok(self.looked_at(events, next..self.left.end)),
            Paged::Gap { next, gap } => Ok(self.missed(gap, next..self.left.end)),
        }
    }

    fn read_back(&mut self, limit: PageLimit) -> Result<u64, HistoryError> {
        let (end, tail) = (self.left.end, self.log.tail());
        if end > tail {
            let start = end.saturating_sub(limit.events as u64).max(self.left.start).max(tail);
            // Memory is read upwards only. By number, not by size: a part would be the wrong one.
            let most = PageLimit { events: (end - start) as usize, bytes: usize::MAX };
            let mut events = Vec::new();
            if let Read::Ok { .. } = self.log.read(start, most, &mut events) {
                events.reverse();
                return Ok(self.looked_at(events, self.left.start..start));
            }
        }
        match self.router.page_back(&self.log, end, limit)? {
            Paged::Events { events, next } => Ok(self.looked_at(events, self.left.start..next)),
            Paged::Gap { next, gap } => Ok(self.missed(gap, self.left.start..next)),
        }
    }

    fn looked_at(&mut self, events: Vec<Arc<Event>>, left: Range<u64>) -> u64 {
        let looked = events.len() as u64;
        for event in events {
            let wanted = self.left.contains(&event.position.offset)
                && self.wanted.span.contains(event.time)
                && self.wanted.filter.matches(&event);
            if wanted {
                self.held += event.data.as_bytes().len();
                self.buffer.push_back(event);
            }
        }
        self.left = left.start.min(left.end)..left.end;
        looked
    }

    /// A gap counts as one event: a store of nothing but gaps must not hold up a call either.
    fn missed(&mut self, gap: Gap, left: Range<u64>) -> u64 {
        let (first, last) = (gap.from.offset.max(self.left.start), gap.to.min(self.left.end - 1));
        if first <= last {
            self.gaps.push(Gap { from: Position { offset: first, ..gap.from }, to: last, ..gap });
        }
        self.left = left.start.min(left.end)..left.end;
        1
    }

    /// Where to go on: behind this position; descending, with it.
    pub(crate) fn place(&self) -> Position {
        let next = match (self.order, self.buffer.front()) {
            (Order::Ascending, Some(event)) => event.position.offset,
            (Order::Ascending, None) => self.left.start,
            (Order::Descending, Some(event)) => event.position.offset + 1,
            (Order::Descending, None) => self.left.end,
        };
        Position { epoch: self.log.epoch(), offset: next.saturating_sub(1) }
    }

    /// What is missing of what has been told; what lies further on is told with the next page.
    pub(crate) fn into_gaps(self) -> impl Iterator<Item = Gap> {
        let place = self.place().offset;
        let (order, gaps) = (self.order, self.gaps);
        gaps.into_iter().filter(move |gap| match order {
            Order::Ascending => gap.from.offset <= place,
            Order::Descending => gap.to > place,
        })
    }
}
