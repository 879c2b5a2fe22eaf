//! Tells when a plugin's file has become another one.
//!
//! The file's directory is watched, not the file: a build replaces the file, and a watch on it would go deaf. Besides it
//! is looked at now and then, because a link that is swapped elsewhere gives no event.

use crate::plugin::image::Stamp;
use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// A file counts as written once it has looked the same for this long.
const STABLE: Duration = Duration::from_millis(100);
/// How often it is looked at without an event.
const POLL: Duration = Duration::from_secs(2);

type Interests = Arc<Mutex<HashMap<PathBuf, Vec<Weak<Notify>>>>>;

/// The watcher of all plugin files of a host.
#[derive(Debug, Default)]
pub(crate) struct FileWatch {
    /// By directory.
    interests: Interests,
    /// Made with the first file.
    watcher: Mutex<System>,
}

/// The system's watcher.
#[derive(Debug, Default)]
enum System {
    #[default]
    NotAsked,
    /// It has none to give: files are looked at now and then.
    None,
    Watches(RecommendedWatcher),
}

/// One source's interest in one file.
#[derive(Debug)]
pub(crate) struct Interest {
    path: PathBuf,
    woken: Arc<Notify>,
}

impl FileWatch {
    /// Watches a file from now on.
    pub(crate) fn on(&self, path: &Path) -> Interest {
        let woken = Arc::new(Notify::new());
        let interest = Interest { path: path.to_owned(), woken: woken.clone() };
        let Some(directory) = path.parent().and_then(|parent| parent.canonicalize().ok()) else { return interest };
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let System::NotAsked = *watcher {
            *watcher = new_watcher(self.interests.clone());
        }
        let known = {
            let mut interests = self.interests.lock().unwrap_or_else(PoisonError::into_inner);
            let here = interests.entry(directory.clone()).or_default();
            here.retain(|interest| interest.strong_count() > 0);
            here.push(Arc::downgrade(&woken));
            here.len() > 1
        };
        if let System::Watches(watcher) = &mut *watcher
            && !known
            && let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive)
        {
            tracing::warn!("cannot watch {}: {error}; its plugins are looked at every {POLL:?}", directory.display());
        }
        interest
    }
}

fn new_watcher(interests: Interests) -> System {
    let wake = move |event: notify::Result<notify::Event>| {
        let interests = interests.lock().unwrap_or_else(PoisonError::into_inner);
        let paths = match &event {
            // Reading is no change, and pre-flight itself reads.
            Ok(event) => match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => &event.paths,
                EventKind::Access(_) => return,
                _ => &event.paths,
            },
            Err(error) => &error.paths,
        };
        for (directory, here) in &*interests {
            // An event without a path may mean anything: events were lost.
            if paths.is_empty() || paths.iter().any(|path| path.parent() == Some(directory) || path == directory) {
                here.iter().filter_map(Weak::upgrade).for_each(|woken| woken.notify_one());
            }
        }
    };
    match notify::recommended_watcher(wake) {
        Ok(watcher) => System::Watches(watcher),
        Err(error) => {
            tracing::warn!("cannot watch plugin files: {error}; they are looked at every {POLL:?}");
            System::None
        }
    }
}

impl Interest {
    /// Waits until the file is there, whole, and other than `known`.
    pub(crate) async fn changed(&self, known: Option<Stamp>) -> Stamp {
        loop {
            if let Some(stamp) = Stamp::of(&self.path).filter(|stamp| Some(*stamp) != known)
                && self.is_stable(stamp).await
            {
                return stamp;
            }
            tokio::select! {
                () = self.woken.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    async fn is_stable(&self, mut stamp: Stamp) -> bool {
        loop {
            sleep(STABLE).await;
            match Stamp::of(&self.path) {
                Some(now) if now == stamp => return true,
                Some(now) => stamp = now,
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Instant};

    #[tokio::test(flavor = "current_thread")]
    async fn a_replaced_a_rewritten_and_a_relinked_file_are_all_seen() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("libdisk.so"), "1").unwrap();
        std::os::unix::fs::symlink(at("libdisk.so"), at("link.so")).unwrap();
        let watch = FileWatch::default();
        let (file, link) = (watch.on(&at("libdisk.so")), watch.on(&at("link.so")));
        let first = file.changed(None).await;
        assert_eq!(Some(first), Stamp::of(&at("libdisk.so")));

        let began = Instant::now();
        let (second, linked, ()) = tokio::join!(file.changed(Some(first)), link.changed(Some(first)), async {
            fs::write(at("new"), "22").unwrap();
            fs::rename(at("new"), at("libdisk.so")).unwrap();
        });
        assert!(second == linked && second != first);
        assert!(began.elapsed() < POLL, "seen by its event, not by polling");
        let (third, ()) =
            tokio::join!(file.changed(Some(second)), async { fs::write(at("libdisk.so"), "333").unwrap() });
        assert_ne!(third, second);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_file_that_goes_and_comes_back_is_seen_when_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libdisk.so");
        fs::write(&path, "1").unwrap();
        let watch = FileWatch::default();
        let file = watch.on(&path);
        let first = Stamp::of(&path);
        let (stamp, ()) = tokio::join!(file.changed(first), async {
            fs::remove_file(&path).unwrap();
            tokio::task::yield_now().await;
            fs::write(&path, "22").unwrap();
        });
        assert_eq!(Some(stamp), Stamp::of(&path));
    }
}
