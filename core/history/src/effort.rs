//! How much one call may look at, so that no question keeps a thread for long whatever is asked and however much there
//! is, and whether somebody still waits for the answer.

use crate::HistoryError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The bounds of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Events that it may look at, whether they are wanted or not.
    pub events: u64,
    /// How long it may take; kept to within one read of the store.
    pub time: Duration,
}

impl Budget {
    /// For a page of events: what does not fit is on the next page.
    pub const PAGE: Self = Self { events: 100_000, time: Duration::from_secs(1) };
    /// For a page of points. One stretch of time cannot be split over two pages, and so has all of it; several together
    /// have a 20th part.
    pub const POINTS: Self = Self { events: 2_000_000, time: Duration::from_secs(10) };

    /// What several stretches of time may take together.
    pub(crate) const fn of_a_window(self) -> u64 {
        self.events / 20
    }
}

/// Says that nobody waits any more. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Withdrawal(Arc<AtomicBool>);

impl Withdrawal {
    /// From now on the question ends at its next step, with [`HistoryError::Withdrawn`].
    pub fn withdraw(&self) {
        self.0.store(true, Relaxed);
    }

    /// Withdraws when it is dropped: for an asker that is a future, which ends by being dropped.
    pub fn on_drop(&self) -> WithdrawOnDrop {
        WithdrawOnDrop(self.clone())
    }

    fn is_withdrawn(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The guard of [`Withdrawal::on_drop`].
#[derive(Debug)]
pub struct WithdrawOnDrop(Withdrawal);

impl Drop for WithdrawOnDrop {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

/// What is left of a budget.
pub(crate) struct Effort<'a> {
    events: u64,
    until: Instant,
    withdrawal: &'a Withdrawal,
}

impl<'a> Effort<'a> {
    pub(crate) fn new(budget: Budget, withdrawal: &'a Withdrawal) -> Self {
        Self { events: budget.events, until: Instant::now() + budget.time, withdrawal }
    }

    /// So many more events have been looked at.
    pub(crate) fn took(&mut self, events: u64) {
        self.events = self.events.saturating_sub(events);
    }

    /// Whether nothing is left. Asked before each read.
    pub(crate) fn is_spent(&self) -> Result<bool, HistoryError> {
        if self.withdrawal.is_withdrawn() {
            return Err(HistoryError::Withdrawn);
        }
        Ok(self.events == 0 || Instant::now() >= self.until)
    }
}
