//! A connection's places in the logs while the turns do not write to it. Made where a socket is full or a subscription
//! begins in the past, moved forward by `catch_up`, and gone when the connection has caught up.

use headwater_event::Timestamp;
use std::collections::BTreeMap;

/// How many events the first page from the store may hold, and the smallest. What the socket does not take of a page is
/// read again, so pages begin small and grow with what it takes.
const FIRST_PAGE: usize = 128;
const SMALLEST_PAGE: usize = 16;
/// A page from the store holds no more than this.
const LARGEST_PAGE: usize = 1_000;

/// A connection's places, by the index of the channel.
#[derive(Clone, Debug)]
pub(super) struct Cursors {
    pub(super) places: BTreeMap<u32, Cursor>,
    /// Where the last page ended: the next one begins behind it, so that no channel is always last.
    pub(super) after: u32,
    /// How many events the next page from the store may hold.
    pub(super) appetite: usize,
}

impl Cursors {
    /// Cursors at these places.
    pub(super) fn new(places: BTreeMap<u32, Cursor>) -> Self {
        Self { places, after: 0, appetite: FIRST_PAGE }
    }

    /// The channels, the one behind the last page's end first.
    pub(super) fn order(&self) -> Vec<u32> {
        let behind = self.places.range(self.after.saturating_add(1)..);
        behind.chain(self.places.range(..=self.after)).map(|(channel, _)| *channel).collect()
    }

    /// Learns from a page of the store of which the socket took this many events.
    pub(super) fn fed(&mut self, page: usize, taken: usize) {
        let fits = if taken < page { self.appetite * taken / page } else { self.appetite * 2 };
        self.appetite = fits.clamp(SMALLEST_PAGE, LARGEST_PAGE);
    }
}

impl Default for Cursors {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

/// A place in a channel's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The next offset to send.
    pub(super) next: u64,
    /// Whether `lag` has been said since it last had caught up.
    pub(super) warned: bool,
    /// What it is doing there.
    pub(super) stage: Stage,
}

/// Why a cursor is where it is, which decides what happens when the log no longer holds its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The subscription began in the past and has not caught up since: what the log does not hold comes from the store,
    /// and no lag policy applies.
    Past,
    /// It had caught up, and the socket did not keep pace.
    Behind,
    /// It fell off the log, and its policy is to read the store.
    Stored,
    /// It fell behind by more than it may. Until this offset only priority events are sent; what is left out since `from`
    /// has not been told yet.
    Skipping { from: u64, until: u64 },
    /// It fell off the log and was told so: until this offset it gets the newest event of each key.
    Newest { until: u64 },
    /// It fell off the log and was told so: until this offset it gets one event of each stretch of time. `due` is when
    /// the next one may be sent.
    Sampling { until: u64, due: Timestamp },
}

impl Cursor {
    /// A cursor of one that was written everything before `next`.
    pub(super) fn behind(next: u64) -> Self {
        Self { next, warned: false, stage: Stage::Behind }
    }

    /// A cursor of one that begins in the past.
    pub(super) fn past(next: u64) -> Self {
        Self { next, warned: false, stage: Stage::Past }
    }

    /// Everything before this offset has been sent, or told to be missing.
    pub(super) fn place(&self) -> u64 {
        match self.stage {
            Stage::Skipping { from, .. } => from,
            _ => self.next,
        }
    }

    /// An event that was read did not go out: it is read again.
    pub(super) fn back_to(&mut self, offset: u64) {
        self.next = offset;
        match &mut self.stage {
            Stage::Skipping { from, .. } => *from = offset,
            // It was due, and is so still.
            Stage::Sampling { due, .. } => *due = Timestamp(i64::MIN),
            _ => {}
        }
    }

    /// It stands where the shard stands.
    pub(super) fn caught_up(&mut self) {
        self.warned = false;
        self.stage = Stage::Behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_with_what_the_socket_takes() {
        let mut cursors = Cursors::default();
        cursors.fed(128, 128);
        cursors.fed(256, 256);
        assert_eq!(cursors.appetite, 512);
        // Half of the page was for others; of what was for this one the socket took a quarter.
        cursors.fed(256, 64);
        assert_eq!(cursors.appetite, 128);
        cursors.fed(70, 0);
        assert_eq!(cursors.appetite, SMALLEST_PAGE);
        for _ in 0..20 {
            cursors.fed(1, 1);
        }
        assert_eq!(cursors.appetite, LARGEST_PAGE);
    }

    #[test]
    fn what_was_not_sent_is_read_again_and_due_again() {
        let mut cursor = Cursor { stage: Stage::Skipping { from: 9, until: 20 }, ..Cursor::behind(9) };
        cursor.back_to(7);
        assert_eq!((cursor.next, cursor.place()), (7, 7));
        cursor.stage = Stage::Sampling { until: 20, due: Timestamp(50) };
        cursor.back_to(5);
        assert_eq!(cursor.stage, Stage::Sampling { until: 20, due: Timestamp(i64::MIN) });
    }

    #[test]
    fn no_channel_is_always_last() {
        let places = [1, 4, 9].map(|channel| (channel, Cursor::behind(1)));
        let mut cursors = Cursors::new(places.into_iter().collect());
        cursors.after = 4;
        assert_eq!(cursors.order(), [9, 1, 4]);
        cursors.after = u32::MAX;
        assert_eq!(cursors.order(), [1, 4, 9]);
    }
}
