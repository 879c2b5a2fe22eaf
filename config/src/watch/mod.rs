//! Tells when the config's files may have changed: after a save, a rename over them, a swapped link, a deletion, a new
//! file in `sources.d`. The daemon waits on [`Watcher::changed`] and then loads.
//!
//! A thread of its own does the looking, for it reads files. It wakes by the kernel's notice (of the directories: a watch
//! on a file goes deaf when another is renamed over it), lets a burst of changes settle, and tells of a change only when
//! the content differs from what it told of last. Besides, it looks every two seconds: a link far up the path, a network
//! file system, a full queue of the kernel give no notice.

mod places;
mod snapshot;
mod worker;

use crate::{Fingerprint, Paths};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::Notify;
use worker::Worker;

/// What may have changed since [`Watcher::changed`] returned last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// The config's own files.
    pub config: bool,
    /// Further files that were asked for with [`Watcher::watch_also`].
    pub extra: Vec<PathBuf>,
}

/// Watches the files of one config. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    /// Wakes the thread. It holds one wake-up: a second one would only repeat the first.
    wake: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    /// Not yet told of.
    pending: Mutex<Changed>,
    /// There is something in `pending`.
    told: Notify,
    /// Further files to watch.
    extra: Mutex<Vec<PathBuf>>,
    /// The owner is gone.
    stop: AtomicBool,
}

/// How patient the thread is.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// A burst of changes is over when nothing happened for this long.
    quiet: Duration,
    /// A burst that does not end is looked at after this long.
    longest_burst: Duration,
    /// A missing main file may be on its way back: editors move the old one away first.
    missing: Duration,
    /// Time between looks without a notice.
    poll: Duration,
    /// The same when notices cannot be relied on.
    poll_blind: Duration,
    /// Whether to ask the kernel for notices at all.
    notices: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(50),
            longest_burst: Duration::from_millis(100),
            missing: Duration::from_millis(250),
            poll: Duration::from_secs(2),
            poll_blind: Duration::from_millis(250),
            notices: true,
        }
    }
}

impl Watcher {
    /// Begins to watch. `loaded` is what the running config was read from ([`crate::Loaded::hash`]): if the files are
    /// different already, [`Watcher::changed`] returns at once, so nothing is missed between loading and watching. `None`
    /// takes the files as they are now.
    ///
    /// # Errors
    /// When the thread cannot be started. Without the kernel's notices it falls back to looking four times a second.
    pub fn new(paths: &Paths, loaded: impl Into<Option<Fingerprint>>) -> io::Result<Self> {
        Self::with_pace(paths, loaded.into(), Pace::default())
    }

    fn with_pace(paths: &Paths, loaded: Option<Fingerprint>, pace: Pace) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (wake, woken) = sync_channel(1);
        // Here and not in the thread: what happens after this function has returned is noticed.
        let mut worker = Worker::new(paths, loaded, pace, wake.clone());
        let theirs = Arc::clone(&shared);
        let run = move || {
            while !theirs.stop.load(Ordering::Acquire) {
                let extra = lock(&theirs.extra).clone();
                worker.set_extra(&extra);
                if let Some(changed) = worker.look() {
                    theirs.tell(changed);
                }
                worker.wait(&woken, &theirs.stop);
            }
        };
        let thread = std::thread::Builder::new().name("config-watch".to_owned()).spawn(run)?;
        Ok(Self { shared, wake, thread: Some(thread) })
    }

    /// Watches these files besides, in place of those asked for before. They may be missing. Their content now is what
    /// later content is compared with.
    pub fn watch_also(&self, files: &[PathBuf]) {
        files.clone_into(&mut lock(&self.shared.extra));
        let _ = self.wake.try_send(());
    }

    /// Waits until something has changed. Changes add up until they are told of; a call that is dropped while it waits
    /// loses none.
    pub async fn changed(&mut self) -> Changed {
        loop {
            let pending = std::mem::take(&mut *lock(&self.shared.pending));
            if pending != Changed::default() {
                return pending;
            }
            self.shared.told.notified().await;
        }
    }
}

impl Shared {
    fn tell(&self, changed: Changed) {
        let mut pending = lock(&self.pending);
        pending.config |= changed.config;
        for path in changed.extra {
            if !pending.extra.contains(&path) {
                pending.extra.push(path);
            }
        }
        drop(pending);
        // It stores one permit: a waiter that comes later, or was dropped, finds it.
        self.told.notify_one();
    }
}

/// The state behind a lock is whole at any time, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
