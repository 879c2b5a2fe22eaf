//! How many tasks there were and what became of them.

use super::TaskStatus;

/// Tasks by what became of them. `completed + failed + cancelled + open()` is `created`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that came to be.
    pub created: u64,
    /// Those that are done.
    pub completed: u64,
    /// Those that have failed for good.
    pub failed: u64,
    /// Those that somebody gave up.
    pub cancelled: u64,
}

impl Counts {
    /// A task has come to be; it is open.
    pub fn create(&mut self) {
        self.created += 1;
    }

    /// A task has moved. Only the move into a final state counts, and nothing leads out of one.
    pub fn moved(&mut self, from: TaskStatus, to: TaskStatus) {
        if from.is_final() {
            return;
        }
        match to {
            TaskStatus::Completed => self.completed += 1,
            TaskStatus::Failed { retry: false } => self.failed += 1,
            TaskStatus::Cancelled => self.cancelled += 1,
            _ => {}
        }
    }

    /// Those that something can still happen to.
    pub fn open(&self) -> u64 {
        self.created.saturating_sub(self.completed + self.failed + self.cancelled)
    }
}
