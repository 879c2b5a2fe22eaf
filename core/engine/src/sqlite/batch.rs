//! Writing a batch of events in one transaction, with all that goes with them: their channel's row, the times of their
//! span, the snapshots, the holes. Called by the writer, which owns the connection.

use super::{
    fault::Fault,
    insert::Insert,
    live::Run,
    lives,
    retention::published,
    row,
    schema::{self, SPAN},
};
use headwater_event::{Event, Retention, Timestamp};
use rusqlite::{CachedStatement, Connection, params};
use std::{collections::HashMap, sync::Arc};

/// What the writer remembers between batches. Valid only after the transaction that made it: a failed one changes
/// nothing here.
#[derive(Debug, Default)]
pub(crate) struct Spans(HashMap<i64, Span>);

/// The times and bytes of the last, unfinished span of a channel.
#[derive(Clone, Copy, Debug)]
struct Span {
    number: u64,
    earliest: i64,
    latest: i64,
    /// When its first event was published, in milliseconds since 1970.
    published: i64,
    bytes: u64,
}

/// Writes what the writer took. Returns the bytes written to each run's channel.
pub(crate) fn write(connection: &Connection, spans: &mut Spans, runs: &[Run]) -> Result<Vec<u64>, Fault> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = inside(connection, spans, runs).and_then(|written| {
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(written)
    });
    match written {
        Ok((bytes, changed)) => {
            spans.0.extend(changed);
            Ok(bytes)
        }
        Err(fault) => {
            // Some faults have rolled back already.
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            Err(fault)
        }
    }
}

type Written = (Vec<u64>, Vec<(i64, Span)>);

fn inside(connection: &Connection, spans: &Spans, runs: &[Run]) -> Result<Written, Fault> {
    let now = Timestamp::now().0;
    let mut insert = Insert::prepare(connection)?;
    let mut span = connection.prepare_cached("INSERT OR REPLACE INTO span VALUES(?, ?, ?, ?, ?)")?;
    let (mut bytes, mut changed) = (Vec::with_capacity(runs.len()), Vec::new());
    for run in runs {
        if !run.recorded {
            lives::record(connection, run.id, &run.name, &run.lineage)?;
        }
        for (first, last) in &run.lost {
            hole(connection, run.id, *first, *last, now)?;
        }
        let Some(first) = run.events.first() else {
            bytes.push(0);
            continue;
        };
        let mut open = match spans.0.get(&run.id) {
            Some(open) => *open,
            None => resume(connection, run.id, first.position.offset)?,
        };
        insert.write(run.id, &run.events)?;
        let mut sum = 0;
        for one in run.events.iter() {
            let size = row::size(one);
            sum += size;
            if one.position.offset / SPAN != open.number {
                open.write(&mut span, run.id)?;
                open = Span::empty(one.position.offset / SPAN);
            }
            open.add(one.time.0, published(one.id.as_bytes()), size);
        }
        snapshots(connection, run)?;
        bytes.push(sum);
        changed.push((run.id, open));
    }
    Ok((bytes, changed))
}

/// Notes offsets that were handed back and could not be kept. One that goes on where the last one ended makes it longer.
fn hole(connection: &Connection, channel: i64, first: u64, last: u64, now: i64) -> Result<(), Fault> {
    let (first, last) = (first as i64, last as i64);
    let mut longer = connection
        .prepare_cached("UPDATE hole SET last = ?3 WHERE channel = ?1 AND last = ?2 - 1 AND reason = 'corruption'")?;
    if longer.execute([channel, first, last])? == 0 {
        let mut new = connection.prepare_cached("INSERT INTO hole VALUES(?, ?, ?, 'corruption', ?)")?;
        new.execute([channel, first, last, now])?;
    }
    Ok(())
}

/// The last event of each key is the snapshot.
fn snapshots(connection: &Connection, run: &Run) -> Result<(), Fault> {
    // Only the last one of each key in this batch needs to be written.
    let mut last: HashMap<&str, &Arc<Event>> = HashMap::new();
    for event in run.events.iter() {
        if let Retention::Keep(key) | Retention::Forget(key) = &event.retention {
            last.insert(key, event);
        }
    }
    for (key, event) in last {
        if matches!(event.retention, Retention::Keep(_)) {
            let mut statement = connection
                .prepare_cached("INSERT OR REPLACE INTO snapshot VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
            row::insert_snapshot(&mut statement, run.id, key, event)?;
        } else {
            let mut statement = connection.prepare_cached("DELETE FROM snapshot WHERE channel = ? AND key = ?")?;
            statement.execute(params![run.id, key])?;
        }
    }
    Ok(())
}

/// The last span of a channel that this life has not written to yet: the one with the last event before `next`. It has
/// no row yet, or one that is written again.
fn resume(connection: &Connection, channel: i64, next: u64) -> Result<Span, Fault> {
    let mut last = connection.prepare_cached("SELECT max(at) FROM event WHERE at BETWEEN ? AND ?")?;
    let last: Option<i64> =
        last.query_row([schema::at(channel, 0), schema::at(channel, next.saturating_sub(1))], |row| row.get(0))?;
    let Some(last) = last else { return Ok(Span::empty(next / SPAN)) };
    let number = schema::offset(last) / SPAN;
    let mut open = Span::empty(number);
    let mut rows = connection.prepare_cached("SELECT time, id, bytes FROM sized WHERE at BETWEEN ? AND ?")?;
    let mut rows = rows.query([schema::at(channel, number * SPAN), last])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(1)?.as_blob().unwrap_or_default();
        open.add(row.get(0)?, published(id), row.get::<_, i64>(2)? as u64);
    }
    Ok(open)
}

impl Span {
    fn empty(number: u64) -> Self {
        Self { number, earliest: i64::MAX, latest: i64::MIN, published: i64::MAX, bytes: 0 }
    }

    fn add(&mut self, time: i64, published: i64, size: u64) {
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
        self.published = self.published.min(published);
        self.bytes += size;
    }

    /// Writes it, if there is anything in it.
    fn write(&self, statement: &mut CachedStatement<'_>, channel: i64) -> Result<(), Fault> {
        if self.earliest <= self.latest {
            let at = schema::at(channel, self.number * SPAN);
            statement.execute([at, self.earliest, self.latest, self.published, self.bytes as i64])?;
        }
        Ok(())
    }
}
