//! Waiting for the source, with an end: a test that hangs says nothing.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for what it expects. Far above what any source needs; only a failing test takes so long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Rung when something has come; a test listens. At most one listens at a time, since it needs the `Run` for it.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicU64,
    listener: Mutex<Option<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.fetch_add(1, SeqCst);
        let listener = self.listener.lock().ok().and_then(|mut listener| listener.take());
        if let Some(listener) = listener {
            listener.wake();
        }
    }

    /// Looks with `find` now and after each ring, until it finds something or the patience is over.
    pub(crate) async fn listen<T>(&self, mut find: impl FnMut() -> Option<T>) -> Option<T> {
        if let Some(found) = find() {
            return Some(found);
        }
        let deadline = Instant::now() + PATIENCE;
        let mut alarm = None;
        std::future::poll_fn(|context| {
            if let Ok(mut listener) = self.listener.lock() {
                *listener = Some(context.waker().clone());
            }
            // Looked at only now that the waker is there: a ring between the two would be missed.
            if let Some(found) = find() {
                return Poll::Ready(Some(found));
            }
            if Instant::now() >= deadline {
                return Poll::Ready(None);
            }
            // A thread, not tokio's timer: a test may have paused the time of its runtime.
            alarm.get_or_insert_with(|| Alarm::set(deadline, context.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

/// Wakes the test when the patience is over.
struct Alarm {
    thread: thread::Thread,
    off: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Alarm {
    fn set(deadline: Instant, waker: Waker) -> Self {
        let off = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&off);
        let handle = thread::spawn(move || {
            while !seen.load(SeqCst) {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return waker.wake();
                }
                thread::park_timeout(left);
            }
        });
        Self { thread: handle.thread().clone(), off }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.off.store(true, SeqCst);
        self.thread.unpark();
    }
}
