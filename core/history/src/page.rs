//! A page of events: the streams of its channels merged, up to what a page may hold and a call may look at.

use crate::{
    Budget, Cursor, HistoryError, Order, Query, Withdrawal,
    cursor::{At, MAX_TEXT},
    effort::Effort,
    query::{DEFAULT_LIMIT, MAX_BYTES},
    stream::{Stream, Wanted},
};
use headwater_event::{ChannelName, Event, Gap, Position};
use headwater_router::{PageLimit, Router};
use std::{collections::BinaryHeap, sync::Arc};

/// The most payload that streams hold unread. What goes beyond is read again when it is due: hundreds of channels whose
/// next event is a large one must not fill the memory.
const MAX_HELD: usize = 16 * 1024 * 1024;
/// The least that a read of one of many channels takes.
const LEAST_READ: usize = 16;

/// Some of the events of an answer.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order asked for.
    pub events: Vec<Arc<Event>>,
    /// What belongs here but was lost, or dropped since the page before.
    pub gaps: Vec<Gap>,
    /// Where there may be more: asks for it. A page can be empty and yet have one, when much was looked at and little was
    /// wanted.
    pub cursor: Option<Cursor>,
    /// How far each channel has been looked at: nothing up to there is still to come, and what follows is what a
    /// subscription after these positions gets. Only for ascending order.
    pub positions: Vec<(ChannelName, Position)>,
}

impl Page {
    /// Leaves only the first events on the page of this question: the others are the next page's, as if its limit had been
    /// so. For askers with a bound of their own, such as the text that they can take.
    pub fn cut(&mut self, keep: usize, query: &Query, router: &Router) {
        if keep >= self.events.len() {
            return;
        }
        let mut places = match self.cursor.take() {
            Some(Cursor { at: At::Channels(places), .. }) => places,
            // Upwards a channel that is over has a place too.
            _ => self.positions.iter().cloned().collect(),
        };
        for event in self.events.drain(keep..).rev() {
            let position = event.position;
            let epoch = router.log(event.channel.as_str()).map_or(position.epoch, |log| log.epoch());
            let offset = match query.order {
                Order::Ascending => position.offset - 1,
                Order::Descending => position.offset,
            };
            places.insert(event.channel.clone(), Position { epoch, offset });
        }
        for (channel, position) in &mut self.positions {
            *position = places.get(channel).copied().unwrap_or(*position);
        }
        self.gaps.retain(|gap| {
            places.get(&gap.channel).is_none_or(|place| match query.order {
                Order::Ascending => gap.from.offset <= place.offset,
                Order::Descending => gap.to > place.offset,
            })
        });
        self.cursor = Some(Cursor { order: query.order, span: query.span(), at: At::Channels(places) });
    }
}

impl Query {
    /// The next page of the answer. May block on a disk.
    pub fn page(&self, router: &Router, budget: Budget, withdrawal: &Withdrawal) -> Result<Page, HistoryError> {
        self.check()?;
        if matches!(self.cursor, Some(Cursor { at: At::Time(_), .. })) {
            return Err(HistoryError::Wrong(
                "`cursor` is of a question with a granularity; ask again with it, or without the cursor".into(),
            ));
        }
        let wanted = Wanted { filter: self.filter.clone(), span: self.span() };
        let effort = Effort::new(budget, withdrawal);
        let streams = self.streams(router, &wanted, self.order)?;
        let mut merge = Merge::new(streams, self.order, effort);
        let events = merge.events(self.limit.unwrap_or(DEFAULT_LIMIT))?;
        self.turned(events, merge.streams)
    }

    /// Ends a page.
    fn turned(&self, events: Vec<Arc<Event>>, streams: Vec<Stream<'_>>) -> Result<Page, HistoryError> {
        let place = |stream: &Stream<'_>| (stream.log().name().clone(), stream.place());
        let mut page = Page { events, ..Page::default() };
        if streams.iter().any(|stream| !stream.is_over()) {
            // Upwards a channel that is over has a place too: it may go on, and must not begin anew.
            let kept =
                |stream: &&Stream<'_>| stream.is_placed() && (self.order == Order::Ascending || !stream.is_over());
            let places = streams.iter().filter(kept).map(place).collect();
            let cursor = Cursor { order: self.order, span: self.span(), at: At::Channels(places) };
            if cursor.to_string().len() > MAX_TEXT {
                return Err(HistoryError::TooLarge(format!(
                    "`{}` means so many channels with such long names that no cursor holds their places; ask for fewer, \
                     or for a shorter range",
                    self.channels
                )));
            }
            page.cursor = Some(cursor);
        }
        if self.order == Order::Ascending {
            page.positions = streams.iter().map(place).collect();
        }
        page.gaps = streams.into_iter().flat_map(Stream::into_gaps).collect();
        Ok(page)
    }
}

/// Streams on their way into one page.
struct Merge<'a> {
    /// By name.
    streams: Vec<Stream<'a>>,
    order: Order,
    effort: Effort<'a>,
    /// The next event of each stream that has one, and the stream; the greatest is the first to be told. In ascending
    /// order both numbers are turned round.
    heads: BinaryHeap<(i64, usize)>,
    /// What one read takes.
    read: PageLimit,
    /// What all streams hold unread, in bytes.
    held: usize,
}

impl<'a> Merge<'a> {
    fn new(streams: Vec<Stream<'a>>, order: Order, effort: Effort<'a>) -> Self {
        let (one, share) = (PageLimit::default(), streams.len().max(1));
        let events = (one.events * 8 / share).clamp(LEAST_READ, one.events);
        let read = PageLimit { events, bytes: one.bytes.min(MAX_HELD / 2 / share) };
        Self { streams, order, effort, heads: BinaryHeap::new(), read, held: 0 }
    }

    /// The next events, at most `limit`.
    fn events(&mut self, limit: usize) -> Result<Vec<Arc<Event>>, HistoryError> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        for index in 0..self.streams.len() {
            if !self.advance(index)? {
                return Ok(events);
            }
            self.relieve(index);
        }
        while let Some((_, head)) = self.heads.pop() {
            let index = self.turn(head);
            if !self.streams[index].is_ready() {
                // It had been unloaded. What is there now may be another event: it is weighed again.
                if !self.advance(index)? {
                    break;
                }
                continue;
            }
            let stream = &mut self.streams[index];
            bytes += stream.next_bytes();
            if bytes > MAX_BYTES && !events.is_empty() {
                break;
            }
            self.held -= stream.next_bytes();
            events.extend(stream.take());
            if events.len() == limit || !self.advance(index)? {
                break;
            }
            self.relieve(index);
        }
        Ok(events)
    }

    /// Reads until the next event of a stream is known, or that there is none. False: the call has looked at enough; what
    /// it has looked at need not be looked at again. Each stream is read at least once in a call, so that every call gets
    /// on: either all of them have an event, and one is told, or one of them has left some behind.
    fn advance(&mut self, index: usize) -> Result<bool, HistoryError> {
        let mut read = false;
        while !self.streams[index].is_ready() && !self.streams[index].is_over() {
            if self.effort.is_spent()? && read {
                return Ok(false);
            }
            self.held -= self.streams[index].held();
            let looked = self.streams[index].fill(self.read)?;
            self.held += self.streams[index].held();
            self.effort.took(looked);
            read = true;
        }
        if let Some(time) = self.streams[index].next_time() {
            let time = if self.order == Order::Ascending { !time.0 } else { time.0 };
            self.heads.push((time, self.turn(index)));
        }
        Ok(true)
    }

    /// Lets go of a stream's events where too much is held. Not when they are due: they would never be told.
    fn relieve(&mut self, index: usize) {
        if self.held > MAX_HELD {
            self.held -= self.streams[index].held();
            self.streams[index].unload();
        }
    }

    fn turn(&self, index: usize) -> usize {
        if self.order == Order::Ascending { !index } else { index }
    }
}
