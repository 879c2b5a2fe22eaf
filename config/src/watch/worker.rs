//! The thread behind [`super::Watcher`]: asks for notices, waits, looks.

use super::{Changed, Pace, lock, places::Places, snapshot::Snapshot};
use crate::{
    Fingerprint,
    files::{Listing, Paths},
};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

/// Looks at the files and remembers what it told of last.
pub(super) struct Worker {
    paths: Paths,
    pace: Pace,
    /// `None` when the kernel gives no notices: then looking is all.
    notices: Option<RecommendedWatcher>,
    /// Where notices are asked for. The kernel's callback reads it too.
    places: Arc<Mutex<Places>>,
    /// Some directory could not be watched.
    blind: bool,
    snapshot: Snapshot,
    told: Fingerprint,
    extra: BTreeMap<PathBuf, [u8; 32]>,
}

impl Worker {
    pub(super) fn new(paths: &Paths, loaded: Option<Fingerprint>, pace: Pace, wake: SyncSender<()>) -> Self {
        let places = Arc::new(Mutex::new(Places::default()));
        let mut worker = Self {
            paths: paths.clone(),
            pace,
            notices: pace.notices.then(|| notices(Arc::clone(&places), wake)).flatten(),
            places,
            blind: false,
            snapshot: Snapshot::default(),
            told: loaded.unwrap_or_default(),
            extra: BTreeMap::new(),
        };
        // Ask first and look then: a change between the two is noticed.
        let listing = worker.ask();
        if loaded.is_none() {
            worker.told = worker.snapshot.config(&listing);
        }
        worker
    }

    /// Takes over the further files that are asked for.
    pub(super) fn set_extra(&mut self, files: &[PathBuf]) {
        self.extra.retain(|path, _| files.contains(path));
        let new: Vec<&PathBuf> = files.iter().filter(|path| !self.extra.contains_key(*path)).collect();
        if new.is_empty() {
            return;
        }
        for path in new {
            self.extra.insert(path.clone(), [0; 32]);
        }
        self.ask();
        for (path, digest) in &mut self.extra {
            if *digest == [0; 32] {
                *digest = self.snapshot.extra(path);
            }
        }
    }

    /// Looks at all files. What differs from what was told last is told, once.
    pub(super) fn look(&mut self) -> Option<Changed> {
        let listing = self.ask();
        let now = self.snapshot.config(&listing);
        let mut changed = Changed { config: now != self.told, extra: Vec::new() };
        self.told = now;
        for (path, told) in &mut self.extra {
            let now = self.snapshot.extra(path);
            if std::mem::replace(told, now) != now {
                changed.extra.push(path.clone());
            }
        }
        self.snapshot.keep(|path| self.extra.contains_key(path) || listing.files.iter().any(|file| file == path));
        (changed != Changed::default()).then_some(changed)
    }

    /// Waits for a notice and for the burst it belongs to, or until it is time to look anyway.
    pub(super) fn wait(&self, woken: &Receiver<()>, stop: &AtomicBool) {
        let poll = if self.blind || self.notices.is_none() { self.pace.poll_blind } else { self.pace.poll };
        if woken.recv_timeout(poll) == Err(RecvTimeoutError::Timeout) {
            return;
        }
        let begun = Instant::now();
        while !stop.load(Ordering::Acquire) {
            let longest = if self.paths.main.exists() { self.pace.longest_burst } else { self.pace.missing };
            let left = longest.saturating_sub(begun.elapsed());
            let quiet = if self.paths.main.exists() { self.pace.quiet } else { self.pace.missing };
            if left == Duration::ZERO || woken.recv_timeout(left.min(quiet)).is_err() {
                return;
            }
        }
    }

    /// Asks for notices where the files are now, and nowhere else.
    fn ask(&mut self) -> Listing {
        loop {
            let listing = Listing::new(&self.paths);
            let extra: Vec<PathBuf> = self.extra.keys().cloned().collect();
            let wanted = Places::new(&self.paths, &listing, &extra);
            let asked = lock(&self.places).clone();
            if wanted == asked {
                return listing;
            }
            // Before asking: the callback must know what matters when the first notice comes.
            *lock(&self.places) = wanted.clone();
            self.blind = false;
            let Some(notices) = &mut self.notices else { return listing };
            for (path, identity) in &asked.directories {
                if wanted.directories.get(path) != Some(identity) {
                    // Gone, or another directory now. The kernel may have dropped the watch already.
                    let _ = notices.unwatch(path);
                }
            }
            for (path, identity) in &wanted.directories {
                if asked.directories.get(path) != Some(identity)
                    && let Err(error) = notices.watch(path, RecursiveMode::NonRecursive)
                {
                    self.blind = true;
                    tracing::debug!(directory = %path.display(), %error, "cannot watch; looking often instead");
                }
            }
            // Look again: what appeared in a directory before it was watched gave no notice.
        }
    }
}

/// Asks the kernel for notices; each that matters wakes the thread.
fn notices(places: Arc<Mutex<Places>>, wake: SyncSender<()>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<Event>| {
        let matters = match &event {
            Ok(event) if is_reading(event.kind) => false,
            Ok(event) if event.need_rescan() || event.paths.is_empty() => true,
            Ok(event) => {
                let places = lock(&places);
                event.paths.iter().any(|path| places.matter(path))
            }
            Err(_) => true,
        };
        if matters {
            // Full means that the thread is to be woken anyway.
            let _ = wake.try_send(());
        }
    };
    match notify::recommended_watcher(handler) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "no notices of changed files from the system; looking at the config 4 times a second");
            None
        }
    }
}

/// Opening and reading are no changes. We do both: taking notice would wake us for ever.
fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
