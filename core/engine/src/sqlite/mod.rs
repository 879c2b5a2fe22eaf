//! The durable engine: positions under one lock, as the engine without a store gives them, and behind it one thread that
//! writes what was handed back into a SQLite file. `docs/history.md` describes the file; `options` how it is set up.
//!
//! A publisher never waits for the disk: its events are numbered, handed back and queued, and its ack comes when they
//! are as safe as the options say. Readers look into the live state first and then into the file.

mod batch;
mod channel;
mod fault;
mod insert;
mod keeper;
mod lineage;
mod live;
mod lives;
mod lock;
mod options;
mod outage;
mod pace;
mod pool;
mod read;
mod recovery;
mod retention;
mod row;
mod schema;
mod snapshots;
mod upkeep;
mod verify;
mod views;
mod writer;

pub use options::{
    ChannelRule, Durability, Keep, MovedAside, Notice, Notices, OpenError, Opened, SqliteOptions, Stats,
};
pub use verify::{Problem, Report, VerifyError, verify};

use crate::{Ack, Committed, Engine, EngineError, Head, Page, PageLimit};
use fault::Fault;
use headwater_event::{ChannelName, Draft, Epoch, Event, Position, Timestamp};
use live::{Live, Numbered, Waiting};
use lock::Lock;
use pool::Pool;
use rusqlite::Connection;
use std::{
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Instant,
};
use writer::Writer;

/// History in a file. Ends in order when it is closed or dropped; both wait until all that was handed back is written.
pub struct SqliteEngine {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What publishers, readers and the writer share.
pub(crate) struct Shared {
    options: SqliteOptions,
    /// Held while events are handed back: two publishers to one channel must not hand back in the other order.
    live: Mutex<Live>,
    /// Tells the writer that there is something to do.
    wake: Condvar,
    committed: OnceLock<Committed>,
    pool: Pool,
    counts: Counts,
    /// Whether a damage that a reader met has been told.
    corrupt: AtomicBool,
}

/// What is counted without the lock.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    stored: AtomicU64,
    batches: AtomicU64,
    lost: AtomicU64,
    expired: AtomicU64,
    file_bytes: AtomicU64,
    wal_bytes: AtomicU64,
    synced: Mutex<Option<Instant>>,
}

impl SqliteEngine {
    /// Opens the file, or makes it. What cannot be used is moved aside and a new file begun; `Opened` says so.
    pub fn open(options: SqliteOptions) -> Result<(Self, Opened), OpenError> {
        let lock = Lock::take(&options.path)?;
        let found = recovery::open(&options)?;
        let mut live = Live::new(&options, found.seed, found.channels);
        live.failing = found.opened.failing.as_deref().map(Arc::from);
        let shared = Arc::new(Shared {
            pool: Pool::new(options.path.clone()),
            options,
            live: Mutex::new(live),
            wake: Condvar::new(),
            committed: OnceLock::new(),
            counts: Counts::default(),
            corrupt: AtomicBool::new(false),
        });
        let writer = Writer::new(shared.clone(), lock, found.connection, found.birth);
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| OpenError::Unavailable {
            path: shared.options.path.clone(),
            reason: format!("no thread for the writer: {error}"),
        })?;
        Ok((Self { shared, writer: Mutex::new(Some(thread)) }, found.opened))
    }

    /// Takes no more publishes, writes what waits and closes the file, so that its epochs go on in the next life. Blocks
    /// until that is done; called again it does nothing.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_all();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // One that panicked has ended too; its publishers have been told by their receipts.
            let _ = writer.join();
        }
    }

    /// What has been counted.
    pub fn stats(&self) -> Stats {
        let counts = &self.shared.counts;
        let live = self.shared.lock();
        Stats {
            stored: counts.stored.load(Relaxed),
            batches: counts.batches.load(Relaxed),
            lost: counts.lost.load(Relaxed),
            expired: counts.expired.load(Relaxed),
            pending_events: live.events,
            pending_bytes: live.bytes as u64,
            since_sync: counts.synced.lock().unwrap_or_else(PoisonError::into_inner).map(|synced| synced.elapsed()),
            file_bytes: counts.file_bytes.load(Relaxed),
            wal_bytes: counts.wal_bytes.load(Relaxed),
            failing: live.failing.as_deref().map(Into::into),
        }
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Live> {
        // A panic in `committed` leaves counters that only rise and events that are queued: the state is whole.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from the file for a reader. Damage that is found again and again is told, and the writer gives the file up.
    fn in_file<T>(
        &self,
        channel: &ChannelName,
        read: impl Fn(&Connection) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        let file = self.pool.file();
        let mut found = self.pool.with(&read);
        for _ in 1..writer::DAMAGED {
            if !matches!(found, Err(Fault::Spoilt(_))) {
                break;
            }
            found = self.pool.with(&read);
        }
        if let Err(Fault::Spoilt(reason)) = &found {
            self.corrupt(channel, reason);
            self.lock().spoilt = Some((file, reason.clone()));
            self.wake.notify_one();
        }
        Ok(found?)
    }

    /// All that was written at this time is on the disk.
    fn synced(&self, at: Instant) {
        *self.counts.synced.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Tells once that the file is damaged.
    fn corrupt(&self, channel: &ChannelName, reason: &str) {
        if !self.corrupt.swap(true, Relaxed) {
            (self.options.notices)(Notice::Corrupt { channel: channel.clone(), reason: reason.into() });
        }
    }
}

impl Engine for SqliteEngine {
    fn start(&self, committed: Committed) {
        assert!(self.shared.committed.set(committed).is_ok(), "an engine is started once");
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        let shared = &*self.shared;
        let committed = shared.committed.get().ok_or_else(|| EngineError::Down("it has not been started".into()))?;
        if batch.is_empty() {
            return Ok(Ack::ready(Ok(Vec::new())));
        }
        let mut live = shared.lock();
        if live.closing {
            return Err(EngineError::Down("it has been closed".into()));
        }
        live.admit(&batch)?;
        let (idle, few) = (!live.has_work(), !pace::enough(&live));
        let Numbered { events, positions, queued, lost } = live.number(batch, &shared.options);
        committed(events);
        shared.counts.lost.fetch_add(lost, Relaxed);
        let ack = shared.ack(&mut live, positions, queued, lost);
        let wake = idle && live.has_work() || few && pace::enough(&live);
        drop(live);
        if wake {
            shared.wake.notify_one();
        }
        Ok(ack)
    }

    fn has_history(&self) -> bool {
        true
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        read::up(&self.shared, channel, next, limit)
    }

    fn read_back(&self, channel: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
        read::down(&self.shared, channel, before, limit)
    }

    fn within(
        &self,
        channel: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        read::within(&self.shared, channel, since, until)
    }

    fn kept(&self, channel: &ChannelName, epoch: Epoch) -> Option<u64> {
        self.shared.lock().kept(channel.as_str(), epoch)
    }

    fn retained(&self) -> Result<Vec<Arc<Event>>, EngineError> {
        read::retained(&self.shared)
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        Ok(self.shared.lock().head(channel))
    }

    fn heads(&self) -> Vec<Head> {
        self.shared.lock().channels.iter().map(channel::Channel::head).collect()
    }
}

impl Shared {
    /// The answer to a publish of which so many events are queued for the writer, and so many found no room.
    fn ack(&self, live: &mut Live, positions: Vec<Position>, queued: u64, lost: u64) -> Ack {
        let down =
            |reason: &str| Ack::ready(Err(EngineError::Down(format!("the history cannot be written: {reason}"))));
        let at_once = if self.options.durability == Durability::Memory {
            // Where the queue is half full an ack waits also at `memory`: a publisher that waits for its acks then goes
            // no faster than the disk, instead of losing history.
            live.failing.is_some() || queued == 0 || live.bytes <= self.options.queue / 2
        } else if lost > 0 || queued > 0 && live.failing.is_some() {
            return down(live.failing.as_deref().unwrap_or("it is slower than events come"));
        } else {
            queued == 0
        };
        if at_once {
            return Ack::ready(Ok(positions));
        }
        let (receipt, ack) = Ack::pending();
        live.receipts.push(Waiting { receipt, positions });
        ack
    }
}

impl std::fmt::Debug for SqliteEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteEngine").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
