//! Opening a history file: that nobody else has it, that it is ours and whole, what it knows of the channels, and whether
//! its last life ended in order. What cannot be used is moved aside. Called once, by [`super::SqliteEngine::open`].

use super::{
    fault::Fault,
    lineage::{Begin, Lineage, REMEMBERED, Seed},
    live::Channel,
    options::{Durability, MovedAside, OpenError, Opened, SqliteOptions},
    schema,
};
use headwater_event::{ChannelName, Epoch, Timestamp};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, params,
    types::{Null, Value},
};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a write waits for somebody who writes from outside, before it counts as failed.
const BUSY: Duration = Duration::from_secs(1);

/// What the writer's connection may hold of the file, in KiB.
const CACHE: i64 = 4 * 1024;

/// A `-wal` that grew beyond this is cut when it begins anew.
const WAL_KEPT: i64 = 32 << 20;

/// How much the file's last change may differ from the end that it says it had. A file that was copied, restored or
/// touched since differs by more; then it is as after an unclean end, which costs nothing but a new epoch.
const END_TOLERANCE: u64 = 60_000_000_000;

/// An open file, and what it knows.
pub(crate) struct Found {
    pub(crate) connection: Connection,
    pub(crate) seed: Seed,
    pub(crate) channels: Vec<Channel>,
    /// What must be in the file before anything else is.
    pub(crate) birth: Option<Birth>,
    pub(crate) opened: Opened,
}

/// What a new life of the file writes first.
pub(crate) struct Birth {
    seed: Seed,
    /// Of each channel that goes on under a new epoch: its number, and whether the older ones mean nothing any more.
    epochs: Vec<(i64, Begin, bool)>,
    holes: Vec<Unstored>,
}

/// Offsets of a channel that were given out while it was not stored, and lie behind some that are.
struct Unstored {
    channel: i64,
    first: u64,
    last: u64,
}

/// Why a file cannot be used as it is.
enum Unusable {
    /// Move it aside and begin anew.
    Spoilt(String),
    /// Leave it alone.
    Error(OpenError),
}

/// Keeps other daemons away for as long as it lives. Not the file itself: closing any descriptor of that would drop the
/// locks that SQLite holds on it.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let unavailable = |error: std::io::Error| OpenError::Unavailable { path: path.into(), reason: error.to_string() };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(unavailable)?;
    }
    let beside = with_suffix(path, "-lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&beside).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => {
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let by = if pid.is_empty() { "another process".into() } else { format!("process {pid}") };
            Err(OpenError::InUse { path: path.into(), by })
        }
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

/// Opens the file, or makes it. The caller holds the lock.
pub(crate) fn open(options: &SqliteOptions) -> Result<Found, OpenError> {
    match attempt(options) {
        Ok(found) => Ok(found),
        Err(Unusable::Error(error)) => Err(error),
        Err(Unusable::Spoilt(reason)) => {
            let to = move_aside(&options.path)?;
            match attempt(options) {
                Ok(mut found) => {
                    found.opened.moved_aside = Some(MovedAside { to, reason });
                    Ok(found)
                }
                Err(Unusable::Error(error)) => Err(error),
                Err(Unusable::Spoilt(reason)) => Err(OpenError::Unavailable { path: options.path.clone(), reason }),
            }
        }
    }
}

fn attempt(options: &SqliteOptions) -> Result<Found, Unusable> {
    let path = &options.path;
    let unavailable = |reason: String| Unusable::Error(OpenError::Unavailable { path: path.clone(), reason });
    let fresh = match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(unavailable("it is not a file".into())),
        Ok(metadata) => metadata.len() == 0,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Made here and not by SQLite, so that nobody but the owner can read it.
            let mut made = OpenOptions::new();
            made.write(true).create_new(true).mode(0o600);
            made.open(path).map_err(|error| unavailable(error.to_string()))?;
            true
        }
        Err(error) => return Err(unavailable(error.to_string())),
    };
    let sort = |fault: Fault| match fault {
        Fault::Disk(reason) => unavailable(reason),
        Fault::Spoilt(reason) => Unusable::Spoilt(reason),
    };
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| sort(error.into()))?;
    if fresh {
        schema::create(&connection).map_err(|error| sort(error.into()))?;
    } else {
        let format = identify(&connection).map_err(sort)?;
        if format > schema::FORMAT {
            let newer = OpenError::Newer { path: path.clone(), found: format, known: schema::FORMAT };
            return Err(Unusable::Error(newer));
        }
    }
    load(connection, options, fresh).map_err(sort)
}

/// A connection as this room uses them: one thread at a time, no memory map (a fault of the disk would be a signal).
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The format of a file, when it is ours.
pub(crate) fn identify(connection: &Connection) -> Result<i64, Fault> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("application_id")? != schema::APPLICATION {
        return Err(Fault::Spoilt("it is a database of another program".into()));
    }
    Ok(number("user_version")?)
}

fn load(connection: Connection, options: &SqliteOptions, fresh: bool) -> Result<Found, Fault> {
    let synchronous = if options.durability == Durability::Durable { "FULL" } else { "NORMAL" };
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -{CACHE}; PRAGMA journal_size_limit = {WAL_KEPT};"
    ))?;
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
    let (mut channels, holes) = load_channels(&connection, options)?;
    let unclean = !fresh && !ended;
    let mut birth = Birth { seed: seed.unwrap_or_else(Seed::draw), epochs: Vec::new(), holes };
    if unclean {
        birth.renew(&mut channels);
    }
    let opened = Opened { fresh, unclean, channels: channels.len(), ..Opened::default() };
    let mut found = Found { connection, seed: birth.seed, channels, birth: None, opened };
    match birth.write(&found.connection, options.durability) {
        Ok(()) => Ok(found),
        Err(Fault::Spoilt(reason)) => Err(Fault::Spoilt(reason)),
        Err(Fault::Disk(reason)) => {
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

/// The channels of a file, and the holes that it should have and does not.
fn load_channels(connection: &Connection, options: &SqliteOptions) -> Result<(Vec<Channel>, Vec<Unstored>), Fault> {
    let mut events = connection.prepare(
        "SELECT (SELECT min(at) FROM event WHERE at BETWEEN ?1 AND ?2), (SELECT max(at) FROM event WHERE at BETWEEN ?1 AND ?2)",
    )?;
    let mut holes = connection.prepare("SELECT min(first), max(last) FROM hole WHERE channel = ?")?;
    let mut epochs = connection.prepare("SELECT first, epoch FROM epoch WHERE channel = ? ORDER BY number")?;
    let mut rows = connection.prepare("SELECT id, name, last FROM channel ORDER BY id")?;
    let mut rows = rows.query([])?;
    let (mut channels, mut missing) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (id, name, noted): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let name = ChannelName::new(&name).map_err(|error| Fault::Spoilt(error.to_string()))?;
        let begins = epochs.query_map([id], |row| {
            Ok(Begin { first: row.get::<_, i64>(0)? as u64, epoch: Epoch(row.get::<_, i64>(1)? as u64) })
        })?;
        let lineage = Lineage::from_rows(begins.collect::<Result<_, _>>()?)
            .ok_or_else(|| Fault::Spoilt(format!("channel `{name}` has no epoch")))?;
        let ends = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
        let (first_event, last_event) = events.query_row([schema::at(id, 0), schema::at(id, u64::MAX)], ends)?;
        let (first_event, last_event) = (first_event.map(schema::offset), last_event.map_or(0, schema::offset));
        let (first_hole, last_hole) = holes.query_row([id], ends)?;
        let kept = last_event.max(last_hole.unwrap_or(0) as u64);
        let store = options.keep_of(name.as_str()).is_some();
        let mut channel = Channel::new(name, id, lineage, store);
        channel.recorded = true;
        channel.last = kept.max(noted as u64);
        channel.written = channel.last;
        let first = first_event.into_iter().chain(first_hole.map(|first| first as u64)).min();
        channel.first = first.filter(|_| channel.store).unwrap_or(channel.last + 1);
        if channel.store && first_event.is_some() && kept < channel.last {
            // It was not stored for a time.
            missing.push(Unstored { channel: id, first: kept + 1, last: channel.last });
        }
        channels.push(channel);
    }
    Ok((channels, missing))
}

impl Birth {
    /// Lets every channel go on under a new epoch.
    fn renew(&mut self, channels: &mut [Channel]) {
        self.seed = Seed::draw();
        for channel in channels {
            let begin = Begin { first: channel.last + 1, epoch: self.seed.epoch(channel.name.as_str()) };
            // Of a channel that is not stored nobody knows how far it had come.
            let alone = !channel.store;
            channel.lineage = if alone { Lineage::new(begin) } else { channel.lineage.then(begin) };
            self.epochs.push((channel.id, begin, alone));
        }
    }

    /// Writes that a life has begun, and syncs it: what is handed back from now on must never look cleanly ended.
    pub(crate) fn write(&self, connection: &Connection, durability: Durability) -> Result<(), Fault> {
        let now = Timestamp::now().0;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.unchecked_transaction()?;
        {
            let mut meta = transaction.prepare("INSERT OR REPLACE INTO meta VALUES(?, ?)")?;
            meta.execute(params!["seed", &self.seed.0[..]])?;
            meta.execute(params!["opened", now])?;
            meta.execute(params!["closed", Null])?;
            let mut alone = transaction.prepare("DELETE FROM epoch WHERE channel = ?")?;
            let mut last = transaction.prepare("SELECT coalesce(max(number), 0) FROM epoch WHERE channel = ?")?;
            let mut epoch = transaction.prepare("INSERT INTO epoch VALUES(?, ?, ?, ?, ?)")?;
            let mut forget = transaction.prepare("DELETE FROM epoch WHERE channel = ? AND number <= ?")?;
            for (channel, begin, is_alone) in &self.epochs {
                if *is_alone {
                    alone.execute([channel])?;
                }
                let number = last.query_row([channel], |row| row.get::<_, i64>(0))? + 1;
                epoch.execute(params![channel, number, begin.first as i64, begin.epoch.0 as i64, now])?;
                forget.execute([*channel, number - REMEMBERED as i64])?;
            }
            let mut hole = transaction.prepare("INSERT INTO hole VALUES(?, ?, ?, ?, ?)")?;
            for Unstored { channel, first, last } in &self.holes {
                hole.execute(params![channel, *first as i64, *last as i64, "retention", now])?;
            }
        }
        transaction.commit()?;
        if durability != Durability::Durable {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        Ok(())
    }
}

/// Gives a file that cannot be used another name, with what belongs to it, and says which.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, OpenError> {
    let stamp: String = Timestamp::now().to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let to = with_suffix(path, &format!(".corrupt-{stamp}"));
    let renamed = std::fs::rename(path, &to);
    renamed.map_err(|error| OpenError::Unavailable { path: path.into(), reason: error.to_string() })?;
    for suffix in ["-wal", "-shm"] {
        // They mostly do not exist. One that stayed would be taken for the new file's.
        match std::fs::rename(with_suffix(path, suffix), with_suffix(&to, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(OpenError::Unavailable { path: with_suffix(path, suffix), reason: error.to_string() });
            }
            _ => {}
        }
    }
    Ok(to)
}

/// The file beside the history with this at the end of its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
