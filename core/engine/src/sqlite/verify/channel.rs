//! Verifying one channel: that its offsets follow each other, that each event can be read, that the spans tell its times and
//! the snapshots its last events. Called for each channel by the check beside it.

use super::{
    super::{
        fault::Fault,
        lineage::Lineage,
        row::{self, Reader},
        schema::{self, SPAN},
    },
    Check, Report,
};
use headwater_event::{ChannelName, Retention};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// How many offsets are looked at in one transaction, all of a span in the same. A longer one would keep the `-wal` of a
/// busy daemon growing.
const CHUNK: u64 = 40 * SPAN;

/// A channel that is checked.
pub(super) struct Checked {
    pub(super) id: i64,
    pub(super) name: ChannelName,
    pub(super) lineage: Lineage,
}

/// What has been seen of a channel's events.
#[derive(Default)]
struct Seen {
    /// By number of the span: the earliest and the latest time. Of one chunk.
    spans: BTreeMap<u64, (i64, i64)>,
    /// By key: the last event with it, and whether it is a snapshot.
    keys: HashMap<Box<str>, (u64, bool)>,
}

impl Checked {
    /// The first and the last event.
    pub(super) fn ends(&self, connection: &Connection) -> Result<Option<(u64, u64)>, Fault> {
        self.first_and_last(connection, 0, u64::MAX)
    }

    fn first_and_last(&self, connection: &Connection, from: u64, to: u64) -> Result<Option<(u64, u64)>, Fault> {
        let end = |which: &str| -> Result<Option<i64>, Fault> {
            let query = format!("SELECT {which}(at) FROM event WHERE at BETWEEN ? AND ?");
            let range = [schema::at(self.id, from), schema::at(self.id, to)];
            Ok(connection.prepare_cached(&query)?.query_row(range, |row| row.get(0))?)
        };
        Ok(end("min")?.zip(end("max")?).map(|(first, last)| (schema::offset(first), schema::offset(last))))
    }

    /// The ids of all events.
    pub(super) fn ids(&self, connection: &Connection) -> Result<Vec<(u64, Uuid)>, Fault> {
        let mut statement = connection.prepare("SELECT at, id FROM event WHERE at BETWEEN ? AND ?")?;
        let mut rows = statement.query([schema::at(self.id, 0), schema::at(self.id, u64::MAX)])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get_ref(1)?.as_blob().ok().and_then(|id| Uuid::from_slice(id).ok());
            ids.extend(id.map(|id| (row.get(0).map_or(0, schema::offset), id)));
        }
        Ok(ids)
    }

    /// Everything, up to the event that is the last one at the beginning: a daemon may go on writing.
    pub(super) fn check(&self, check: &mut Check, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Fault> {
        let mut seen = Seen::default();
        let last = match self.ends(&check.connection)? {
            None => 0,
            Some((first, last)) => {
                let mut expected = first;
                let mut next = Some(first);
                while let Some(from) = next {
                    let until = last.min((from + 1).next_multiple_of(CHUNK) - 1);
                    check.done += self.chunk(check, &mut seen, (from, until), &mut expected)?;
                    progress(check.done.min(check.total), check.total);
                    next = self.first_and_last(&check.connection, until + 1, last)?.map(|(next, _)| next);
                }
                last
            }
        };
        self.holes(check)?;
        self.snapshots(check, &seen, last)
    }

    /// A part of the events, as it is at one time.
    fn chunk(
        &self,
        check: &mut Check,
        seen: &mut Seen,
        (from, to): (u64, u64),
        expected: &mut u64,
    ) -> Result<u64, Fault> {
        let Check { connection, report, ids, .. } = check;
        let _at_one_time = connection.unchecked_transaction()?;
        let query = format!("SELECT {} FROM event WHERE at BETWEEN ? AND ? ORDER BY at", row::COLUMNS);
        let mut statement = connection.prepare_cached(&query)?;
        let mut rows = statement.query([schema::at(self.id, from), schema::at(self.id, to)])?;
        let (mut reader, mut count) = (Reader::new(), 0);
        seen.spans.clear();
        while let Some(row) = rows.next()? {
            let offset = schema::offset(row.get(0)?);
            if offset != *expected {
                self.gap(connection, report, *expected, offset - 1)?;
            }
            *expected = offset + 1;
            count += 1;
            let event = match reader.read(row, &self.name, &self.lineage) {
                Ok(event) => event,
                Err(fault) => {
                    report.problem(Some(&self.name), fault.reason());
                    continue;
                }
            };
            if event.id.get_version_num() != 7 {
                report.problem(Some(&self.name), format!("the id of offset {offset} is no UUIDv7"));
            }
            ids.push(event.id.as_u64_pair().1);
            let (earliest, latest) = seen.spans.entry(offset / SPAN).or_insert((i64::MAX, i64::MIN));
            (*earliest, *latest) = ((*earliest).min(event.time.0), (*latest).max(event.time.0));
            match event.retention {
                Retention::None => {}
                Retention::Keep(key) => drop(seen.keys.insert(key, (offset, true))),
                Retention::Forget(key) => drop(seen.keys.insert(key, (offset, false))),
            }
        }
        report.events += count;
        self.spans(connection, report, seen)?;
        Ok(count)
    }

    /// Offsets that are not there: noted as a hole, or gone since by retention, or missing.
    fn gap(&self, connection: &Connection, report: &mut Report, first: u64, last: u64) -> Result<(), Fault> {
        let mut hole = connection.prepare_cached(
            "SELECT last FROM hole WHERE channel = ?1 AND first <= ?2 AND last >= ?2 ORDER BY first DESC LIMIT 1",
        )?;
        let mut missing = first;
        while missing <= last {
            match hole.query_row([self.id, missing as i64], |row| row.get::<_, i64>(0)).optional()? {
                Some(end) => missing = end as u64 + 1,
                None => break,
            }
        }
        if missing > last || self.first_and_last(connection, 0, first - 1)?.is_none() {
            return Ok(());
        }
        report.problem(Some(&self.name), format!("offsets {missing} to {last} are missing, and not noted as a hole"));
        Ok(())
    }

    /// That the spans of a chunk tell its times: otherwise questions by time pass events over.
    fn spans(&self, connection: &Connection, report: &mut Report, seen: &Seen) -> Result<(), Fault> {
        let last = self.ends(connection)?.map_or(0, |(_, last)| last);
        let mut statement = connection.prepare_cached("SELECT earliest, latest FROM span WHERE at = ?")?;
        for (number, (earliest, latest)) in &seen.spans {
            let at = schema::at(self.id, number * SPAN);
            let span =
                statement.query_row([at], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
            let wrong = match span {
                // The last one has none yet.
                None => *number < last / SPAN,
                Some((from, to)) => from > *earliest || to < *latest,
            };
            if wrong {
                let what = format!("the times of the span from offset {} are wrong", number * SPAN);
                report.problem(Some(&self.name), what);
            }
        }
        Ok(())
    }

    /// That holes do not overlap, and hold no events.
    fn holes(&self, check: &mut Check) -> Result<(), Fault> {
        let Check { connection, report, .. } = check;
        let _at_one_time = connection.unchecked_transaction()?;
        let mut statement =
            connection.prepare_cached("SELECT first, last FROM hole WHERE channel = ? ORDER BY first")?;
        let mut rows = statement.query([self.id])?;
        let mut before = 0;
        while let Some(row) = rows.next()? {
            let (first, last) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
            report.holes += 1;
            report.missing += (last + 1).saturating_sub(first);
            if first <= before || last < first {
                report.problem(Some(&self.name), format!("the hole from {first} to {last} overlaps another one"));
            }
            before = last;
            if let Some((there, _)) = self.first_and_last(connection, first, last)? {
                report.problem(Some(&self.name), format!("offset {there} is there, and noted as a hole"));
            }
        }
        Ok(())
    }

    /// That each snapshot is the last event of its key. One that is missing made room for others.
    fn snapshots(&self, check: &mut Check, seen: &Seen, last: u64) -> Result<(), Fault> {
        let Check { connection, report, .. } = check;
        let query = format!("SELECT {} FROM snapshot WHERE channel = ?", row::SNAPSHOT_COLUMNS);
        let mut statement = connection.prepare_cached(&query)?;
        let mut rows = statement.query([self.id])?;
        let mut reader = Reader::new();
        while let Some(row) = rows.next()? {
            report.snapshots += 1;
            let event = match reader.read_snapshot(row, &self.name) {
                Ok(event) => event,
                Err(fault) => {
                    report.problem(Some(&self.name), fault.reason());
                    continue;
                }
            };
            let offset = event.position.offset;
            let Retention::Keep(key) = &event.retention else { continue };
            // A later one came while the events were read.
            if offset > last {
                continue;
            }
            if seen.keys.get(key).is_some_and(|known| *known != (offset, true)) {
                let what = format!("the snapshot of `{key}`, offset {offset}, is not its last event");
                report.problem(Some(&self.name), what);
            }
        }
        Ok(())
    }
}
