//! `[router]`, `[plugins]`, `[supervision]` and `[log]`.

use crate::{Period, Size, period, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};

/// How much of the past the router keeps in memory, for clients that reconnect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouterLimits {
    /// Memory for the events of all channels together. The oldest go first.
    #[serde(with = "size::plain")]
    #[schemars(with = "Size", extend("minimum" = 1_048_576))]
    pub memory: u64,
    /// Events kept per channel.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub channel_events: usize,
    /// Bytes kept per channel.
    #[serde(with = "size::plain")]
    #[schemars(with = "Size", extend("minimum" = 65_536))]
    pub channel_bytes: u64,
    /// How long an event is kept.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "1s"))]
    pub channel_age: Duration,
    /// Channels held at once. Publishing to one more is refused: a publisher that invents names would fill the memory.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_channels: usize,
}

impl Default for RouterLimits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            channel_events: 10_000,
            channel_bytes: 8 << 20,
            channel_age: Duration::from_hours(1),
            max_channels: 10_000,
        }
    }
}

/// Where plugins are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// Directories to search first, before ./plugins, the build's own output and ~/.local/share/headwater/plugins.
    /// A relative one is taken from the directory of the config file; `~/` is the home directory.
    pub directories: Vec<PathBuf>,
}

/// What happens to a source that fails, and how far one may run ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Supervision {
    /// Pause before a failed source is started again. It doubles with each failure, with jitter.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub backoff_min: Duration,
    /// The longest such pause.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1d"))]
    pub backoff_max: Duration,
    /// So many failures within `quarantine_window` put a source in quarantine: it rests.
    #[schemars(range(min = 1, max = 1_000))]
    pub quarantine_after: u32,
    /// The time within which `quarantine_after` counts.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "1s", "x-maximum" = "1d"))]
    pub quarantine_window: Duration,
    /// How long a source rests in quarantine before one more try. `headwater source restart` ends it at once.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "1s", "x-maximum" = "7d"))]
    pub quarantine_for: Duration,
    /// Events a source may be ahead of the router. Beyond that it waits or drops, as it chooses, and drops are counted:
    /// a flooding source can fill no memory and delay no other.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: u32,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
            quarantine_after: 5,
            quarantine_window: Duration::from_mins(1),
            quarantine_for: Duration::from_mins(10),
            queue: 1024,
        }
    }
}

/// What the daemon writes to its log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least important line that is written: error, warn, info, debug or trace.
    pub level: LogLevel,
    /// How a line looks: human for people, json for log collectors.
    pub format: LogFormat,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)] // The names say it; docs would only blow the enum up in the JSON Schema.
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The word in the config: `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)] // As above.
pub enum LogFormat {
    #[default]
    Human,
    Json,
}
