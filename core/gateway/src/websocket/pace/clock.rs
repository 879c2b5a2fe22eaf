//! One timer for all paced subscriptions of a shard: which of them is due when.

use super::super::shard::Shared;
use std::{cell::RefCell, cmp::Reverse, collections::BinaryHeap, rc::Rc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// When something is due for a channel of a connection. Those that have gone meanwhile are passed over.
type Due = Reverse<(Instant, u64, u32)>;

/// What is due when. A subscription to a channel stands in it at most twice: it is only entered again for an earlier
/// time.
#[derive(Debug, Default)]
pub(in super::super) struct Clock {
    due: RefCell<BinaryHeap<Due>>,
    sooner: Notify,
}

impl Clock {
    /// Enters a channel of a connection.
    pub(super) fn set(&self, at: Instant, connection: u64, channel: u32) {
        let mut due = self.due.borrow_mut();
        if due.peek().is_none_or(|Reverse((first, ..))| at < *first) {
            self.sooner.notify_one();
        }
        due.push(Reverse((at, connection, channel)));
    }

    fn next(&self) -> Option<Instant> {
        self.due.borrow().peek().map(|Reverse((at, ..))| *at)
    }

    fn take(&self, now: Instant) -> Option<(u64, u32)> {
        let mut due = self.due.borrow_mut();
        due.peek().filter(|Reverse((at, ..))| *at <= now)?;
        due.pop().map(|Reverse((_, connection, channel))| (connection, channel))
    }
}

/// Looks after what is due until the shard ends.
pub(in super::super) async fn run(shared: Shared, clock: Rc<Clock>, ended: CancellationToken) {
    loop {
        let next = clock.next();
        tokio::select! {
            () = ended.cancelled() => return,
            () = clock.sooner.notified() => continue,
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
        let now = Instant::now();
        while let Some((connection, channel)) = clock.take(now) {
            shared.borrow_mut().due(connection, channel, now);
        }
    }
}
