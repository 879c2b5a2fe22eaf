//! The tables of a history file, and how a file is known to be ours. `docs/history.md` describes them to those
//! who ask the file themselves. Used by opening and by verifying; nothing else in the room creates tables.

use super::views::views;
use rusqlite::{Connection, Result};

/// `PRAGMA application_id`: "HWTR".
pub(crate) const APPLICATION: i64 = 0x4857_5452;

/// `PRAGMA user_version`: the format of the tables.
pub(crate) const FORMAT: i64 = 1;

/// An event's key is its channel's number times this, plus its offset: one channel's events lie together and in order,
/// in a table that SQLite appends to quickly. 2^42 offsets for each of 2^21 channels.
pub(crate) const STRIDE: i64 = 1 << 42;

/// How many channels a file can have.
pub(crate) const CHANNELS: usize = (1 << 21) - 1;

/// The bytes of a page. Small ones: a batch writes whole pages, however little it changes of each.
pub(crate) const PAGE: u64 = 4096;

/// How many offsets one row of `span` tells the times of.
pub(crate) const SPAN: u64 = 256;

/// The key of an event.
pub(crate) fn at(channel: i64, offset: u64) -> i64 {
    channel * STRIDE + offset.min(STRIDE as u64 - 1) as i64
}

/// The offset in a key.
pub(crate) fn offset(at: i64) -> u64 {
    (at % STRIDE) as u64
}

/// The settings that are part of a file; they must come before its first table.
const LAYOUT: &str = "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;";

const TABLES: &str = "
CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

CREATE TABLE channel(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last INTEGER NOT NULL
);

CREATE TABLE epoch(
    channel INTEGER NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    began INTEGER NOT NULL,
    PRIMARY KEY(channel, number)
) WITHOUT ROWID;

CREATE TABLE event(
    at INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    time INTEGER NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    severity INTEGER,
    evidence INTEGER,
    key TEXT,
    forgotten INTEGER,
    attributes TEXT,
    data TEXT NOT NULL
);

CREATE TABLE span(
    at INTEGER PRIMARY KEY,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    published INTEGER NOT NULL,
    bytes INTEGER NOT NULL
);

CREATE TABLE hole(
    channel INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    reason TEXT NOT NULL,
    noticed INTEGER NOT NULL,
    PRIMARY KEY(channel, first)
) WITHOUT ROWID;

CREATE TABLE snapshot(
    channel INTEGER NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    id BLOB NOT NULL,
    time INTEGER NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    severity INTEGER,
    evidence INTEGER,
    attributes TEXT,
    data TEXT NOT NULL,
    PRIMARY KEY(channel, key)
) WITHOUT ROWID;
";

/// Creates what a new file has. The connection has nothing open.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    connection.execute_batch(&format!("PRAGMA page_size = {PAGE}; {LAYOUT}"))?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} {} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;",
        views()
    ))
}
