//! Tells when the servers in the config files are others than before.
//!
//! A thread of its own reads the files. It wakes by the kernel's notice (of the directories: a watch on a file goes deaf
//! when another is renamed over it, and many of the files do not exist yet), lets a burst of changes settle, and compares
//! the servers: whatever else a client writes into its file causes nothing. Besides, it looks every few seconds.

mod content;
mod directories;
mod known;
mod notices;
#[cfg(test)]
mod tests;
mod worker;

use super::{Change, Place};
use headwater_plugin::tokio::sync::mpsc;
use std::{io, sync::mpsc as thread, time::Duration};

/// Looks whose differences nobody has taken yet. While it is full the thread waits, and tells of the rest in one.
const WAITING: usize = 4;

/// How patient the thread is.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// A burst of changes is over when nothing happened for this long.
    quiet: Duration,
    /// One that does not end is looked at after this long.
    longest_burst: Duration,
    /// Looks are at least so far apart, however often a file is written.
    apart: Duration,
    /// A file that is missing or broken may be in somebody's hands: it counts as such when it still is after this time.
    doubt: Duration,
    /// Time between looks without a notice: a link far up the path and a network file system give none.
    poll: Duration,
    /// The same while notices cannot be relied on.
    poll_blind: Duration,
    /// Another fault of the same file is not told before this time is over.
    faults: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(100),
            longest_burst: Duration::from_millis(500),
            apart: Duration::from_millis(500),
            doubt: Duration::from_millis(700),
            poll: Duration::from_secs(5),
            poll_blind: Duration::from_secs(1),
            faults: Duration::from_mins(1),
        }
    }
}

/// Watches config files. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    looks: mpsc::Receiver<Vec<Change>>,
    /// Wakes the thread, which then sees that nobody listens.
    wake: thread::SyncSender<()>,
}

impl Watch {
    /// Begins to watch these files, which need not exist ([`super::Settings::places`]).
    ///
    /// # Errors
    /// When the thread cannot be started. Without the kernel's notices it looks once a second.
    pub fn new(places: Vec<Place>) -> io::Result<Self> {
        Self::with_pace(places, Pace::default())
    }

    fn with_pace(places: Vec<Place>, pace: Pace) -> io::Result<Self> {
        let (told, looks) = mpsc::channel(WAITING);
        // It holds one wake-up: a second would only repeat the first.
        let (wake, woken) = thread::sync_channel(1);
        let waker = wake.clone();
        std::thread::Builder::new().name("mcp-discovery".to_owned()).spawn(move || {
            worker::Worker::new(places, pace, waker).run(&woken, &told);
        })?;
        Ok(Self { looks, wake })
    }

    /// What has changed. The first call gives all that is there, which may be nothing at all; each further one waits until
    /// something differs. A call that is dropped while it waits loses nothing.
    pub async fn next(&mut self) -> Vec<Change> {
        match self.looks.recv().await {
            Some(changes) => changes,
            // The thread only ends when it panicked. The source lives on with what it knows.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looks.close();
        let _ = self.wake.try_send(());
    }
}
