//! Tells when the plugin's code has changed.

use notify::{EventKind, RecursiveMode, Watcher, recommended_watcher};
use std::{path::Path, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Editors write several files, or one in several steps: what comes within this time is one change.
const SETTLE: Duration = Duration::from_millis(50);

/// Watches `Cargo.toml` and `src`.
pub(super) struct Watch {
    changes: mpsc::Receiver<()>,
    /// When the change that was seen has settled; kept here, so that a call that is dropped while it waits loses none.
    settled: Option<Instant>,
    _watcher: notify::RecommendedWatcher,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn new(directory: &Path) -> Result<Self, String> {
        // One place is enough: it says that something has changed since the last build.
        let (tell, changes) = mpsc::channel(1);
        let manifest = directory.join("Cargo.toml");
        let source = directory.join("src");
        let within = source.clone();
        let cannot = |error: notify::Error| format!("cannot watch {}: {error}", source.display());
        let mut watcher = recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let ours = |path: &std::path::PathBuf| path.starts_with(&within) || *path == manifest;
            let changed = !matches!(event.kind, EventKind::Access(_));
            if changed && event.paths.iter().any(ours) {
                // Full: a change is told already.
                let _ = tell.try_send(());
            }
        })
        .map_err(cannot)?;
        watcher.watch(&source, RecursiveMode::Recursive).map_err(cannot)?;
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(cannot)?;
        Ok(Self { changes, settled: None, _watcher: watcher })
    }

    /// The next change. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        if self.settled.is_none() {
            if self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.settled = Some(Instant::now() + SETTLE);
        }
        if let Some(settled) = self.settled {
            sleep_until(settled).await;
        }
        while self.changes.try_recv().is_ok() {}
        self.settled = None;
    }
}
