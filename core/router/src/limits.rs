//! How much the router may hold. Set by the config, fixed for the router's life.

use std::time::Duration;

/// Bounds of the logs, the snapshots and the shards' queues. Sizes are in bytes as [`headwater_event::Event::weight`]
/// counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// All logs together. When it is reached, the longest logs are cut, so that one busy channel cannot push out the
    /// few events of the quiet ones.
    pub memory: usize,
    /// One channel's log, in events.
    pub channel_events: usize,
    /// One channel's log, in bytes; the newest event is kept whatever its size.
    pub channel_bytes: usize,
    /// How long an event stays in a log after it arrived. Kept to within a 32nd part.
    pub channel_age: Duration,
    /// How many channels may exist. Without it, whoever can publish or subscribe could take all memory by inventing names.
    pub channels: usize,
    /// How many retained events are kept; the one that was updated longest ago makes room.
    pub snapshots: usize,
    /// The size of all retained events.
    pub snapshot_bytes: usize,
    /// How many events may wait for one shard. A shard that stalls longer is told to read from the logs.
    pub inbox_events: usize,
    /// The size of the events that wait for one shard.
    pub inbox_bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            channel_events: 10_000,
            channel_bytes: 8 << 20,
            channel_age: Duration::from_hours(1),
            channels: 10_000,
            snapshots: 10_000,
            snapshot_bytes: 16 << 20,
            inbox_events: 16_384,
            inbox_bytes: 16 << 20,
        }
    }
}
