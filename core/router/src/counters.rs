//! What the router counts, for the operator.

use headwater_event::{ChannelName, Epoch};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Totals since the start, and what is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that got a position and came to the logs.
    pub published: u64,
    /// Events of batches that were refused when they were published.
    pub rejected: u64,
    /// Payload bytes of the published events.
    pub bytes: u64,
    /// Events that left a log by its bounds.
    pub trimmed: u64,
    /// Retained events that had to make room for others.
    pub snapshots_evicted: u64,
    /// How often a shard's queue ran over, so that it had to read from the logs.
    pub overflows: u64,
    /// Bytes that all logs hold now, as their budget counts them.
    pub held_bytes: u64,
    /// Channels that exist now.
    pub channels: u64,
    /// Retained events that are held now.
    pub snapshots: u64,
}

/// One channel, as `GET /v1/channels` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its name.
    pub channel: ChannelName,
    /// Its epoch.
    pub epoch: Epoch,
    /// The first offset that its log holds; `head + 1` when it holds none.
    pub first: u64,
    /// The last offset; 0 before the first event.
    pub head: u64,
    /// Events in its log.
    pub events: u64,
    /// Bytes in its log, as the budget counts them.
    pub bytes: u64,
}

/// The running totals.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) published: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) trimmed: AtomicU64,
    pub(crate) overflows: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Relaxed);
    }
}
