//! What the tests of the durable engine stand on: a directory of their own, engines in it, drafts, what was handed back.

use bytes::Bytes;
use headwater_engine::{Engine, Notice, Opened, SqliteEngine, SqliteOptions};
use headwater_event::{ChannelName, Draft, Event, Payload, Position};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A directory with a history in it.
pub(crate) struct World {
    directory: Directory,
    notices: Arc<Mutex<Vec<Notice>>>,
}

enum Directory {
    Own(TempDir),
    Given(PathBuf),
}

/// A started engine and what it handed back.
pub(crate) struct Running {
    pub(crate) engine: SqliteEngine,
    pub(crate) opened: Opened,
    pub(crate) seen: Arc<Mutex<Vec<Arc<Event>>>>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { directory: Directory::Own(tempfile::tempdir().unwrap()), notices: Arc::default() }
    }

    /// In a directory that somebody else made.
    pub(crate) fn at(directory: &Path) -> Self {
        Self { directory: Directory::Given(directory.into()), notices: Arc::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.beside("history.db")
    }

    /// A file in the same directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        match &self.directory {
            Directory::Own(directory) => directory.path().join(name),
            Directory::Given(directory) => directory.join(name),
        }
    }

    /// Removes the file; nobody has it open.
    pub(crate) fn remove(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }

    pub(crate) fn options(&self) -> SqliteOptions {
        let notices = self.notices.clone();
        SqliteOptions {
            notices: Box::new(move |notice| notices.lock().unwrap().push(notice)),
            ..SqliteOptions::new(self.path())
        }
    }

    /// Takes away that the last life ended in order.
    pub(crate) fn as_if_killed(&self) {
        let file = rusqlite::Connection::open(self.path()).unwrap();
        file.execute("UPDATE meta SET value = NULL WHERE key = 'closed'", []).unwrap();
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(|_| {})
    }

    pub(crate) fn start_with(&self, change: impl FnOnce(&mut SqliteOptions)) -> Running {
        let mut options = self.options();
        change(&mut options);
        let (engine, opened) = SqliteEngine::open(options).unwrap();
        let seen: Arc<Mutex<Vec<Arc<Event>>>> = Arc::default();
        let record = seen.clone();
        engine.start(Box::new(move |events| record.lock().unwrap().extend(events)));
        Running { engine, opened, seen, notices: self.notices.clone() }
    }
}

impl Running {
    /// What it has said so far.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap().clone()
    }

    /// Publishes a batch and waits for the ack.
    pub(crate) fn publish(&self, drafts: Vec<Draft>) -> Vec<Position> {
        self.engine.publish(drafts).unwrap().wait().unwrap()
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

/// A draft that is known again by its number.
pub(crate) fn draft(channel: &str, number: u64) -> Draft {
    Draft::new(name(channel), "tested", "test", Payload::new(Bytes::from(number.to_string())).unwrap())
}

/// Waits for something that another thread brings about.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "it did not come about");
        // Sleeps because it is the pause of a poll with a deadline.
        std::thread::sleep(Duration::from_millis(2));
    }
}
