//! Reading the past: pages up and down, the offsets of a time range, the snapshots. Called by the engine on the reader's
//! thread. What the writer has not written yet is taken from the live state, the rest from the file.

use super::{
    Shared,
    channel::{Channel, Filling},
    fault::Fault,
    lineage::Lineage,
    row::{self, Reader},
    schema::{self, SPAN},
};
use crate::{EngineError, Page, PageLimit};
use headwater_event::{ChannelName, Event, GapReason, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use std::{ops::Range, sync::Arc};

/// What a reader takes along when it leaves the live state for the file.
struct Place {
    id: i64,
    name: ChannelName,
    lineage: Lineage,
    first: u64,
    last: u64,
    written: u64,
}

/// What the file has at an offset.
enum InFile {
    Events(Vec<Arc<Event>>),
    /// A hole, to its other end.
    Hole(u64, GapReason),
    /// What stands there cannot be an event, for this reason.
    Odd(String),
    /// Neither event nor hole. The next event in the direction of reading, if there is one.
    Nothing(Option<u64>),
}

/// Whether offsets rise or fall.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Place {
    fn of(channel: &Channel) -> Self {
        Self {
            id: channel.id,
            name: channel.name.clone(),
            lineage: channel.lineage.clone(),
            first: channel.first,
            last: channel.last,
            written: channel.written,
        }
    }

    fn at(&self, offset: u64) -> i64 {
        schema::at(self.id, offset)
    }
}

/// A page upwards.
pub(crate) fn up(shared: &Shared, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
    let place = {
        let live = shared.lock();
        let Some(channel) = live.find(channel.as_str()).filter(|channel| next <= channel.last) else {
            return Ok(Page::Events { events: Vec::new(), next });
        };
        if next < channel.first {
            return Ok(Page::Expired { first: channel.first });
        }
        if let Some((_, to)) = channel.hole(next) {
            return Ok(Page::Missing { to, reason: GapReason::Corruption });
        }
        if next > channel.written {
            let events = channel.pending_from(next, limit);
            let next = next + events.len() as u64;
            return Ok(Page::Events { events, next });
        }
        Place::of(channel)
    };
    Ok(match from_file(shared, &place, Way::Up, next, limit)? {
        InFile::Events(events) => {
            let next = next + events.len() as u64;
            Page::Events { events, next }
        }
        InFile::Hole(to, reason) => Page::Missing { to, reason },
        InFile::Odd(reason) => {
            shared.corrupt(&place.name, &reason);
            Page::Missing { to: next, reason: GapReason::Corruption }
        }
        InFile::Nothing(then) => {
            // Retention may have come between.
            let first = shared.lock().head(channel).first;
            if next < first {
                return Ok(Page::Expired { first });
            }
            let to = then.map_or(place.written, |offset| offset - 1);
            shared.corrupt(&place.name, &format!("offsets {next} to {to} are not there"));
            Page::Missing { to, reason: GapReason::Corruption }
        }
    })
}

/// A page downwards.
pub(crate) fn down(shared: &Shared, channel: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
    let nothing = Page::Events { events: Vec::new(), next: before };
    let (place, top) = {
        let live = shared.lock();
        let Some(channel) = live.find(channel.as_str()) else { return Ok(nothing) };
        let top = channel.last.min(before.saturating_sub(1));
        if top == 0 {
            return Ok(nothing);
        }
        if top < channel.first {
            return Ok(Page::Expired { first: channel.first });
        }
        if let Some((to, _)) = channel.hole(top) {
            return Ok(Page::Missing { to, reason: GapReason::Corruption });
        }
        if top > channel.written {
            let events = channel.pending_down(top, limit);
            let next = top + 1 - events.len() as u64;
            return Ok(Page::Events { events, next });
        }
        (Place::of(channel), top)
    };
    Ok(match from_file(shared, &place, Way::Down, top, limit)? {
        InFile::Events(events) => {
            let next = top + 1 - events.len() as u64;
            Page::Events { events, next }
        }
        InFile::Hole(to, reason) => Page::Missing { to, reason },
        InFile::Odd(reason) => {
            shared.corrupt(&place.name, &reason);
            Page::Missing { to: top, reason: GapReason::Corruption }
        }
        InFile::Nothing(then) => {
            let first = shared.lock().head(channel).first;
            if top < first {
                return Ok(Page::Expired { first });
            }
            let to = then.map_or(place.first, |offset| offset + 1);
            shared.corrupt(&place.name, &format!("offsets {to} to {top} are not there"));
            Page::Missing { to, reason: GapReason::Corruption }
        }
    })
}

fn from_file(shared: &Shared, place: &Place, way: Way, from: u64, limit: PageLimit) -> Result<InFile, EngineError> {
    shared.in_file(&place.name, |connection| page(connection, place, way, from, limit))
}

fn page(connection: &Connection, place: &Place, way: Way, from: u64, limit: PageLimit) -> Result<InFile, Fault> {
    let (low, high, order) = match way {
        Way::Up => (place.at(from), place.at(place.written), "ASC"),
        Way::Down => (place.at(place.first), place.at(from), "DESC"),
    };
    let mut events = connection.prepare_cached(&format!(
        "SELECT {} FROM event WHERE at BETWEEN ? AND ? ORDER BY at {order} LIMIT ?",
        row::COLUMNS
    ))?;
    let most = i64::try_from(limit.events.max(1)).unwrap_or(i64::MAX);
    let mut rows = events.query([low, high, most])?;
    let (mut reader, mut page, mut expected) = (Reader::new(), Filling::new(limit), from);
    let mut then = None;
    while let Some(row) = rows.next()? {
        let offset = schema::offset(row.get(0)?);
        if offset != expected {
            then = Some(offset);
            break;
        }
        let event = match reader.read(row, &place.name, &place.lineage) {
            Ok(event) => event,
            Err(Fault::Odd(reason)) if page.events.is_empty() => return Ok(InFile::Odd(reason)),
            // The next page begins with it.
            Err(Fault::Odd(_)) => break,
            Err(fault) => return Err(fault),
        };
        if !page.has_room(event.data.as_bytes().len()) {
            break;
        }
        page.push(Arc::new(event));
        expected = if way == Way::Up { offset + 1 } else { offset - 1 };
    }
    if !page.events.is_empty() {
        return Ok(InFile::Events(page.events));
    }
    Ok(match hole(connection, place.id, from)? {
        Some((first, last, reason)) => InFile::Hole(if way == Way::Up { last } else { first }, reason),
        None => InFile::Nothing(then),
    })
}

/// The hole that an offset lies in.
fn hole(connection: &Connection, channel: i64, offset: u64) -> Result<Option<(u64, u64, GapReason)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT first, last, reason FROM hole WHERE channel = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
    )?;
    let found = statement.query_row([channel, offset as i64], |row| {
        let reason: String = row.get(2)?;
        let retention = reason == GapReason::Retention.as_str();
        let reason = if retention { GapReason::Retention } else { GapReason::Corruption };
        Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, reason))
    });
    Ok(found.optional()?.filter(|(_, last, _)| *last >= offset))
}

/// The offsets that hold every event from `since` to `until`.
pub(crate) fn within(
    shared: &Shared,
    channel: &ChannelName,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Range<u64>, EngineError> {
    let times = (since.map_or(i64::MIN, |time| time.0), until.map_or(i64::MAX, |time| time.0));
    let inside = |event: &&Arc<Event>| (times.0..=times.1).contains(&event.time.0);
    let (place, waiting) = {
        let live = shared.lock();
        let Some(channel) = live.find(channel.as_str()) else { return Ok(1..1) };
        let first = channel.pending().find(inside).map(|event| event.position.offset);
        let last = channel.pending().rev().find(inside).map(|event| event.position.offset);
        (Place::of(channel), first.zip(last))
    };
    let written = if place.first <= place.written {
        shared.in_file(&place.name, |connection| {
            // One view of the file for all questions.
            let _snapshot = connection.unchecked_transaction()?;
            within_file(connection, &place, times)
        })?
    } else {
        None
    };
    let first = written.or(waiting).map(|(first, _)| first);
    let last = waiting.or(written).map(|(_, last)| last);
    let end = place.last + 1;
    Ok(first.zip(last).map_or(end..end, |(first, last)| first..last + 1))
}

/// The first and the last offset with a time in the range. Spans tell the times of many offsets at once; those behind
/// the last finished span are looked at one by one.
fn within_file(connection: &Connection, place: &Place, times: (i64, i64)) -> Result<Option<(u64, u64)>, Fault> {
    let (low, high) = (place.at(place.first), place.at(place.written));
    let spans_from = place.at(place.first / SPAN * SPAN);
    let mut last_span = connection.prepare_cached("SELECT max(at) FROM span WHERE at BETWEEN ? AND ?")?;
    let last_span: Option<i64> = last_span.query_row([spans_from, high], |row| row.get(0))?;
    let rest = last_span.map_or(low, |at| low.max(at + SPAN as i64));
    let search = |way: Way| -> Result<Option<i64>, Fault> {
        let order = if way == Way::Up { "ASC" } else { "DESC" };
        let mut event = connection.prepare_cached(&format!(
            "SELECT at FROM event WHERE at BETWEEN ? AND ? AND time BETWEEN ? AND ? ORDER BY at {order} LIMIT 1"
        ))?;
        let mut within = |from: i64, to: i64| {
            event.query_row(params![from.max(low), to.min(high), times.0, times.1], |row| row.get(0)).optional()
        };
        let mut spans = connection.prepare_cached(&format!(
            "SELECT at FROM span WHERE at BETWEEN ? AND ? AND latest >= ? AND earliest <= ? ORDER BY at {order}"
        ))?;
        if way == Way::Down
            && let Some(found) = within(rest, high)?
        {
            return Ok(Some(found));
        }
        let mut spans = spans.query(params![spans_from, high, times.0, times.1])?;
        while let Some(span) = spans.next()? {
            let at: i64 = span.get(0)?;
            if let Some(found) = within(at, at + SPAN as i64 - 1)? {
                return Ok(Some(found));
            }
        }
        if way == Way::Up { Ok(within(rest, high)?) } else { Ok(None) }
    };
    let Some(first) = search(Way::Up)? else { return Ok(None) };
    Ok(search(Way::Down)?.map(|last| (schema::offset(first), schema::offset(last))))
}

/// The snapshots, by channel and key.
pub(crate) fn retained(shared: &Shared) -> Result<Vec<Arc<Event>>, EngineError> {
    let channels: std::collections::HashMap<i64, ChannelName> = {
        let live = shared.lock();
        live.channels.iter().filter(|channel| channel.store).map(|channel| (channel.id, channel.name.clone())).collect()
    };
    let found = shared.pool.with(|connection| {
        let mut statement =
            connection.prepare(&format!("SELECT {} FROM snapshot ORDER BY channel, key", row::SNAPSHOT_COLUMNS))?;
        let mut rows = statement.query([])?;
        let (mut reader, mut events) = (Reader::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let Some(name) = channels.get(&row.get(11)?) else { continue };
            match reader.read_snapshot(row, name) {
                Ok(event) => events.push(Arc::new(event)),
                // The next event of its key replaces it.
                Err(Fault::Odd(reason)) => shared.corrupt(name, &reason),
                Err(fault) => return Err(fault),
            }
        }
        Ok(events)
    });
    Ok(found?)
}
