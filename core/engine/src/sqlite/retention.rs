//! Which events go: by age, number and size of each channel, and by the size of the file. Always the oldest of a channel,
//! so that no hole comes about, and in small slices between the writer's batches. What they took is given back to the
//! file system. Called by the writer, on its connection.

use super::{
    Shared,
    channel::Channel,
    fault::Fault,
    live::Run,
    options::Keep,
    schema::{self, SPAN},
    snapshots::Snapshots,
};
use headwater_event::Timestamp;
use rusqlite::Connection;
use std::{
    collections::HashMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

/// How often it looks for what must go.
const SWEEP: Duration = Duration::from_secs(1);

/// How many events a slice drops when nobody writes. About a millisecond.
const SLICE: usize = 1_000;

/// How many pages a slice gives back.
const GIVEN_BACK: i64 = 128;

/// Free pages stay in the file for the next events, up to this many and this part of it; giving each back at once would
/// move pages for nothing.
const FREE: (i64, i64) = (256, 32);

/// When more than so many 32nds of the file's bound are in use, it is cut to so many, so that it is not too large again at
/// once. The rest is for free pages.
const FULL: (u64, u64) = (31, 30);

/// What is to be done, and what is known for it.
pub(crate) struct Retention {
    next: Instant,
    /// Channels of which something must go, by their place in the live state.
    todo: Vec<usize>,
    /// Events that were published before this (milliseconds since 1970) go, whatever their channel: the file is too large.
    floor: i64,
    /// The bytes of each channel whose size is bounded.
    sizes: HashMap<i64, u64>,
    give_back: bool,
    snapshots: Snapshots,
}

/// What is looked at in one channel.
struct Look {
    index: usize,
    id: i64,
    store: bool,
    keep: Keep,
    first: u64,
    written: u64,
}

impl Retention {
    pub(crate) fn new() -> Self {
        Self {
            next: Instant::now(),
            todo: Vec::new(),
            floor: i64::MIN,
            sizes: HashMap::new(),
            give_back: false,
            snapshots: Snapshots::default(),
        }
    }

    /// When there is something to be done; `None` for now.
    pub(crate) fn next(&self) -> Option<Instant> {
        let busy = self.give_back || !self.todo.is_empty();
        (!busy && self.next > Instant::now()).then_some(self.next)
    }

    /// Learns what a batch has added.
    pub(crate) fn wrote(&mut self, runs: &[Run], bytes: &[u64]) {
        for (run, bytes) in runs.iter().zip(bytes) {
            if let Some(size) = self.sizes.get_mut(&run.id) {
                *size += bytes;
            }
            self.snapshots.wrote(run);
        }
    }

    /// Does a part of what is to be done: drops at least as many events as a batch of `events` has added, or looks what
    /// must go.
    pub(crate) fn slice(&mut self, shared: &Shared, connection: &Connection, events: usize) -> Result<(), Fault> {
        if let Some(index) = self.todo.pop() {
            let look = Look::at(&shared.lock().channels[index], index);
            if self.cut(shared, connection, &look, SLICE.max(2 * events))? {
                self.todo.push(index);
            }
            if self.todo.is_empty() {
                self.next = Instant::now();
            }
            Ok(())
        } else if Instant::now() >= self.next {
            self.next = Instant::now() + SWEEP;
            self.sweep(shared, connection)
        } else if self.give_back {
            self.give_back(connection)
        } else {
            Ok(())
        }
    }

    /// Finds the channels of which something must go.
    fn sweep(&mut self, shared: &Shared, connection: &Connection) -> Result<(), Fault> {
        self.snapshots.bound(&shared.options, connection)?;
        let now = Timestamp::now().0 / 1_000_000;
        let pages = pragma(connection, "page_count")?;
        let free = pragma(connection, "freelist_count")?;
        self.give_back = free > FREE.0 + pages / FREE.1;
        let used = (pages - free) as u64 * schema::PAGE;
        let limit = shared.options.total_size.map(|limit| limit / 32).filter(|limit| used > limit * FULL.0);
        let too_much = limit.map(|limit| (used - limit * FULL.1) as f64 / used as f64);
        let likely = too_much.map_or(Ok(i64::MIN), |part| oldest_part(connection, part))?;
        let live = shared.lock();
        if too_much.is_some()
            && let Some(oldest) = live.channels.iter().filter_map(|channel| channel.oldest).min()
        {
            self.floor = self.floor.max(likely).max(oldest + 1);
        }
        for (index, channel) in live.channels.iter().enumerate() {
            let Some(oldest) = channel.oldest else { continue };
            let keep = &channel.keep;
            let too_many = keep.events.is_some_and(|events| channel.written + 1 - channel.first > events);
            let too_large = keep.size.is_some_and(|most| self.sizes.get(&channel.id).is_none_or(|size| *size > most));
            if !channel.store || oldest < self.cutoff(keep, now) || too_many || too_large {
                self.todo.push(index);
            }
        }
        Ok(())
    }

    /// Events of a channel that were published before this go.
    fn cutoff(&self, keep: &Keep, now: i64) -> i64 {
        let age = |age: Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        keep.age.map_or(i64::MIN, age).max(self.floor)
    }

    /// Drops up to so many of the oldest events of a channel, as far as they must go. Returns whether there may be more.
    fn cut(&mut self, shared: &Shared, connection: &Connection, look: &Look, most: usize) -> Result<bool, Fault> {
        let cutoff = self.cutoff(&look.keep, Timestamp::now().0 / 1_000_000);
        let enough = look.keep.events.map_or(0, |events| (look.written + 1).saturating_sub(events));
        let mut size = match look.keep.size {
            Some(most) => Some((self.size(connection, look)?, most)),
            None => None,
        };
        let mut cut = Cut { dropped: 0, first: look.written + 1, oldest: None, more: false };
        let mut rows = connection
            .prepare_cached("SELECT at, id, bytes FROM sized WHERE at BETWEEN ? AND ? ORDER BY at LIMIT ?")?;
        let mut rows = rows.query([schema::at(look.id, 0), schema::at(look.id, u64::MAX), most as i64 + 1])?;
        let mut below = look.first;
        while let Some(row) = rows.next()? {
            let (offset, bytes) = (schema::offset(row.get(0)?), row.get::<_, i64>(2)? as u64);
            let published = published(row.get_ref(1)?.as_blob().unwrap_or_default());
            let too_large = size.is_some_and(|(size, most)| size > most);
            let goes = !look.store || offset < enough || published < cutoff || too_large;
            if !goes || cut.dropped == most {
                cut = Cut { first: below, oldest: Some(published), more: goes, ..cut };
                break;
            }
            size = size.map(|(size, most)| (size.saturating_sub(bytes), most));
            below = offset + 1;
            cut.dropped += 1;
        }
        drop(rows);
        cut.carry_out(shared, connection, look)?;
        if let Some((size, _)) = size {
            self.sizes.insert(look.id, size);
        }
        Ok(cut.more)
    }

    /// How many bytes a channel has in the file.
    fn size(&self, connection: &Connection, look: &Look) -> Result<u64, Fault> {
        if let Some(size) = self.sizes.get(&look.id) {
            return Ok(*size);
        }
        let sum = |query: &str, from: i64, to: i64| -> Result<i64, Fault> {
            Ok(connection.prepare_cached(query)?.query_row([from, to], |row| row.get(0))?)
        };
        let (low, high) = (schema::at(look.id, look.first), schema::at(look.id, u64::MAX));
        // Spans that are whole; the ends are counted one by one.
        let whole = schema::at(look.id, look.first.next_multiple_of(SPAN));
        let spans = sum("SELECT ifnull(sum(bytes), 0) FROM span WHERE at BETWEEN ? AND ?", whole, high)?;
        let last = sum("SELECT ifnull(max(at), 0) FROM span WHERE at BETWEEN ? AND ?", whole, high)?;
        let rest = if last == 0 { whole } else { last + SPAN as i64 };
        let events = "SELECT ifnull(sum(bytes), 0) FROM sized WHERE at BETWEEN ? AND ?";
        Ok((spans + sum(events, low, whole - 1)? + sum(events, rest, high)?) as u64)
    }

    /// Gives a few free pages at the end of the file back.
    fn give_back(&mut self, connection: &Connection) -> Result<(), Fault> {
        let before = pragma(connection, "freelist_count")?;
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
        let mut rows = statement.query([])?;
        // Each step gives back one page.
        while rows.next()?.is_some() {}
        let free = pragma(connection, "freelist_count")?;
        // A file without room for this (made by another tool) would give nothing back, for ever.
        self.give_back = free > FREE.0 && free < before;
        if !self.give_back {
            // The file itself becomes shorter when the `-wal` is copied into it.
            connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))?;
        }
        Ok(())
    }
}

/// What goes of a channel.
struct Cut {
    dropped: usize,
    /// Where the rest begins; one behind the last where nothing is left. Holes below go with it.
    first: u64,
    /// When the first event of the rest was published.
    oldest: Option<i64>,
    more: bool,
}

impl Cut {
    fn carry_out(&self, shared: &Shared, connection: &Connection, look: &Look) -> Result<(), Fault> {
        let before = {
            let mut live = shared.lock();
            let channel = &mut live.channels[look.index];
            if self.dropped == 0 && self.oldest.is_some() {
                channel.oldest = self.oldest;
                return Ok(());
            }
            // Readers first: one that looks into the file after the events are gone must not take them for lost.
            let before = channel.first;
            if look.store {
                channel.first = channel.first.max(self.first);
            }
            before
        };
        let done = self.write(connection, look);
        let mut live = shared.lock();
        let channel = &mut live.channels[look.index];
        match &done {
            Ok(()) => channel.oldest = self.oldest,
            Err(_) if look.store => channel.first = before,
            Err(_) => {}
        }
        shared.counts.expired.fetch_add(if done.is_ok() { self.dropped as u64 } else { 0 }, Relaxed);
        done
    }

    fn write(&self, connection: &Connection, look: &Look) -> Result<(), Fault> {
        let transaction = connection.unchecked_transaction()?;
        let run = |query: &str, values: [i64; 2]| -> Result<(), Fault> {
            transaction.prepare_cached(query)?.execute(values)?;
            Ok(())
        };
        let low = schema::at(look.id, 0);
        run("DELETE FROM event WHERE at BETWEEN ? AND ?", [low, schema::at(look.id, self.first) - 1])?;
        let spans = schema::at(look.id, self.first / SPAN * SPAN) - 1;
        run("DELETE FROM span WHERE at BETWEEN ? AND ?", [low, spans])?;
        run("DELETE FROM hole WHERE channel = ? AND last < ?", [look.id, self.first as i64])?;
        if self.oldest.is_none() {
            // Nothing else in the file says any more how far it has come.
            run("UPDATE channel SET last = max(last, ?2) WHERE id = ?1", [look.id, look.written as i64])?;
        }
        if !look.store {
            run("DELETE FROM snapshot WHERE channel = ? AND ? > 0", [look.id, 1])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Look {
    fn at(channel: &Channel, index: usize) -> Self {
        Self {
            index,
            id: channel.id,
            store: channel.store,
            keep: channel.keep,
            first: channel.first.min(channel.written + 1),
            written: channel.written,
        }
    }
}

/// Up to when the events were published that are this part of all bytes, from the oldest on, in milliseconds since 1970.
/// The last events of each channel, whose span is not finished, are not counted.
fn oldest_part(connection: &Connection, part: f64) -> Result<i64, Fault> {
    let mut all = connection.prepare_cached("SELECT ifnull(sum(bytes), 0) FROM span")?;
    let bytes = all.query_row([], |row| row.get::<_, i64>(0))? as f64 * part;
    let mut spans = connection.prepare_cached("SELECT published, bytes FROM span ORDER BY published")?;
    let mut spans = spans.query([])?;
    let (mut sum, mut reached) = (0, i64::MIN);
    while (sum as f64) < bytes
        && let Some(span) = spans.next()?
    {
        reached = span.get(0)?;
        sum += span.get::<_, i64>(1)?;
    }
    Ok(reached)
}

/// When the event of this id was published, in milliseconds since 1970.
pub(crate) fn published(id: &[u8]) -> i64 {
    id.iter().take(6).fold(0, |time, byte| time << 8 | i64::from(*byte))
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(connection.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))?)
}
