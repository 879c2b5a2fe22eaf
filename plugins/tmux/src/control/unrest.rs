//! When a session or somebody at one last came, went or changed: then no control client may be started.
//!
//! tmux, 3.3a at least, tells of sessions that come, go and get other names, and of clients that leave, to clients that are
//! still introducing themselves, and crashes by that, with all that the user runs. It takes a client less than a millisecond,
//! on a busy machine many; and where much has come and gone in the last seconds, the next will soon.

use std::time::{Duration, Instant};

/// For so long nothing must have happened.
pub(crate) const CALM: Duration = Duration::from_millis(200);

/// What happened in a row asks for so many times that calm at most.
const MOST: u32 = 10;

/// What happened after so long a calm is not in a row with what was before.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// When it last happened, and how often in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unrest {
    last: Instant,
    row: u32,
}

impl Unrest {
    /// Nobody knows what was before now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { last: now, row: 1 }
    }

    /// Something came, went or changed.
    pub(crate) fn happened(&mut self, now: Instant) {
        let in_row = now.duration_since(self.last) < FORGOTTEN;
        *self = Self { last: now, row: if in_row { (self.row + 1).min(MOST) } else { 1 } };
    }

    /// When there has been calm for long enough, if nothing more happens.
    pub(crate) fn over(&self) -> Instant {
        self.last + CALM * self.row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions that a script makes one after the other, slower than the shortest calm.
    #[test]
    fn the_more_comes_and_goes_the_longer_the_calm_that_is_waited_for() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut unrest = Unrest::new(start);
        assert_eq!(unrest.over(), at(200));
        for turn in 1..30 {
            unrest.happened(at(turn * 300));
            assert!(unrest.over() > at((turn + 1) * 300), "not between two of them");
        }
        assert_eq!(unrest.over(), at(29 * 300 + 2_000), "and no longer than that");
        unrest.happened(at(20_000));
        assert_eq!(unrest.over(), at(20_200));
    }
}
