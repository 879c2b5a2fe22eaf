//! Which events a tool is asked for.

use super::{arguments::wrong, fault::Fault};
use crate::origin::filter_of;
use headwater_event::{ChannelPattern, Severity};
use headwater_filter::Filter;
use headwater_protocol::{FilterSpec, Options};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Channels, and which of their events.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Which {
    /// A channel such as `agent`, or a pattern such as `workflow:*` or `*` (all channels). `list_channels` tells which there
    /// are; those of a pattern that come to be later belong to it.
    pub(super) channel: String,
    /// Only these event types; globs are allowed, as in `["task_*", "agent_removed"]`. Several widen.
    #[serde(default)]
    types: Vec<String>,
    /// Only this severity and worse. An event without one counts as info.
    severity: Option<Level>,
    /// Only events for which this CEL expression is true, as in `data.status == "failed"` or
    /// `severity >= "warning" && attributes.agent == "claude:x"`. It sees type, channel, source, severity, time, attributes
    /// and data. At most 4096 bytes.
    r#where: Option<String>,
    /// Only events of these sources, as in `["tmux"]`. Events that clients publish have the source `client`. Several widen.
    #[serde(default)]
    sources: Vec<String>,
    /// Only events with these attributes; values may be globs. All must fit.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
            Level::Critical => Self::Critical,
        }
    }
}

impl Which {
    /// The channels.
    pub(super) fn pattern(&self) -> Result<ChannelPattern, Fault> {
        ChannelPattern::parse(&self.channel).map_err(|error| wrong(format!("`channel`: {error}")))
    }

    /// Which of their events.
    pub(super) fn filter(self) -> Result<Filter, Fault> {
        let spec = FilterSpec {
            types: self.types,
            severity: self.severity.map(Severity::from),
            attributes: self.attributes,
            sources: self.sources,
            expression: self.r#where,
        };
        Ok(filter_of(&spec, &Options::default())?)
    }
}
