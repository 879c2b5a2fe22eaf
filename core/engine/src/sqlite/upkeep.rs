//! What the file needs besides events: syncs in time, checkpoints before the `-wal` is large, and a look whether it is
//! still there. Done by the writer between batches.

use super::{
    Shared,
    fault::Fault,
    keeper::{self, Keeper},
    options::Durability,
    recovery::{BUSY, with_suffix},
};
use rusqlite::Connection;
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The `-wal` is copied into the file when it has so many pages: 8 MiB.
const CHECKPOINT: i64 = 2_048;

/// How long the writer waits for readers to leave the `-wal`, so that it can begin anew.
const INSIST: Duration = Duration::from_millis(50);

/// How often it is looked whether the file is there, and how large it is.
const LOOK: Duration = Duration::from_secs(1);

/// When so little is left to copy, the writer does it itself: only when nothing is written meanwhile can the `-wal` begin
/// anew.
const REST: i64 = 512;

/// So often the keeper copies what came while it copied, before the writer does it.
const ROUNDS: u32 = 3;

/// What is known of the file.
pub(crate) struct Upkeep {
    path: PathBuf,
    durability: Durability,
    /// Which files they are: the database and what belongs to it. Readers that open another `-wal` or `-shm` than the
    /// writer's would not see what it writes, nor its locks.
    identities: [Identity; 3],
    looked: Option<Instant>,
    keeper: Option<Keeper>,
    /// Since when something is written for which no sync has been asked.
    unsynced: Option<Instant>,
    /// How often the keeper has copied since the `-wal` began anew.
    rounds: u32,
    /// At how many pages of the `-wal` readers are waited for.
    insist: i64,
}

impl Upkeep {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let options = &shared.options;
        Self {
            path: options.path.clone(),
            durability: options.durability,
            identities: identities(&options.path),
            looked: None,
            keeper: Keeper::start(shared),
            unsynced: None,
            rounds: 0,
            insist: CHECKPOINT * 4,
        }
    }

    /// When the next sync is to be asked for.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        match self.durability {
            Durability::Flush(every) if !self.busy().0 => self.unsynced.map(|since| since + every),
            // At `memory` the checkpoints sync; at `durable` each commit does.
            _ => None,
        }
    }

    fn busy(&self) -> (bool, bool) {
        self.keeper.as_ref().map_or((false, false), Keeper::busy)
    }

    /// What went wrong on the keeper's thread.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.keeper.as_ref().and_then(Keeper::fault)
    }

    /// Ends the keeper, and closes what it has open.
    pub(crate) fn stop(&mut self) {
        self.keeper = None;
    }

    /// Learns that something was written.
    pub(crate) fn wrote(&mut self, shared: &Shared) {
        if self.durability == Durability::Durable {
            shared.synced(Instant::now());
        } else {
            self.unsynced.get_or_insert_with(Instant::now);
        }
    }

    /// Has what was written synced, soon.
    pub(crate) fn sync(&mut self, shared: &Shared) -> Result<(), Fault> {
        match &self.keeper {
            Some(keeper) => {
                self.unsynced = None;
                keeper.sync();
                Ok(())
            }
            None => self.sync_now(shared),
        }
    }

    /// Syncs what was written.
    pub(crate) fn sync_now(&mut self, shared: &Shared) -> Result<(), Fault> {
        let began = Instant::now();
        keeper::sync(&keeper::open_wal(&self.path)?)?;
        self.unsynced = None;
        shared.synced(began);
        Ok(())
    }

    /// Has the `-wal` copied into the file when there is enough of it: mostly by the keeper, the rest here. It begins anew
    /// when all is copied and nobody reads from it. Readers of this process are quick, so that it is worth waiting a
    /// moment for them; one from outside that stays lets it grow, and is waited for ever more seldom.
    pub(crate) fn checkpoint(&mut self, connection: &Connection) -> Result<(), Fault> {
        let run = |mode: &str| -> Result<(bool, i64, i64), Fault> {
            let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
            Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
        };
        let (_, pages, copied) = run("NOOP")?;
        let rest = pages - copied;
        if pages >= self.insist {
            connection.busy_timeout(INSIST)?;
            let waited = run("RESTART");
            connection.busy_timeout(BUSY)?;
            let (busy, ..) = waited?;
            self.insist = if busy { pages * 2 } else { CHECKPOINT * 4 };
            self.rounds = 0;
        } else if self.busy().1 || self.rounds == 0 && rest < CHECKPOINT {
            // Being done, or not worth it yet.
        } else if let Some(keeper) = &self.keeper
            && (self.rounds == 0 || rest >= REST && self.rounds < ROUNDS)
        {
            self.rounds += 1;
            keeper.copy();
        } else {
            self.rounds = 0;
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
