//! Event ids: `UUIDv7` by RFC 9562, section 6.2, method 2. Owned by an engine and used under its lock.
//!
//! The 74 bits behind the milliseconds are a counter that starts at a random value in each new millisecond, so that ids
//! rise within a process and do not meet those of another one. They are no secret: one id tells the next.

use std::{
    hash::{BuildHasher, RandomState},
    time::{SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

const COUNTER_BITS: u32 = 74;

/// Makes ids that rise.
#[derive(Debug)]
pub(crate) struct Ids {
    millis: u64,
    counter: u128,
    random: u64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        // The standard library's hash keys come from the operating system.
        Self { millis: 0, counter: 0, random: RandomState::new().hash_one(std::process::id()) }
    }

    /// Reads the clock, once per batch: reading it costs more than all the rest.
    pub(crate) fn tick(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.tick_at(u64::try_from(now).unwrap_or(u64::MAX));
    }

    fn tick_at(&mut self, millis: u64) {
        // A clock that stands or steps back: the counter goes on, so that ids still rise.
        if millis > self.millis {
            self.millis = millis;
            let random = u128::from(self.draw()) << 64 | u128::from(self.draw());
            // The top bit stays clear: room to count.
            self.counter = random >> (128 - COUNTER_BITS + 1);
        }
    }

    /// The next id.
    pub(crate) fn next(&mut self) -> Uuid {
        self.counter += 1;
        if self.counter >> COUNTER_BITS != 0 {
            self.tick_at(self.millis + 1);
        }
        let high = self.counter >> 62 & 0xfff;
        let low = self.counter & ((1 << 62) - 1);
        Uuid::from_u128(u128::from(self.millis) << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
    }

    /// `SplitMix64`: passes for random, costs a nanosecond.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_rise_and_carry_the_time() {
        let mut ids = Ids::new();
        ids.tick_at(0x0123_4567_89ab);
        let mut last = ids.next();
        assert_eq!(last.get_version_num(), 7);
        assert_eq!(last.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(last.as_u128() >> 80, 0x0123_4567_89ab);
        // The clock stands, steps back, goes on.
        for millis in [0x0123_4567_89ab, 0x0123_4567_0000, 0x0123_4567_89ac] {
            ids.tick_at(millis);
            for _ in 0..100 {
                let next = ids.next();
                assert!(next > last, "{next} after {last}");
                last = next;
            }
        }
    }

    #[test]
    fn a_counter_that_runs_over_borrows_the_next_millisecond() {
        let mut ids = Ids::new();
        ids.tick_at(5);
        ids.counter = (1 << COUNTER_BITS) - 2;
        let (a, b) = (ids.next(), ids.next());
        assert!(b > a);
        assert_eq!((a.as_u128() >> 80, b.as_u128() >> 80), (5, 6));
    }

    #[test]
    fn two_generators_do_not_meet() {
        let (mut a, mut b) = (Ids::new(), Ids::new());
        a.tick_at(5);
        b.tick_at(5);
        assert_ne!(a.next(), b.next());
    }
}
