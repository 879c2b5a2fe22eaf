//! The thread that waits for the disk so that the writer need not: it syncs the `-wal`, and copies most of it into the
//! file. Acks at `flush` would otherwise wait as long as a sync takes. Asked by the writer's upkeep, which also ends it.

use super::{
    Shared,
    fault::Fault,
    recovery::{connect, with_suffix},
};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

/// The thread, and what it is asked. Dropping it waits for what it is doing, and closes what it has open.
pub(crate) struct Keeper {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    asked: Condvar,
}

/// What is asked and what came of it. There is never more than one job of a kind, so that nothing can pile up.
#[derive(Default)]
struct State {
    sync: bool,
    copy: bool,
    ending: bool,
    fault: Option<Fault>,
}

/// What the thread has open; both on first use.
struct Open {
    path: PathBuf,
    /// SQLite holds no locks on it, so that closing this does not drop any; the database itself must never be opened
    /// beside SQLite.
    wal: Option<File>,
    connection: Option<Connection>,
}

impl Keeper {
    /// Starts the thread; `None` where the system gives none.
    pub(crate) fn start(shared: &Arc<Shared>) -> Option<Self> {
        let desk = Arc::new(Desk::default());
        let (theirs, shared) = (desk.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("history-disk".into());
        let thread = thread.spawn(move || theirs.work(&shared)).ok()?;
        Some(Self { desk, thread: Some(thread) })
    }

    /// Asks for a sync of all that is written by now.
    pub(crate) fn sync(&self) {
        self.desk.lock().sync = true;
        self.desk.asked.notify_one();
    }

    /// Asks to copy the `-wal` into the file, as far as nobody reads from it.
    pub(crate) fn copy(&self) {
        self.desk.lock().copy = true;
        self.desk.asked.notify_one();
    }

    /// Whether a sync, and whether a copy, is asked for and not done.
    pub(crate) fn busy(&self) -> (bool, bool) {
        let state = self.desk.lock();
        (state.sync, state.copy)
    }

    /// What went wrong since this was asked last.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.desk.lock().fault.take()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.desk.lock().ending = true;
        self.desk.asked.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say but faults, of which nobody wants to know any more.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, shared: &Shared) {
        let mut open = Open { path: shared.options.path.clone(), wal: None, connection: None };
        let mut state = self.lock();
        loop {
            if state.ending {
                return;
            }
            if !state.sync && !state.copy {
                state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let sync = state.sync;
            drop(state);
            let began = Instant::now();
            let done = if sync { open.sync() } else { open.copy() };
            if done.is_ok() {
                shared.synced(began);
            }
            state = self.lock();
            if sync {
                state.sync = false;
            } else {
                state.copy = false;
            }
            if let Err(fault) = done {
                state.fault = Some(fault);
            }
            // The writer may be waiting for this to ask again.
            shared.wake.notify_one();
        }
    }
}

impl Open {
    fn sync(&mut self) -> Result<(), Fault> {
        let wal = match &self.wal {
            Some(wal) => wal,
            None => self.wal.insert(open_wal(&self.path)?),
        };
        sync(wal)
    }

    fn copy(&mut self) -> Result<(), Fault> {
        if self.connection.is_none() {
            let new = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            // Copying goes past the cache.
            new.execute_batch("PRAGMA cache_size = 10;")?;
            self.connection = Some(new);
        }
        let connection = self.connection.as_ref().expect("invariant: it has just been opened");
        connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))?;
        Ok(())
    }
}

/// The `-wal`, to be synced.
pub(crate) fn open_wal(path: &Path) -> Result<File, Fault> {
    File::open(with_suffix(path, "-wal")).map_err(|error| Fault::Disk(format!("it cannot be synced: {error}")))
}

/// Syncs the `-wal`.
pub(crate) fn sync(wal: &File) -> Result<(), Fault> {
    wal.sync_data().map_err(|error| Fault::Disk(format!("it cannot be synced: {error}")))
}
