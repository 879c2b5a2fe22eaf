//! Asks the kernel for notices of the directories that matter now, and of no others.

use super::directories::Directories;
use headwater_plugin::prelude::*;
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
};

/// The notices that are asked for.
#[derive(Debug)]
pub(super) struct Notices {
    /// `None` where the kernel gives none: then looking is all.
    watcher: Option<RecommendedWatcher>,
    /// The kernel's callback reads it too.
    asked: Arc<Mutex<Directories>>,
    /// Some directory is not watched.
    blind: bool,
}

impl Notices {
    /// Notices that wake by `wake`.
    pub(super) fn new(wake: SyncSender<()>) -> Self {
        let asked = Arc::<Mutex<Directories>>::default();
        let theirs = Arc::clone(&asked);
        let handler = move |event: notify::Result<Event>| {
            let matters = match &event {
                Ok(event) if is_reading(event.kind) => false,
                Ok(event) if event.need_rescan() || event.paths.is_empty() => true,
                Ok(event) => {
                    let directories = lock(&theirs);
                    event.paths.iter().any(|path| directories.matter(path))
                }
                Err(_) => true,
            };
            if matters {
                // Full means that the thread is to be woken anyway.
                let _ = wake.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(handler);
        if let Err(error) = &watcher {
            warn!(%error, "no notices of changed files from the system; config files are looked at once a second");
        }
        Self { watcher: watcher.ok(), asked, blind: false }
    }

    /// Whether some change may give no notice.
    pub(super) fn are_blind(&self) -> bool {
        self.blind || self.watcher.is_none()
    }

    /// Asks for notices where these files are now.
    pub(super) fn ask<'a>(&mut self, files: &(impl Iterator<Item = &'a Path> + Clone)) {
        loop {
            let wanted = Directories::of(files.clone());
            let asked = lock(&self.asked).clone();
            if wanted == asked {
                return;
            }
            // Before asking: the callback must know what matters when the first notice comes.
            *lock(&self.asked) = wanted.clone();
            self.blind = wanted.too_many;
            let Some(watcher) = &mut self.watcher else { return };
            for (path, identity) in &asked.watched {
                if wanted.watched.get(path) != Some(identity) {
                    // Gone, or another directory now. The kernel may have dropped the watch already.
                    let _ = watcher.unwatch(path);
                }
            }
            for (path, identity) in &wanted.watched {
                if asked.watched.get(path) != Some(identity)
                    && watcher.watch(path, RecursiveMode::NonRecursive).is_err()
                {
                    self.blind = true;
                }
            }
            // Look again: what appeared in a directory before it was watched gave no notice.
        }
    }
}

/// Opening and reading are no changes. We do both: taking notice would wake us for ever.
fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// The state behind a lock is whole at any time, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
