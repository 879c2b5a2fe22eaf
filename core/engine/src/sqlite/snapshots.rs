//! The bounds of the snapshots in the file: how many, and how many bytes. Whoever invents keys would otherwise fill it, as
//! snapshots do not grow old. Asked by retention.

use super::{fault::Fault, live::Run, options::SqliteOptions};
use headwater_event::Retention;
use rusqlite::Connection;

/// When there are too many they are cut to so many tenths: counting them reads them all.
const CUT: i64 = 9;

/// How much may still come before there may be too many. Nothing, before they are first counted.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    events: i64,
    bytes: i64,
}

impl Snapshots {
    /// Learns what a batch has added at most: each may have replaced another one.
    pub(crate) fn wrote(&mut self, run: &Run) {
        for event in run.events.iter() {
            if let Retention::Keep(key) = &event.retention {
                self.events -= 1;
                self.bytes -= (event.data.as_bytes().len() + key.len()) as i64;
            }
        }
    }

    /// Counts them if there may be too many, and drops those that were updated longest ago if there are.
    pub(crate) fn bound(&mut self, options: &SqliteOptions, connection: &Connection) -> Result<(), Fault> {
        if self.events > 0 && self.bytes > 0 {
            return Ok(());
        }
        let bound = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
        let (most, most_bytes) = (bound(options.snapshots), bound(options.snapshot_bytes));
        let count = || -> Result<(i64, i64), Fault> {
            let mut statement = connection.prepare_cached(
                "SELECT count(*), ifnull(sum(octet_length(data) + octet_length(key)), 0) FROM snapshot",
            )?;
            Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
        };
        let (mut events, mut bytes) = count()?;
        if events > most || bytes > most_bytes {
            let mut statement = connection.prepare_cached(
                "DELETE FROM snapshot WHERE (channel, key) IN (
                    SELECT channel, key FROM (
                        SELECT channel, key, row_number() OVER newest AS number,
                            sum(octet_length(data) + octet_length(key)) OVER newest AS bytes
                        FROM snapshot WINDOW newest AS (ORDER BY id DESC)
                    ) WHERE number > ? OR bytes > ?
                )",
            )?;
            statement.execute([most / 10 * CUT, most_bytes / 10 * CUT])?;
            (events, bytes) = count()?;
        }
        (self.events, self.bytes) = (most - events, most_bytes - bytes);
        Ok(())
    }
}
