//! When a server that ended is started again, and whether it does nothing but end. Pure.

use std::{collections::VecDeque, time::Duration};

/// The pause before the first start after an end; it doubles with each.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest pause. Whoever ran for that long begins with the shortest again, and its ends before that are forgotten.
pub(crate) const LONGEST: Duration = Duration::from_mins(1);

/// So many ends in this time are flapping.
const MANY: usize = 5;
const LATELY: Duration = Duration::from_mins(10);

/// The ends of one server that nobody asked for.
#[derive(Debug, Default)]
pub struct Restarts {
    /// Those of late, at most [`MANY`].
    ends: VecDeque<Duration>,
    /// The pause before the last start.
    pause: Option<Duration>,
    total: u64,
}

impl Restarts {
    /// It ended, after it had run for so long: how long to wait before it is started again.
    pub fn ended(&mut self, now: Duration, ran: Duration) -> Duration {
        self.total += 1;
        if ran >= LONGEST {
            self.ends.clear();
        }
        self.ends.push_back(now);
        while self.ends.len() > MANY {
            self.ends.pop_front();
        }
        let pause = match self.pause {
            Some(before) if ran < LONGEST => (before * 2).min(LONGEST),
            _ => SHORTEST,
        };
        self.pause = Some(pause);
        pause
    }

    /// Whether it does nothing but end.
    pub fn flapping(&self, now: Duration) -> bool {
        self.ends.len() >= MANY && self.ends.front().is_some_and(|first| now.saturating_sub(*first) <= LATELY)
    }

    /// Ends that nobody asked for, since it is known.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Somebody wants it to begin anew.
    pub fn forgive(&mut self) {
        self.ends.clear();
        self.pause = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut restarts = Restarts::default();
        let pauses: Vec<u64> = (0..8).map(|at| restarts.ended(secs(at), secs(0)).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(restarts.ended(secs(100), secs(59)).as_secs(), 60);
        assert_eq!(restarts.ended(secs(200), secs(60)).as_secs(), 1, "it ran well before that");
        restarts.ended(secs(300), secs(0));
        restarts.forgive();
        assert_eq!(restarts.ended(secs(400), secs(0)).as_secs(), 1);
        assert_eq!(restarts.total(), 12);
    }

    #[test]
    fn five_ends_in_ten_minutes_are_flapping() {
        let mut restarts = Restarts::default();
        for at in [0, 100, 200, 300] {
            restarts.ended(secs(at), secs(50));
            assert!(!restarts.flapping(secs(at)));
        }
        restarts.ended(secs(600), secs(50));
        assert!(restarts.flapping(secs(600)));
        assert!(!restarts.flapping(secs(601)), "the first of them is too long ago");
        restarts.ended(secs(601), secs(0));
        assert!(restarts.flapping(secs(601)));
        restarts.forgive();
        assert!(!restarts.flapping(secs(601)));
    }

    #[test]
    fn who_ran_for_a_minute_does_not_flap() {
        let mut restarts = Restarts::default();
        for at in 0..5 {
            restarts.ended(secs(at), secs(0));
        }
        assert!(restarts.flapping(secs(4)));
        restarts.ended(secs(70), secs(60));
        assert!(!restarts.flapping(secs(70)));
    }

    #[test]
    fn slow_ends_are_no_flapping() {
        let mut restarts = Restarts::default();
        assert!((0..100).all(|n| {
            restarts.ended(secs(n * 151), secs(59));
            !restarts.flapping(secs(n * 151))
        }));
    }
}
