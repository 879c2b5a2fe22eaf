//! How a life of a history file begins and ends: what it knows of the channels, whether its last life ended in order, and
//! the epochs that follow from it. Called by opening and, at the end, by the writer.

use super::{
    channel::Channel,
    fault::Fault,
    lineage::{Begin, Lineage, REMEMBERED, Seed},
    options::{Durability, Opened, SqliteOptions},
    retention::published,
    schema,
};
use headwater_event::{ChannelName, Epoch, Timestamp};
use rusqlite::{
    Connection, OptionalExtension, Statement, params,
    types::{Null, Value},
};
use std::{os::unix::fs::MetadataExt, path::Path};

/// How much the file's last change may differ from the end that it says it had, in nanoseconds. A file that was copied,
/// restored or touched since differs by more; then it is as after an unclean end, which costs nothing but a new epoch.
const END_TOLERANCE: u64 = 60_000_000_000;

/// Channels of which nothing is left are forgotten when the file knows more than the first part of those that may be, until
/// it knows no more than the second part.
const CROWDED: (f64, f64) = (0.75, 0.5);

/// An open file, and what it knows.
pub(crate) struct Found {
    pub(crate) connection: Connection,
    pub(crate) seed: Seed,
    pub(crate) channels: Vec<Channel>,
    /// What must be in the file before anything else is, when it could not be written yet.
    pub(crate) birth: Option<Birth>,
    pub(crate) opened: Opened,
}

/// What a new life of the file writes first.
pub(crate) struct Birth {
    seed: Seed,
    /// Channels that go on under a new epoch.
    epochs: Vec<Renewed>,
    /// Offsets of a channel that were given out while it was not stored, and lie behind some that are.
    holes: Vec<(i64, u64, u64)>,
    /// Channels that are forgotten.
    forgotten: Vec<i64>,
}

/// A new epoch of a channel.
struct Renewed {
    channel: i64,
    begin: Begin,
    /// The older ones mean nothing any more.
    alone: bool,
}

/// Begins a life: loads what the file knows and notes in it that a daemon has it.
pub(crate) fn begin(connection: Connection, options: &SqliteOptions, fresh: bool) -> Result<Found, Fault> {
    let meta = |key: &str| -> rusqlite::Result<Option<Value>> {
        connection.query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0)).optional()
    };
    let ended = match meta("closed")? {
        Some(Value::Integer(closed)) => ended_as_it_says(&options.path, closed),
        _ => false,
    };
    let seed = match meta("seed")? {
        Some(Value::Blob(bytes)) => bytes.try_into().ok().map(Seed),
        _ => None,
    };
    let mut birth = Birth::new(seed.unwrap_or_else(Seed::draw));
    let mut channels = birth.load(&connection, options)?;
    let unclean = !fresh && !ended;
    if unclean {
        birth.renew(&mut channels);
    }
    let opened = Opened { fresh, unclean, channels: channels.len(), ..Opened::default() };
    let mut found = Found { connection, seed: birth.seed, channels, birth: None, opened };
    match birth.write(&found.connection, options.durability) {
        Ok(()) => Ok(found),
        Err(fault @ (Fault::Spoilt(_) | Fault::Odd(_))) => Err(fault),
        Err(Fault::Disk(reason) | Fault::ReadOnly(reason)) => {
            // Nothing says yet that this life has begun. Should it end before that is written, the next one would take
            // the file for cleanly ended and go on with the same epochs: so this one goes on with others.
            if !unclean {
                birth.renew(&mut found.channels);
            }
            found.seed = birth.seed;
            found.opened.failing = Some(reason);
            found.birth = Some(birth);
            Ok(found)
        }
    }
}

/// Whether the file has not changed since it was closed in order.
fn ended_as_it_says(path: &Path, closed: i64) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| {
        let changed = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
        changed.abs_diff(closed) <= END_TOLERANCE
    })
}

/// Ends a life in order: how far each channel has come, and that nothing is missing.
pub(crate) fn end(connection: &Connection, channels: &[Ended]) -> Result<(), Fault> {
    // The rest of the `-wal` first: what follows is then small, and the file changes last when it says so.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);")?;
    let transaction = connection.unchecked_transaction()?;
    for channel in channels {
        if !channel.recorded {
            record(connection, channel.id, &channel.name, &channel.lineage)?;
        }
        let mut last = transaction.prepare_cached("UPDATE channel SET last = ?2 WHERE id = ?1 AND last < ?2")?;
        last.execute([channel.id, channel.last as i64])?;
    }
    transaction.execute("UPDATE meta SET value = ? WHERE key = 'closed'", [Timestamp::now().0])?;
    transaction.commit()?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

/// A channel at the end of a life.
pub(crate) struct Ended {
    id: i64,
    name: ChannelName,
    lineage: Lineage,
    last: u64,
    recorded: bool,
}

impl Ended {
    pub(crate) fn of(channel: &Channel) -> Self {
        Self {
            id: channel.id,
            name: channel.name.clone(),
            lineage: channel.lineage.clone(),
            last: channel.last,
            recorded: channel.recorded,
        }
    }
}

/// Writes the row of a channel that the file does not know, and its epochs.
pub(crate) fn record(connection: &Connection, id: i64, name: &ChannelName, lineage: &Lineage) -> Result<(), Fault> {
    let now = Timestamp::now().0;
    connection.prepare_cached("INSERT INTO channel VALUES(?, ?, 0)")?.execute(params![id, name.as_str()])?;
    let mut epoch = connection.prepare_cached("INSERT INTO epoch VALUES(?, ?, ?, ?, ?)")?;
    for (begin, number) in lineage.begins().iter().zip(1_i64..) {
        epoch.execute(params![id, number, begin.first as i64, begin.epoch.0 as i64, now])?;
    }
    Ok(())
}

impl Birth {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, epochs: Vec::new(), holes: Vec::new(), forgotten: Vec::new() }
    }

    /// The channels of a file. Notes the holes that it should have and does not, and forgets channels of which nothing
    /// is left when there are too many: otherwise names that were used once would keep new ones out for ever.
    fn load(&mut self, connection: &Connection, options: &SqliteOptions) -> Result<Vec<Channel>, Fault> {
        let mut known: i64 = connection.query_row("SELECT count(*) FROM channel", [], |row| row.get(0))?;
        let most = options.max_channels as f64;
        let crowded = known as f64 > most * CROWDED.0;
        let mut questions = Questions::new(connection)?;
        let mut rows = connection.prepare("SELECT id, name, last FROM channel ORDER BY id")?;
        let mut rows = rows.query([])?;
        let mut channels = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, name, noted): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let name = ChannelName::new(&name).map_err(|error| Fault::Spoilt(error.to_string()))?;
            let Some(lineage) = Lineage::from_rows(questions.epochs(id)?) else {
                return Err(Fault::Spoilt(format!("channel `{name}` has no epoch")));
            };
            let (events, holes) = (questions.events(id)?, questions.holes(id)?);
            let too_many = crowded && known as f64 > most * CROWDED.1;
            if too_many && events.is_none() && holes.is_none() && !questions.has_snapshot(id)? {
                self.forgotten.push(id);
                known -= 1;
                continue;
            }
            let mut channel = Channel::new(name.clone(), id, lineage, options.keep_of(name.as_str()));
            let last_kept = events.map_or(0, |events| events.last).max(holes.map_or(0, |(_, last)| last));
            channel.recorded = true;
            channel.last = last_kept.max(noted as u64);
            channel.written = channel.last;
            channel.oldest = events.map(|events| events.oldest);
            let first = events.map(|events| events.first).into_iter().chain(holes.map(|(first, _)| first)).min();
            channel.first = first.filter(|_| channel.store).unwrap_or(channel.last + 1);
            if channel.store && events.is_some() && last_kept < channel.last {
                // It was not stored for a time.
                self.holes.push((id, last_kept + 1, channel.last));
            }
            channels.push(channel);
        }
        if !self.forgotten.is_empty() {
            // Should one of them come again it begins at 1: not under the epoch that it had.
            self.seed = Seed::draw();
        }
        Ok(channels)
    }

    /// Lets every channel go on under a new epoch.
    fn renew(&mut self, channels: &mut [Channel]) {
        self.seed = Seed::draw();
        for channel in channels {
            let begin = Begin { first: channel.last + 1, epoch: self.seed.epoch(channel.name.as_str()) };
            // Of a channel that is not stored nobody knows how far it had come.
            let alone = !channel.store;
            channel.lineage = if alone { Lineage::new(begin) } else { channel.lineage.then(begin) };
            self.epochs.push(Renewed { channel: channel.id, begin, alone });
        }
    }

    /// Writes that a life has begun, and syncs it: what is handed back from now on must never look cleanly ended.
    pub(crate) fn write(&self, connection: &Connection, durability: Durability) -> Result<(), Fault> {
        let now = Timestamp::now().0;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.unchecked_transaction()?;
        let meta = |key: &str, value: Value| -> Result<(), Fault> {
            transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES(?, ?)")?.execute(params![key, value])?;
            Ok(())
        };
        meta("seed", self.seed.0.to_vec().into())?;
        meta("opened", now.into())?;
        meta("closed", Null.into())?;
        for Renewed { channel, begin, alone } in &self.epochs {
            if *alone {
                transaction.prepare_cached("DELETE FROM epoch WHERE channel = ?")?.execute([channel])?;
            }
            let mut last = transaction.prepare_cached("SELECT ifnull(max(number), 0) FROM epoch WHERE channel = ?")?;
            let number = last.query_row([channel], |row| row.get::<_, i64>(0))? + 1;
            let mut epoch = transaction.prepare_cached("INSERT INTO epoch VALUES(?, ?, ?, ?, ?)")?;
            epoch.execute(params![channel, number, begin.first as i64, begin.epoch.0 as i64, now])?;
            let mut older = transaction.prepare_cached("DELETE FROM epoch WHERE channel = ? AND number <= ?")?;
            older.execute([*channel, number - REMEMBERED as i64])?;
        }
        for (channel, first, last) in &self.holes {
            let mut hole = transaction.prepare_cached("INSERT INTO hole VALUES(?, ?, ?, 'retention', ?)")?;
            hole.execute([*channel, *first as i64, *last as i64, now])?;
        }
        for channel in &self.forgotten {
            transaction.prepare_cached("DELETE FROM channel WHERE id = ?")?.execute([channel])?;
            transaction.prepare_cached("DELETE FROM epoch WHERE channel = ?")?.execute([channel])?;
            // Its number will be another one's.
            let mut spans = transaction.prepare_cached("DELETE FROM span WHERE at BETWEEN ? AND ?")?;
            spans.execute([schema::at(*channel, 0), schema::at(*channel, u64::MAX)])?;
        }
        transaction.commit()?;
        if durability != Durability::Durable {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        Ok(())
    }
}

/// What is asked of each channel.
pub(crate) struct Questions<'a> {
    events: Statement<'a>,
    holes: Statement<'a>,
    epochs: Statement<'a>,
    snapshot: Statement<'a>,
}

/// The events of a channel that the file has.
#[derive(Clone, Copy)]
struct Events {
    first: u64,
    last: u64,
    oldest: i64,
}

impl<'a> Questions<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Result<Self, Fault> {
        Ok(Self {
            events: connection.prepare(
                "SELECT at, (SELECT max(at) FROM event WHERE at BETWEEN ?1 AND ?2), id FROM event
                 WHERE at BETWEEN ?1 AND ?2 ORDER BY at LIMIT 1",
            )?,
            holes: connection.prepare("SELECT min(first), max(last) FROM hole WHERE channel = ?")?,
            epochs: connection.prepare("SELECT first, epoch FROM epoch WHERE channel = ? ORDER BY number")?,
            snapshot: connection.prepare("SELECT EXISTS(SELECT 1 FROM snapshot WHERE channel = ?)")?,
        })
    }

    fn events(&mut self, channel: i64) -> Result<Option<Events>, Fault> {
        let range = [schema::at(channel, 0), schema::at(channel, u64::MAX)];
        let found = self.events.query_row(range, |row| {
            let (first, last) = (schema::offset(row.get(0)?), schema::offset(row.get(1)?));
            Ok(Events { first, last, oldest: published(row.get_ref(2)?.as_blob().unwrap_or_default()) })
        });
        Ok(found.optional()?)
    }

    fn holes(&mut self, channel: i64) -> Result<Option<(u64, u64)>, Fault> {
        let ends = self.holes.query_row([channel], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?)))?;
        Ok(ends.0.zip(ends.1).map(|(first, last): (i64, i64)| (first as u64, last as u64)))
    }

    /// Its epochs, oldest first.
    pub(crate) fn epochs(&mut self, channel: i64) -> Result<Vec<Begin>, Fault> {
        let begins = self.epochs.query_map([channel], |row| {
            Ok(Begin { first: row.get::<_, i64>(0)? as u64, epoch: Epoch(row.get::<_, i64>(1)? as u64) })
        })?;
        Ok(begins.collect::<Result<_, _>>()?)
    }

    fn has_snapshot(&mut self, channel: i64) -> Result<bool, Fault> {
        Ok(self.snapshot.query_row([channel], |row| row.get(0))?)
    }
}
