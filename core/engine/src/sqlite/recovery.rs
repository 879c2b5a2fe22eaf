//! Opening a history file: that it is ours and of a format that is known. What cannot be used is
//! moved aside and a new file begun. Called by [`super::SqliteEngine::open`], and by the writer when its file is lost.

use super::{
    fault::Fault,
    lives::{self, Found},
    options::{Durability, MovedAside, OpenError, SqliteOptions},
    schema,
};
use headwater_event::Timestamp;
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a write waits for somebody who writes from outside, before it counts as failed.
pub(crate) const BUSY: Duration = Duration::from_secs(1);

/// What the writer's connection may hold of the file, in KiB.
const CACHE: i64 = 4 * 1024;

/// A `-wal` that grew beyond this is cut when it begins anew.
const WAL_KEPT: i64 = 32 << 20;

/// Why a file cannot be used as it is.
enum Unusable {
    /// Move it aside and begin anew.
    Spoilt(String),
    /// Leave it alone.
    Error(OpenError),
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
        Fault::Disk(reason) | Fault::ReadOnly(reason) => unavailable(reason),
        Fault::Spoilt(reason) | Fault::Odd(reason) => Unusable::Spoilt(reason),
    };
    as_writable_as(path);
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
    settle(&connection, options.durability).map_err(sort)?;
    lives::begin(connection, options, fresh).map_err(sort)
}

/// A new file in place of one that was lost while it was in use. `aside` learns where the old one is now, also when the new
/// one cannot be begun yet and this is called again.
pub(crate) fn anew(options: &SqliteOptions, aside: &mut Option<PathBuf>) -> Result<Connection, OpenError> {
    // An empty one is what an attempt has left.
    if std::fs::metadata(&options.path).is_ok_and(|metadata| metadata.len() > 0) {
        *aside = Some(move_aside(&options.path)?);
    }
    match attempt(options) {
        Ok(found) => Ok(found.connection),
        Err(Unusable::Error(error)) => Err(error),
        Err(Unusable::Spoilt(reason)) => Err(OpenError::Unavailable { path: options.path.clone(), reason }),
    }
}

/// Opens the same file again, which could not be written when it was opened.
pub(crate) fn reopen(options: &SqliteOptions) -> Result<Connection, Fault> {
    as_writable_as(&options.path);
    let connection = connect(&options.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if connection.is_readonly("main")? {
        return Err(Fault::ReadOnly("the file may be read, but not written".into()));
    }
    settle(&connection, options.durability)?;
    Ok(connection)
}

/// SQLite gives what it makes beside a file the file's mode. What it made while the file could only be read would keep that
/// for ever.
fn as_writable_as(path: &Path) {
    let Ok(mode) = std::fs::metadata(path).map(|metadata| metadata.permissions()) else { return };
    for suffix in ["-wal", "-shm"] {
        let beside = with_suffix(path, suffix);
        if !mode.readonly() && std::fs::metadata(&beside).is_ok_and(|metadata| metadata.permissions().readonly()) {
            // Whether it worked shows when it is opened.
            let _ = std::fs::set_permissions(&beside, mode.clone());
        }
    }
}

/// The writer's own settings. Checkpoints are its own affair, and bounded; `NORMAL` syncs at each of them, `FULL` at each
/// commit.
fn settle(connection: &Connection, durability: Durability) -> Result<(), Fault> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Fault::Disk("the file system has no shared memory files, which a WAL needs".into()));
    }
    let synchronous = if durability == Durability::Durable { "FULL" } else { "NORMAL" };
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -{CACHE}; PRAGMA journal_size_limit = {WAL_KEPT};"
    ))?;
    Ok(())
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
