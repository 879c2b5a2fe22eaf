//! When the writer takes what waits: at once, or a moment later together with what comes until then. A commit costs as
//! much as some twenty events, so that at a high rate of single events waiting a moment saves most of the work. Asked by
//! the writer.

use super::{live::Live, options::Durability};
use std::time::{Duration, Instant};

/// The least time between two commits while events keep coming. Acks wait for the commit at `flush`, and for nothing at
/// `memory`, where this is what a crash may lose.
const FLUSH: Duration = Duration::from_millis(1);
const MEMORY: Duration = Duration::from_millis(5);

/// With so many events, or so many bytes of them, a commit is worth its cost.
const ENOUGH: (u64, usize) = (64, 128 * 1024);

/// Whether so many wait that the writer need not wait for more. Who publishes wakes it then.
pub(crate) fn enough(live: &Live) -> bool {
    live.events >= ENOUGH.0 || live.bytes >= ENOUGH.1
}

/// When nothing came while it waited, it does not wait for so many commits: a publisher that waits for each ack before
/// it goes on would only be held up.
const SKIPPED: u32 = 32;

/// What the pace depends on.
pub(crate) struct Pace {
    gap: Duration,
    /// When the last batch was taken.
    last: Option<Instant>,
    /// How many events waited when it began to wait.
    waiting: Option<u64>,
    skip: u32,
}

impl Pace {
    pub(crate) fn new(durability: Durability) -> Self {
        let gap = match durability {
            Durability::Memory => MEMORY,
            Durability::Flush(_) => FLUSH,
            // The sync takes longer, and what comes meanwhile goes together anyway.
            Durability::Durable => Duration::ZERO,
        };
        Self { gap, last: None, waiting: None, skip: 0 }
    }

    /// Until when it waits for more; `None` when it takes what there is.
    pub(crate) fn linger(&mut self, live: &Live, now: Instant) -> Option<Instant> {
        let until = self.last? + self.gap;
        if until <= now || enough(live) || self.skip > 0 {
            return None;
        }
        self.waiting.get_or_insert(live.events);
        Some(until)
    }

    /// Learns that a batch is taken.
    pub(crate) fn taken(&mut self, live: &Live) {
        self.last = Some(Instant::now());
        self.skip = match self.waiting.take() {
            Some(before) if before == live.events => SKIPPED,
            _ => self.skip.saturating_sub(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{lineage::Seed, options::SqliteOptions};

    fn live(events: u64) -> Live {
        let mut live = Live::new(&SqliteOptions::new("unused"), Seed([0; 16]), Vec::new());
        live.events = events;
        live
    }

    #[test]
    fn single_events_that_keep_coming_are_taken_together() {
        let mut pace = Pace::new(Durability::Flush(Duration::ZERO));
        let now = Instant::now();
        assert_eq!(pace.linger(&live(1), now), None, "the first one does not wait");
        pace.taken(&live(1));
        let until = pace.linger(&live(1), pace.last.unwrap()).expect("the next one waits");
        assert_eq!(pace.linger(&live(9), until), None);
        pace.taken(&live(9));
        assert!(pace.linger(&live(1), pace.last.unwrap()).is_some(), "it was of use, so it waits again");
    }

    #[test]
    fn a_publisher_that_waits_for_each_ack_is_not_held_up_again_and_again() {
        let mut pace = Pace::new(Durability::Flush(Duration::ZERO));
        pace.taken(&live(1));
        let until = pace.linger(&live(1), pace.last.unwrap()).unwrap();
        assert_eq!(pace.linger(&live(1), until), None);
        pace.taken(&live(1));
        for _ in 0..SKIPPED {
            assert_eq!(pace.linger(&live(1), pace.last.unwrap()), None, "nothing came while it waited");
            pace.taken(&live(1));
        }
        assert!(pace.linger(&live(1), pace.last.unwrap()).is_some(), "it tries again now and then");
    }

    #[test]
    fn a_large_batch_does_not_wait() {
        let mut pace = Pace::new(Durability::Memory);
        pace.taken(&live(1));
        assert!(pace.linger(&live(ENOUGH.0 - 1), pace.last.unwrap()).is_some());
        assert_eq!(pace.linger(&live(ENOUGH.0), pace.last.unwrap()), None, "many events");
        let mut large = live(1);
        large.bytes = ENOUGH.1;
        assert_eq!(pace.linger(&large, pace.last.unwrap()), None, "a few large ones");
    }
}
