//! A store that tests can break.

use headwater_engine::{
    Ack, Committed, Durability, Engine, EngineError, Head, Page, PageLimit, SqliteEngine, SqliteOptions,
};
use headwater_event::{ChannelName, Draft, Epoch, Event, Timestamp};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// The durable engine on a file of its own.
pub(crate) struct Store {
    inner: SqliteEngine,
    /// Whether reading fails.
    pub(crate) broken: AtomicBool,
    /// Held by a test: reading waits for it.
    pub(crate) gate: Mutex<()>,
    _directory: TempDir,
}

impl Store {
    pub(crate) fn new() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.db");
        let options = SqliteOptions { durability: Durability::Memory, ..SqliteOptions::new(path) };
        let (inner, _) = SqliteEngine::open(options).unwrap();
        Arc::new(Self { inner, broken: AtomicBool::new(false), gate: Mutex::new(()), _directory: directory })
    }

    fn whole(&self) -> Result<&SqliteEngine, EngineError> {
        drop(self.gate.blocking_lock());
        if self.broken.load(Ordering::Relaxed) {
            return Err(EngineError::Down("a test broke it".into()));
        }
        Ok(&self.inner)
    }
}

impl Engine for Store {
    fn start(&self, committed: Committed) {
        self.inner.start(committed);
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        self.inner.publish(batch)
    }

    fn has_history(&self) -> bool {
        true
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        self.whole()?.read(channel, next, limit)
    }

    fn read_back(&self, channel: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
        self.whole()?.read_back(channel, before, limit)
    }

    fn within(
        &self,
        channel: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        self.whole()?.within(channel, since, until)
    }

    fn kept(&self, channel: &ChannelName, epoch: Epoch) -> Option<u64> {
        self.inner.kept(channel, epoch)
    }

    fn retained(&self) -> Result<Vec<Arc<Event>>, EngineError> {
        self.inner.retained()
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        self.inner.open(channel)
    }

    fn heads(&self) -> Vec<Head> {
        self.inner.heads()
    }
}
