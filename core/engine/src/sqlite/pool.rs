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
}

impl Pool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Runs `read` with a connection of its own.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut state = self.lock();
        let (connection, file) = loop {
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

    /// Forgets all connections: the file is another one now.
    pub(crate) fn renew(&self) {
        let idle = {
            let mut state = self.lock();
            state.file += 1;
            state.open -= state.idle.len();
            std::mem::take(&mut state.idle)
        };
        drop(idle);
        self.returned.notify_all();
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
