//! The tasks of a shard. They share its state without a lock, so one that panics may leave it half changed: then the
//! shard is given up as a whole, loudly, instead of going on in silence without one of its parts.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one life of a shard.
#[derive(Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    fault: CancellationToken,
}

/// Says so when the task that holds it panics.
struct Watch(CancellationToken);

impl Tasks {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { tracker: TaskTracker::new(), fault: CancellationToken::new() }
    }

    /// Runs a task on the shard's own thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let watch = Watch(self.fault.clone());
        self.tracker.spawn_local(async move {
            let _watch = watch;
            task.await;
        });
    }

    /// Those that may block; they run on other threads and hold nothing of the shard.
    pub(super) fn blocking(&self) -> TaskTracker {
        self.tracker.clone()
    }

    /// Resolves when a task has panicked.
    pub(super) async fn failed(&self) {
        self.fault.cancelled().await;
    }

    /// Waits for all to end.
    pub(super) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cancel();
        }
    }
}
