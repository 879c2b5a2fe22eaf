//! A gap: offsets of a channel that a reader will not get, and why. Loss is never silent, so every outlet has words for it.

use crate::{ChannelName, Position};
use std::fmt;

/// Offsets `from.offset` to `to` of a channel will not come. `to` is one below `from.offset` where nothing is missing but
/// the numbering has begun anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// The first one missing, in the channel's present epoch.
    pub from: Position,
    /// The last offset missing.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The reader was too slow for what its lag policy allows.
    SlowConsumer,
    /// They are no longer kept.
    Retention,
    /// The source lost them before they had positions.
    SourceDrop,
    /// The store could not keep them, or lost them.
    Corruption,
    /// The channel's numbering has begun anew since.
    EpochChange,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::SlowConsumer, Self::Retention, Self::SourceDrop, Self::Corruption, Self::EpochChange];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlowConsumer => "slow_consumer",
            Self::Retention => "retention",
            Self::SourceDrop => "source_drop",
            Self::Corruption => "corruption",
            Self::EpochChange => "epoch_change",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
