//! `[history]`, `[history.retention]` and `[[history.channel]]`: what is kept on disk, how surely and for how long.

use crate::{Period, Size, period, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// The events on disk: for clients that were away for long, for questions about the past, for the time after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Whether events are kept on disk. Without it only what `[router]` holds in memory can be asked for, and a restart
    /// forgets that too.
    pub enabled: bool,
    /// The file. By default `history.db` in the daemon's state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), example = &"/var/lib/headwater/history.db")]
    pub path: Option<PathBuf>,
    /// When a publish is acknowledged: "memory" before it is written (a crash loses what was not yet); "flush" once the
    /// system has it (a crash of the daemon loses nothing, a power cut at most `flush_interval`); "durable" once the disk
    /// has it.
    pub durability: Durability,
    /// How often what "memory" and "flush" have written is synced to the disk: the most that a power cut can take.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "1ms", "x-maximum" = "1m"))]
    pub flush_interval: Duration,
    /// How long events are kept, and how much room they may take.
    pub retention: Retention,
    /// Channels that are kept longer, shorter or not at all. Of several tables whose pattern fits, the first counts.
    #[serde(rename = "channel")]
    pub channels: Vec<HistoryChannel>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            durability: Durability::default(),
            flush_interval: Duration::from_millis(100),
            retention: Retention::default(),
            channels: Vec::new(),
        }
    }
}

/// When a publish is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)] // The option's doc says it; docs here would only blow the enum up in the JSON Schema.
pub enum Durability {
    Memory,
    #[default]
    Flush,
    Durable,
}

/// How long events are kept, and how much room they may take. What goes beyond is deleted, the oldest first; a client
/// that asks for it is told the gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// How long an event is kept.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "1s"))]
    pub age: Duration,
    /// The most that the file may take. Without a bound a busy source would fill the disk.
    #[serde(with = "size::plain")]
    #[schemars(with = "Size", extend("minimum" = 1_048_576))]
    pub size: u64,
    /// Events kept per channel. No limit by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1), example = 1_000_000)]
    pub events: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_hours(7 * 24), size: 1 << 30, events: None }
    }
}

/// Channels that are kept otherwise than `[history.retention]` says. What is left out here is as there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryChannel {
    /// The channel, or a pattern (`build:*`).
    #[schemars(length(min = 1), example = &"performance_metrics")]
    pub pattern: String,
    /// Whether they are kept on disk at all.
    #[serde(default = "HistoryChannel::stored")]
    pub store: bool,
    /// How long an event is kept.
    #[serde(default, with = "period::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period", extend("x-minimum" = "1s"), example = &"1d")]
    pub age: Option<Duration>,
    /// Events kept per channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1), example = 100_000)]
    pub events: Option<u64>,
    /// Bytes kept per channel.
    #[serde(default, with = "size::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size", extend("minimum" = 65_536), example = &"64MiB")]
    pub size: Option<u64>,
}

impl HistoryChannel {
    fn stored() -> bool {
        true
    }
}

impl History {
    /// Every key with some value.
    pub(super) fn full() -> Self {
        let (age, events, size) = (Some(Duration::from_secs(1)), Some(1), Some(65_536));
        let channel = HistoryChannel { pattern: String::new(), store: true, age, events, size };
        let retention = Retention { events, ..Retention::default() };
        Self { path: Some(PathBuf::new()), retention, channels: vec![channel], ..Self::default() }
    }
}
