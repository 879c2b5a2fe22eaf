//! Chance that can be repeated: with the seed that a run has printed, the next one falls the same way.

use std::hash::{BuildHasher, RandomState};

/// The seed, instead of a fresh one.
const SEED_VARIABLE: &str = "HEADWATER_CRASH_SEED";

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// As the environment says, or by the system's own randomness.
    pub(super) fn new() -> Self {
        let seed = super::number_in(SEED_VARIABLE).unwrap_or_else(|| RandomState::new().hash_one(0));
        Self { seed, state: seed }
    }

    /// What makes it fall like this.
    pub(super) fn seed(&self) -> String {
        format!("{SEED_VARIABLE}={}", self.seed)
    }

    /// Others, for a task of its own.
    pub(super) fn others(&mut self) -> Self {
        Self { seed: self.seed, state: self.next() }
    }

    /// A number from 0 to below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
