//! Connections for reading: a few, each used by one reader at a time. A reader that finds none free waits for one; pages
//! are short. Called by reading.

use super::{fault::Fault, recovery};
use rusqlite::{Connection, OpenFlags};
use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// How many may read at the same time. More would only wait for the same disk, and each holds memory.
const MOST: usize = 4;

/// What each may hold of the file, in KiB.
const CACHE: i64 = 1024;

/// What a reader is told while there is no file.
const CLOSED: &str = "its file was given up, and a new one could not be begun yet";

/// The connections.
pub(crate) struct Pool {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Idle ones included.
    open: usize,
    /// Counts the files: a connection to an earlier one is not used again.
    file: u64,
    /// The file is given up, and there is no other yet: what lies at the path may be half made.
    closed: bool,
}

impl Pool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Runs `read` with a connection of its own.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut state = self.lock();
        let (connection, file) = loop {
            if state.closed {
                return Err(Fault::Disk(CLOSED.into()));
            }
            if let Some(connection) = state.idle.pop() {
                break (Some(connection), state.file);
            }
            if state.open < MOST {
                state.open += 1;
                break (None, state.file);
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let lease = Lease { pool: self, connection, file };
        lease.run(read)
    }

    /// Which file it is, counted from 0.
    pub(crate) fn file(&self) -> u64 {
        self.lock().file
    }

    /// Forgets all connections, and gives none until there is another file.
    pub(crate) fn close(&self) {
        let idle = {
            let mut state = self.lock();
            state.file += 1;
            state.closed = true;
            state.open -= state.idle.len();
            std::mem::take(&mut state.idle)
        };
        drop(idle);
        self.returned.notify_all();
    }

    /// The new file is whole.
    pub(crate) fn open(&self) {
        self.lock().closed = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One use of a connection. Gives back the place also when the reader panics.
struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    file: u64,
}

impl Lease<'_> {
    fn run<T>(mut self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let connection = if let Some(idle) = self.connection.take() {
            idle
        } else {
            let new = recovery::connect(&self.pool.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            new.execute_batch(&format!("PRAGMA cache_size = -{CACHE}; PRAGMA query_only = ON;"))?;
            new
        };
        let found = read(&connection);
        // After a fault it may hold what was wrong: the next reader opens a new one.
        if found.is_ok() {
            self.connection = Some(connection);
        }
        found
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        match self.connection.take() {
            Some(connection) if state.file == self.file => state.idle.push(connection),
            _ => state.open -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::{CLOSED, Pool};
    use rusqlite::Connection;

    /// Harm prevented: what lies at the path while the file is made anew, an empty file say, is read, taken for damaged and
    /// given up in its turn.
    #[test]
    fn nothing_is_read_between_one_file_and_the_next() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("history.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE event(at)").unwrap();
        let pool = Pool::new(path);
        let count =
            || pool.with(|file| Ok(file.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(count().unwrap(), 0);
        pool.close();
        assert_eq!(count().unwrap_err().reason(), CLOSED);
        assert_eq!(pool.file(), 1);
        pool.open();
        assert_eq!(count().unwrap(), 0);
    }
}
