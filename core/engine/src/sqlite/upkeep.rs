//! What the file needs besides events: syncs in time, checkpoints before the `-wal` is large, and a look whether it is
//! still there. Done by the writer between batches.

use super::{
    Shared,
    fault::Fault,
    options::{Durability, SqliteOptions},
    recovery::{BUSY, with_suffix},
};
use rusqlite::Connection;
use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The `-wal` is copied into the file when it has so many pages: 8 MiB.
const CHECKPOINT: i64 = 2_048;

/// How long the writer waits for readers to leave the `-wal`, so that it can begin anew.
const INSIST: Duration = Duration::from_millis(50);

/// How often it is looked whether the file is there, and how large it is.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of the file.
pub(crate) struct Upkeep {
    path: PathBuf,
    durability: Durability,
    /// Which files they are: the database and what belongs to it. Readers that open another `-wal` or `-shm` than the
    /// writer's would not see what it writes, nor its locks.
    identities: [Identity; 3],
    looked: Option<Instant>,
    /// The `-wal`, for syncing it. SQLite holds no locks on it, so that closing this does not drop any; the database
    /// itself must never be opened beside SQLite.
    wal: Option<File>,
    /// Since when something is written and not synced.
    unsynced: Option<Instant>,
    /// At how many pages of the `-wal` readers are waited for.
    insist: i64,
}

impl Upkeep {
    pub(crate) fn new(options: &SqliteOptions) -> Self {
        Self {
            path: options.path.clone(),
            durability: options.durability,
            identities: identities(&options.path),
            looked: None,
            wal: None,
            unsynced: None,
            insist: CHECKPOINT * 4,
        }
    }

    /// When the next sync is due.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        match self.durability {
            Durability::Flush(every) => self.unsynced.map(|since| since + every),
            // At `memory` the checkpoints sync; at `durable` each commit does.
            Durability::Memory | Durability::Durable => None,
        }
    }

    /// Learns that something was written.
    pub(crate) fn wrote(&mut self, shared: &Shared) {
        if self.durability == Durability::Durable {
            self.synced(shared);
        } else {
            self.unsynced.get_or_insert_with(Instant::now);
        }
    }

    /// Syncs what was written.
    pub(crate) fn sync(&mut self, shared: &Shared) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::Disk(format!("it cannot be synced: {error}"));
        let wal = match &self.wal {
            Some(wal) => wal,
            None => self.wal.insert(File::open(with_suffix(&self.path, "-wal")).map_err(failed)?),
        };
        wal.sync_data().map_err(failed)?;
        self.synced(shared);
        Ok(())
    }

    fn synced(&mut self, shared: &Shared) {
        self.unsynced = None;
        *shared.counts.synced.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Copies the `-wal` into the file when there is enough of it. It begins anew when all is copied and nobody reads from
    /// it. Readers of this process are quick, so that it is worth waiting a moment for them; one from outside that stays
    /// lets it grow, and is waited for ever more seldom.
    pub(crate) fn checkpoint(&mut self, connection: &Connection) -> Result<(), Fault> {
        let run = |mode: &str| -> Result<(bool, i64, i64), Fault> {
            let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
            Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
        };
        let (_, pages, copied) = run("NOOP")?;
        if pages >= self.insist {
            connection.busy_timeout(INSIST)?;
            let waited = run("RESTART");
            connection.busy_timeout(BUSY)?;
            let (busy, ..) = waited?;
            self.insist = if busy { pages * 2 } else { CHECKPOINT * 4 };
        } else if pages - copied >= CHECKPOINT {
            run("PASSIVE")?;
        }
        Ok(())
    }

    /// Whether it is time to look at the file.
    pub(crate) fn is_time(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= LOOK)
    }

    /// Looks whether the file that is being written is no longer the one at its path.
    pub(crate) fn is_gone(&mut self, shared: &Shared) -> bool {
        self.looked = Some(Instant::now());
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        shared.counts.file_bytes.store(size(&self.path), Relaxed);
        shared.counts.wal_bytes.store(size(&with_suffix(&self.path, "-wal")), Relaxed);
        identities(&self.path) != self.identities
    }
}

/// Device and number; `None` where there is no file.
type Identity = Option<(u64, u64)>;

fn identities(path: &Path) -> [Identity; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let metadata = std::fs::metadata(with_suffix(path, suffix)).ok()?;
        Some((metadata.dev(), metadata.ino()))
    })
}
