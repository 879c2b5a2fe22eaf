//! How many events a pane may make: a few at once, then one per window. It keeps a pane that floods from filling the bus.

use std::time::{Duration, Instant};

/// The allowance.
#[derive(Debug)]
pub(super) struct Allowance {
    credit: usize,
    most: usize,
    window: Duration,
    /// Up to when the credit is counted.
    at: Option<Instant>,
}

impl Allowance {
    /// `most` events at once, and a further one per `window`.
    pub(super) fn new(most: usize, window: Duration) -> Self {
        Self { credit: most.max(1), most: most.max(1), window: window.max(Duration::from_millis(1)), at: None }
    }

    /// Events that may be made now.
    pub(super) fn credit(&mut self, now: Instant) -> usize {
        let at = *self.at.get_or_insert(now);
        let windows = now.saturating_duration_since(at).as_nanos() / self.window.as_nanos();
        if windows >= (self.most - self.credit) as u128 {
            self.credit = self.most;
            self.at = Some(now);
        } else {
            self.credit += windows as usize;
            self.at = Some(at + self.window * windows as u32);
        }
        self.credit
    }

    pub(super) fn spend(&mut self, events: usize) {
        self.credit = self.credit.saturating_sub(events);
    }

    /// When there is credit; absent: there is now.
    pub(super) fn next(&self) -> Option<Instant> {
        self.at.filter(|_| self.credit == 0).map(|at| at + self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_one_per_window() {
        let window = Duration::from_millis(16);
        let mut allowance = Allowance::new(3, window);
        let start = Instant::now();
        assert_eq!(allowance.credit(start), 3);
        allowance.spend(3);
        assert_eq!(allowance.credit(start + window / 2), 0);
        assert_eq!(allowance.next(), Some(start + window));
        assert_eq!(allowance.credit(start + window * 3 / 2), 1);
        assert_eq!(allowance.credit(start + window * 2), 2, "the half window was not lost");
        assert_eq!(allowance.credit(start + window * 100), 3, "no more than at first is saved up");
    }
}
