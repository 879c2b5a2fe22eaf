//! Counting what `try_emit` drops, so that the loss is told and never silent.

use crate::link::lock;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// At most one announcement in this time: a source that drops all the time would otherwise flood its host with them.
const PAUSE: Duration = Duration::from_secs(1);

/// Channels that are counted apart; drops on further ones are told together as `*`. A source that makes up channel
/// names would otherwise grow the table without end.
const CHANNELS: usize = 64;

/// Drops that were not yet announced, and the sum of all.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    waiting: AtomicBool,
    total: AtomicU64,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    counts: BTreeMap<String, u64>,
    told: Option<Instant>,
}

impl Drops {
    /// One more event of this channel is lost.
    pub(crate) fn count(&self, channel: &str) {
        self.total.fetch_add(1, Relaxed);
        let mut ledger = lock(&self.ledger);
        let full = ledger.counts.len() >= CHANNELS;
        match ledger.counts.get_mut(channel) {
            Some(count) => *count += 1,
            None => *ledger.counts.entry(if full { "*" } else { channel }.to_owned()).or_default() += 1,
        }
        self.waiting.store(true, Relaxed);
    }

    /// All that were ever dropped.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Whether anything waits to be told. Cheap: it is asked after every event.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    /// What is to be told now: nothing when the last time was just before, unless this is the `last` chance.
    pub(crate) fn take(&self, last: bool) -> BTreeMap<String, u64> {
        if !self.is_waiting() {
            return BTreeMap::new();
        }
        let mut ledger = lock(&self.ledger);
        if !last && ledger.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return BTreeMap::new();
        }
        ledger.told = Some(Instant::now());
        self.waiting.store(false, Relaxed);
        std::mem::take(&mut ledger.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_by_channel_and_not_more_often_than_once_a_second() {
        let drops = Drops::default();
        assert!(drops.take(true).is_empty());
        drops.count("a");
        drops.count("a");
        drops.count("b");
        assert_eq!(drops.take(false), BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
        drops.count("a");
        assert!(drops.take(false).is_empty(), "only just told");
        assert_eq!(drops.take(true), BTreeMap::from([("a".into(), 1)]));
        assert_eq!(drops.total(), 4);
    }

    /// A source that makes up channel names would otherwise grow the table without end.
    #[test]
    fn the_table_of_channels_is_bounded() {
        let drops = Drops::default();
        for number in 0..1_000 {
            drops.count(&format!("channel:{number}"));
        }
        let told = drops.take(true);
        assert_eq!(told.len(), CHANNELS + 1);
        assert_eq!(told.values().sum::<u64>(), 1_000);
    }
}
