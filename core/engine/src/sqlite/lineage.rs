//! The epochs of a channel, oldest first, and where each began. An unclean end begins a new epoch at the next offset, so
//! that no position is used twice; the older epochs go on meaning the events that were stored under them. Also where new
//! epochs come from. Held by the live state; opening reads and writes the rows.

use headwater_event::Epoch;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

/// How many epochs of a channel are remembered. A daemon that is killed again and again would otherwise fill memory and
/// file with epochs that nobody holds a position in.
pub(crate) const REMEMBERED: usize = 64;

/// One epoch: which offset was the first one that it could give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) first: u64,
    pub(crate) epoch: Epoch,
}

/// All epochs of one channel that are remembered, never empty. Shared, as a reader takes it along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lineage(Arc<[Begin]>);

impl Lineage {
    /// A channel's first epoch, or the first one that is remembered.
    pub(crate) fn new(begin: Begin) -> Self {
        Self(Arc::new([begin]))
    }

    /// From rows, oldest first.
    pub(crate) fn from_rows(rows: Vec<Begin>) -> Option<Self> {
        (!rows.is_empty()).then(|| Self(rows.into()))
    }

    /// The same with one epoch more. Gives up the oldest ones when there are too many.
    pub(crate) fn then(&self, begin: Begin) -> Self {
        let skipped = (self.0.len() + 1).saturating_sub(REMEMBERED);
        Self(self.0.iter().skip(skipped).copied().chain([begin]).collect())
    }

    /// The present epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        self.0.last().expect("invariant: a lineage is never empty").epoch
    }

    /// All that are remembered, oldest first.
    pub(crate) fn begins(&self) -> &[Begin] {
        &self.0
    }

    /// The epoch under which an offset was given out. Below the oldest that is remembered it is that one: it has never
    /// given these offsets to other events.
    pub(crate) fn of(&self, offset: u64) -> Epoch {
        let after = self.0.partition_point(|begin| begin.first <= offset);
        // Of several that began at the same offset, only the last one can have used it.
        self.0[after.saturating_sub(1)].epoch
    }

    /// The last offset of an epoch that means the same event now; `last` is the channel's.
    pub(crate) fn kept(&self, epoch: Epoch, last: u64) -> Option<u64> {
        let index = self.0.iter().position(|begin| begin.epoch == epoch)?;
        Some(self.0.get(index + 1).map_or(last, |next| next.first - 1))
    }
}

/// Where epochs come from: a channel's next epoch is a keyed hash of its name, so that it is known before the first event
/// and costs nothing until then. The key stays with the file as long as no life of it ended uncleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u8; 16]);

impl Seed {
    /// A new one, from the operating system's randomness.
    pub(crate) fn draw() -> Self {
        // The standard library's hash keys come from there.
        let draw = |salt: u64| RandomState::new().hash_one((salt, std::process::id(), SystemTime::now()));
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&draw(1).to_le_bytes());
        seed[8..].copy_from_slice(&draw(2).to_le_bytes());
        Self(seed)
    }

    /// The epoch that a channel begins under this seed.
    pub(crate) fn epoch(&self, channel: &str) -> Epoch {
        let half = |range: std::ops::Range<usize>| {
            u64::from_le_bytes(self.0[range].try_into().expect("invariant: eight of sixteen bytes"))
        };
        let (mut a, b) = (half(0..8), half(8..16));
        for chunk in channel.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            a = mix(a ^ u64::from_le_bytes(word)).wrapping_add(b);
        }
        Epoch(mix(a ^ mix(b ^ channel.len() as u64)))
    }
}

/// The finisher of `SplitMix64`: each bit of the input moves each bit of the output.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn begin(first: u64, epoch: u64) -> Begin {
        Begin { first, epoch: Epoch(epoch) }
    }

    #[test]
    fn an_older_epoch_is_kept_up_to_where_the_next_one_began() {
        let lineage = Lineage::new(begin(1, 10)).then(begin(8, 11)).then(begin(8, 12)).then(begin(20, 13));
        for (epoch, kept) in [(10, Some(7)), (11, Some(7)), (12, Some(19)), (13, Some(25)), (14, None)] {
            assert_eq!(lineage.kept(Epoch(epoch), 25), kept, "{epoch}");
        }
        for (offset, epoch) in [(1, 10), (7, 10), (8, 12), (19, 12), (20, 13), (99, 13)] {
            assert_eq!(lineage.of(offset), Epoch(epoch), "{offset}");
        }
        assert_eq!(lineage.epoch(), Epoch(13));
    }

    #[test]
    fn it_forgets_the_oldest() {
        let mut lineage = Lineage::new(begin(1, 0));
        for n in 1..=REMEMBERED as u64 {
            lineage = lineage.then(begin(n * 10, n));
        }
        assert_eq!(lineage.0.len(), REMEMBERED);
        assert_eq!(lineage.kept(Epoch(0), 1_000), None);
        assert_eq!(lineage.kept(Epoch(1), 1_000), Some(19));
        assert_eq!(lineage.of(3), Epoch(1), "an offset below all has an epoch that never gave it to another event");
    }

    #[test]
    fn epochs_differ_by_channel_and_seed_and_stay_otherwise() {
        let (a, b) = (Seed::draw(), Seed::draw());
        let names = ["", "a", "b", "ab", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaa\0", "channel:1", "channel:2"];
        let all: HashSet<Epoch> = names.iter().flat_map(|name| [a.epoch(name), b.epoch(name)]).collect();
        assert_eq!(all.len(), 2 * names.len());
        assert_eq!(a.epoch("x"), Seed(a.0).epoch("x"));
    }
}
