//! Writing events as rows of `event`, many with one statement: SQLite then opens the table, finds its place in it and ends
//! a statement once for all of them. Used by the batch.

use super::{fault::Fault, row, schema};
use headwater_event::{Event, Retention};
use rusqlite::{CachedStatement, Connection};
use std::sync::Arc;

/// How many rows one statement writes where there are so many. With twice as many a row costs hardly less.
const TOGETHER: usize = 16;

/// The columns of `event`.
const COLUMNS: usize = 11;

/// The statements, for one transaction.
pub(crate) struct Insert<'c> {
    one: CachedStatement<'c>,
    many: CachedStatement<'c>,
}

impl<'c> Insert<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> Result<Self, Fault> {
        Ok(Self { one: connection.prepare_cached(&sql(1))?, many: connection.prepare_cached(&sql(TOGETHER))? })
    }

    /// Writes these events of a channel.
    pub(crate) fn write(&mut self, channel: i64, events: &[Arc<Event>]) -> Result<(), Fault> {
        let mut chunks = events.chunks_exact(TOGETHER);
        for chunk in &mut chunks {
            execute(&mut self.many, channel, chunk)?;
        }
        chunks.remainder().chunks(1).try_for_each(|one| execute(&mut self.one, channel, one))
    }
}

fn sql(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    format!("INSERT INTO event VALUES{}", vec![row; rows].join(", "))
}

/// Writes as many events as the statement has rows.
fn execute(statement: &mut CachedStatement<'_>, channel: i64, events: &[Arc<Event>]) -> Result<(), Fault> {
    let mut sparse = true;
    for (event, first) in events.iter().zip((1..).step_by(COLUMNS)) {
        sparse &= bind(statement, first, channel, event)?;
    }
    statement.raw_execute()?;
    if !sparse {
        statement.clear_bindings();
    }
    Ok(())
}

/// Binds a row to the parameters from `first` on. Those that most events leave empty are empty already. `false`: now they
/// are not, and have to be cleared.
fn bind(statement: &mut CachedStatement<'_>, first: usize, channel: i64, event: &Event) -> Result<bool, Fault> {
    statement.raw_bind_parameter(first, schema::at(channel, event.position.offset))?;
    statement.raw_bind_parameter(first + 1, &event.id.as_bytes()[..])?;
    statement.raw_bind_parameter(first + 2, event.time.0)?;
    statement.raw_bind_parameter(first + 3, &*event.kind)?;
    statement.raw_bind_parameter(first + 4, &*event.source)?;
    statement.raw_bind_parameter(first + 10, row::data_text(event))?;
    let mut sparse = true;
    if let Some(severity) = event.severity {
        statement.raw_bind_parameter(first + 5, severity as u8)?;
        sparse = false;
    }
    if let Some(evidence) = event.evidence {
        statement.raw_bind_parameter(first + 6, evidence as u8)?;
        sparse = false;
    }
    if let Retention::Keep(key) | Retention::Forget(key) = &event.retention {
        statement.raw_bind_parameter(first + 7, &**key)?;
        sparse = false;
    }
    if let Retention::Forget(_) = &event.retention {
        statement.raw_bind_parameter(first + 8, 1)?;
    }
    if let Some(attributes) = row::attributes_text(event) {
        statement.raw_bind_parameter(first + 9, attributes)?;
        sparse = false;
    }
    Ok(sparse)
}
