//! One channel's share of a page: which of its events go to a connection whose cursor stands in the past, and what the
//! connection is told on the way. `catch_up` asks for one share after the other and writes them.
//!
//! A share holds events or ends at a notice, never both: notices go before the page, and an event of the same channel
//! that did not fit in it would come behind a gap that it lies before.

use super::{
    channel::{Channel, Group},
    connection::{Connection, Terms},
    cursor::{Cursor, Stage},
    fetch::{Fetch, Fetched, What},
    lag,
    pace::{Gone, Lane},
    shard::Shard,
    turn::{Batch, Frame, frame_of},
};
use headwater_event::{Event, Gap, GapReason, Position, Timestamp};
use headwater_filter::FilterTable;
use headwater_protocol::LagPolicy;
use headwater_router::{PageLimit, Paged, Read, ReadLimit};
use std::{rc::Rc, sync::Arc};

/// What became of a share.
pub(super) enum Share {
    /// What there was is in the page, or a notice is in the control lane.
    Read,
    /// It has to be read where a thread may block.
    Fetch(Fetch),
    /// The subscription's policy is to be closed when it falls off the log.
    Disconnect,
}

/// A connection as the reader of one channel.
pub(super) struct Reader<'a> {
    pub(super) connection: &'a Connection,
    pub(super) channel: &'a Channel,
    pub(super) index: u32,
    pub(super) terms: Rc<Terms>,
    /// Below this offset events may be sent now.
    pub(super) until: u64,
    lane: Lane<'a>,
    group: &'a Group,
    filters: &'a FilterTable,
}

/// Below which offset events of a channel may be sent to a connection with this cursor.
pub(super) fn until(shard: &Shard, connection: &Connection, channel: u32, cursor: &Cursor) -> u64 {
    let next = shard.channels.get(channel).next;
    match connection.reading.borrow().paced.get(&channel) {
        Some(paced) => paced.until(cursor.next, next),
        None => next,
    }
}

/// Appends one channel's share to a page.
pub(super) fn read(
    shard: &Shard,
    connection: &Connection,
    index: u32,
    cursor: &mut Cursor,
    share: ReadLimit,
    appetite: usize,
    page: &mut Batch,
) -> Share {
    let Some(reader) = Reader::new(shard, connection, index, cursor) else { return Share::Read };
    if let Some(paced) = connection.reading.borrow_mut().paced.get_mut(&index) {
        paced.overdue(&reader.lane);
    }
    if cursor.next >= reader.until {
        cursor.caught_up();
        return Share::Read;
    }
    lag::limit(&reader, cursor);
    if lag::passed(shard, &reader, cursor) {
        return Share::Read;
    }
    let fetch = |what| Share::Fetch(reader.fetch(cursor, what, appetite));
    if let (Stage::Newest { until }, Some(LagPolicy::Latest { key })) = (cursor.stage, &reader.terms.options.lag_policy)
    {
        return fetch(What::Newest { until, key: key.clone(), filter: reader.filter() });
    }
    let mut events = Vec::new();
    match reader.channel.log.read(cursor.next, share, &mut events) {
        Read::Behind { tail } => match lag::below(shard, &reader, cursor, tail) {
            lag::Below::Moved => Share::Read,
            lag::Below::Stored => Share::Fetch(reader.fetch(cursor, What::Stored, appetite)),
            lag::Below::Disconnect => Share::Disconnect,
        },
        Read::Ok { .. } => {
            // After a change of epoch the log is ahead of this shard, which has yet to hear of it.
            let foreign = events.iter().position(|event| event.position.epoch != reader.channel.epoch);
            events.truncate(foreign.unwrap_or(events.len()));
            append(shard, &reader, cursor, &events, page);
            lag::warn(&reader, cursor);
            Share::Read
        }
    }
}

/// Appends what was read elsewhere.
pub(super) fn take(shard: &Shard, connection: &Connection, cursor: &mut Cursor, fetched: &Fetched, page: &mut Batch) {
    let Some(reader) = Reader::new(shard, connection, fetched.fetch.channel, cursor) else { return };
    if !Arc::ptr_eq(&reader.channel.log, &fetched.fetch.log) {
        return; // the number is another channel's now
    }
    match &fetched.got {
        Ok(Paged::Events { events, next }) => {
            if append(shard, &reader, cursor, events, page) {
                cursor.next = cursor.next.max((*next).min(reader.until));
            }
        }
        Ok(Paged::Gap { next, gap }) => {
            let next = (*next).min(reader.until);
            lag::missing(shard, &reader, cursor, Gap { to: next - 1, ..gap.clone() });
        }
        Err(error) => {
            let channel = reader.channel.log.name();
            tracing::warn!(%channel, %error, "a reader goes on without what the store has");
            let from = Position { epoch: reader.channel.epoch, offset: cursor.next };
            let next = reader.channel.log.tail().min(reader.until).max(cursor.next + 1);
            let gap = Gap { channel: channel.clone(), from, to: next - 1, reason: GapReason::Corruption };
            lag::missing(shard, &reader, cursor, gap);
        }
    }
}

/// Appends events to a page as far as they are to be sent, and moves the cursor behind them. `false` where it stopped
/// before the last.
fn append(shard: &Shard, reader: &Reader<'_>, cursor: &mut Cursor, events: &[Arc<Event>], page: &mut Batch) -> bool {
    let before = page.frames.len();
    let mut reading = reader.connection.reading.borrow_mut();
    let mut paced = reading.paced.get_mut(&reader.index);
    for event in events {
        let offset = event.position.offset;
        // The log may be ahead of this shard; what it has not taken from its inbox comes by the turn.
        if offset >= reader.until {
            return false;
        }
        let wanted = reader.group.wants(event, reader.filters);
        let goes = match cursor.stage {
            Stage::Past | Stage::Behind | Stage::Stored | Stage::Newest { .. } => wanted,
            Stage::Skipping { from, until } => {
                let goes = offset < until && wanted && reader.terms.is_priority(&event.kind);
                // What is left out before it is told before it.
                if (goes || offset >= until) && from < offset {
                    if page.frames.len() == before {
                        cursor.next = offset;
                        lag::skipped(shard, reader, cursor, offset);
                    }
                    return false;
                }
                if offset >= until {
                    cursor.stage = Stage::Behind;
                } else if goes {
                    cursor.stage = Stage::Skipping { from: offset + 1, until };
                }
                goes || offset >= until && wanted
            }
            Stage::Sampling { until, .. } if offset >= until => {
                cursor.stage = Stage::Behind;
                wanted
            }
            Stage::Sampling { until, due } => {
                let goes = wanted && event.time >= due;
                if goes {
                    cursor.stage = Stage::Sampling { until, due: lag::next_sample(&reader.terms, event.time) };
                }
                goes
            }
        };
        cursor.next = offset + 1;
        if goes {
            match paced.as_mut().map_or(Gone::No, |paced| paced.read(event, &reader.lane)) {
                Gone::No => {}
                Gone::Passed => continue,
                Gone::Full => return false,
            }
            page.bytes.extend_from_slice(&frame_of(event, reader.connection.dialect));
            let end = page.bytes.len() as u32;
            page.frames.push(Frame { end, channel: reader.index, offset });
        }
    }
    true
}

impl<'a> Reader<'a> {
    fn new(shard: &'a Shard, connection: &'a Connection, index: u32, cursor: &Cursor) -> Option<Self> {
        let membership = connection.reading.borrow().memberships.get(&index).copied()?;
        let channel = shard.channels.get(index);
        Some(Self {
            connection,
            channel,
            index,
            terms: connection.terms(membership.subscription)?,
            until: until(shard, connection, index, cursor),
            lane: Lane { connection, metrics: &shard.metrics },
            group: &channel.groups[membership.group as usize],
            filters: &shard.filters,
        })
    }

    /// That the offsets from `from` to below `next` do not come.
    pub(super) fn gap(&self, from: u64, next: u64, reason: GapReason) -> Gap {
        let from = Position { epoch: self.channel.epoch, offset: from };
        Gap { channel: self.channel.log.name().clone(), from, to: next - 1, reason }
    }

    /// Whether its filter wants an event.
    pub(super) fn wants(&self, event: &Event) -> bool {
        self.group.wants(event, self.filters)
    }

    /// Whether it wants every event.
    pub(super) fn wants_all(&self) -> bool {
        self.group.filter.is_none()
    }

    fn filter(&self) -> Option<headwater_filter::Filter> {
        self.group.filter.map(|filter| self.filters.get(filter).clone())
    }

    fn fetch(&self, cursor: &Cursor, what: What, appetite: usize) -> Fetch {
        let limit = PageLimit { events: appetite, ..PageLimit::default() };
        Fetch { channel: self.index, log: self.channel.log.clone(), next: cursor.next, what, limit }
    }
}

/// Before every time.
pub(super) const AT_ONCE: Timestamp = Timestamp(i64::MIN);
