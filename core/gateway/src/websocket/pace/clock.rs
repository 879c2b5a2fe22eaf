//! One timer for all paced subscriptions of a shard: which of them is due when.

use super::super::shard::Shared;
use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    rc::Rc,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// When something is due for a channel of a connection. Those that have gone meanwhile are passed over.
type Due = Reverse<(Instant, u64, u32)>;

/// So many entries of those that have gone do not matter.
const FEW: usize = 1_024;

/// What is due when. A subscription to a channel stands in it at most twice: it is only entered again for an earlier
/// time. Entries of those that have gone stay until their time, but are never more than the others and a few.
#[derive(Debug, Default)]
pub(in super::super) struct Clock {
    due: RefCell<BinaryHeap<Due>>,
    gone: Cell<usize>,
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

    /// An entry is of no use any more. `true`: so many are that they should be sorted out.
    pub(super) fn forget(&self) -> bool {
        self.gone.set(self.gone.get() + 1);
        self.gone.get() > FEW && self.gone.get() > self.due.borrow().len() / 2
    }

    /// Keeps the entries that are of use.
    pub(super) fn retain(&self, mut of_use: impl FnMut(Instant, u64, u32) -> bool) {
        self.due.borrow_mut().retain(|Reverse((at, connection, channel))| of_use(*at, *connection, *channel));
        self.gone.set(0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_due_comes_in_its_order_and_once() {
        let (clock, now) = (Clock::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for (seconds, connection) in [(3, 30), (1, 10), (2, 20)] {
            clock.set(at(seconds), connection, 1);
        }
        assert_eq!((clock.next(), clock.take(now)), (Some(at(1)), None));
        assert_eq!([clock.take(at(2)), clock.take(at(2)), clock.take(at(2))], [Some((10, 1)), Some((20, 1)), None]);
    }

    /// Harm prevented: clients that ask to be told in an hour, come and go and leave an entry each time.
    #[test]
    fn those_that_have_gone_are_sorted_out() {
        let (clock, later) = (Clock::default(), Instant::now() + Duration::from_hours(1));
        let mut most = 0;
        for connection in 0..10 * FEW as u64 {
            clock.set(later, connection, 1);
            if clock.forget() {
                clock.retain(|_, held, _| held == 7);
            }
            most = most.max(clock.due.borrow().len());
        }
        assert!(most <= 2 * FEW + 2, "{most}");
    }
}
