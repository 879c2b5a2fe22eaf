//! What ended today, by the day of the machine's time zone.

use crate::machine::TaskStatus;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The tasks that ended on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Today {
    zone: TimeZone,
    day: Date,
    /// Done.
    pub(crate) completed: u64,
    /// Failed for good.
    pub(crate) failed: u64,
    /// Given up.
    pub(crate) cancelled: u64,
}

impl Today {
    /// The day of this moment, with nothing in it.
    pub(crate) fn of(at: Timestamp) -> Self {
        let zone = TimeZone::system();
        let day = at.to_zoned(zone.clone()).date();
        Self { zone, day, completed: 0, failed: 0, cancelled: 0 }
    }

    /// It is this late now: a new day begins empty.
    pub(crate) fn turn(&mut self, at: Timestamp) {
        let day = at.to_zoned(self.zone.clone()).date();
        // A clock that jumps back does not make yesterday today.
        if day > self.day {
            *self = Self { zone: self.zone.clone(), day, completed: 0, failed: 0, cancelled: 0 };
        }
    }

    /// A task has ended, perhaps on another day.
    pub(crate) fn ended(&mut self, at: Timestamp, status: TaskStatus) {
        if at.to_zoned(self.zone.clone()).date() != self.day {
            return;
        }
        match status {
            TaskStatus::Completed => self.completed += 1,
            TaskStatus::Failed { retry: false } => self.failed += 1,
            TaskStatus::Cancelled => self.cancelled += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;

    #[test]
    fn a_new_day_begins_empty_and_yesterday_does_not_count() {
        let zone = TimeZone::system();
        let noon = "2026-11-20T12:00:00".parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone).unwrap().timestamp();
        let mut today = Today::of(noon);
        today.ended(noon, TaskStatus::Completed);
        today.ended(noon - 24.hours(), TaskStatus::Completed);
        today.ended(noon, TaskStatus::Failed { retry: true });
        assert_eq!((today.completed, today.failed), (1, 0));
        today.turn(noon - 24.hours());
        assert_eq!(today.completed, 1);
        today.turn(noon + 24.hours());
        assert_eq!(today.completed, 0);
    }
}
