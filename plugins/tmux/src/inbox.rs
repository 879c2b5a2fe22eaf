//! Where the threads that read from tmux leave what they found, and where the source takes it.
//!
//! Nobody ever waits here. So all of it is bounded by its nature: that something changed is one flag, the rest are sets of
//! things that exist once.

use crate::tree::{
    Ending,
    id::{SessionId, WindowId},
};
use headwater_plugin::tokio::sync::Notify;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What an alert of tmux is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alert {
    /// A bell rang.
    Bell,
    /// Something was printed in a window that is watched for it.
    Activity,
    /// Nothing was printed for as long as the user set.
    Silence,
}

/// What came since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Something is another than before.
    pub(crate) changed: bool,
    /// Alerts, with the session that the hook named.
    pub(crate) alerts: BTreeSet<(Alert, Option<SessionId>, WindowId)>,
    /// Processes that ended, by the number under which they are watched.
    pub(crate) exits: BTreeMap<u64, Ending>,
}

/// The box.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    bell: Notify,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    news: News,
}

impl Inbox {
    /// Something is another than before.
    pub(crate) fn changed(&self) {
        self.state().news.changed = true;
        self.bell.notify_one();
    }

    /// An alert of a window.
    pub(crate) fn alert(&self, alert: Alert, session: Option<SessionId>, window: WindowId) {
        self.state().news.alerts.insert((alert, session, window));
        self.bell.notify_one();
    }

    /// A process ended.
    pub(crate) fn exited(&self, number: u64, ending: Ending) {
        self.state().news.exits.insert(number, ending);
        self.bell.notify_one();
    }

    /// All that came.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut self.state().news)
    }

    /// Waits until something has come. Cancel-safe.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Nobody takes from it any more: whoever reads may end.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
