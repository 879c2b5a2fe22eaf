//! A subscription as a value: which channels, which events, from where. How they are delivered stands in `options.rs`.

use super::{OneOrMany, Options, RequestId};
use headwater_event::{ChannelName, ChannelPattern, Position, Severity, Timestamp};
use serde::Deserialize;

/// A subscription to channels and patterns, with one filter and one set of options.
#[derive(Debug)]
pub struct Subscribe {
    /// What was asked for and can be had.
    pub channels: Vec<ChannelPattern>,
    /// What was asked for and is no channel name; the answer is then partial.
    pub refused: Vec<(String, String)>,
    /// Which events.
    pub filter: FilterSpec,
    /// From where.
    pub start: Start,
    /// How they are delivered.
    pub options: Options,
    /// Echoed.
    pub request_id: Option<RequestId>,
}

/// Which events of a channel are wanted. Empty lists want all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterSpec {
    /// Globs over the type.
    #[serde(deserialize_with = "strings")]
    pub types: Vec<String>,
    /// The least severity.
    #[serde(deserialize_with = "severity")]
    pub severity: Option<Severity>,
    /// Globs over attributes: all must fit.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// Names of sources.
    #[serde(deserialize_with = "strings")]
    pub sources: Vec<String>,
    /// A CEL expression over the event, not compiled yet. `where` on the wire.
    #[serde(rename = "where")]
    pub expression: Option<String>,
}

fn strings<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    OneOrMany::deserialize(deserializer).map(OneOrMany::into_vec)
}

fn severity<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Severity>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    word.map(|word| word.parse().map_err(serde::de::Error::custom)).transpose()
}

/// Where a subscription starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The same for every channel.
    At(StartAt),
    /// By channel; channels that are not named start at the latest.
    ByChannel(Vec<(ChannelName, Position)>),
}

/// A place to start at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With what comes next.
    Latest,
    /// With the oldest event that can be had.
    Earliest,
    /// With the event after this one.
    After(Position),
    /// With the first event observed at this time or later.
    Since(Timestamp),
}
