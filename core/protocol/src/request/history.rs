//! A question about the past as a value. The history room answers it.

use super::{FilterSpec, RequestId};
use headwater_event::{ChannelPattern, Timestamp};

/// Events of some channels in a range of time, or what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRequest {
    /// Which channels.
    pub channel: ChannelPattern,
    /// From this time on, this one included.
    pub since: Option<Timestamp>,
    /// Until this time, this one not included.
    pub until: Option<Timestamp>,
    /// Which events.
    pub filter: FilterSpec,
    /// Which end comes first.
    pub order: Order,
    /// The most events, or points, of the answer.
    pub limit: Option<usize>,
    /// From an earlier answer: what comes after it.
    pub cursor: Option<String>,
    /// Points instead of events.
    pub aggregate: Option<AggregateSpec>,
    /// Echoed.
    pub request_id: Option<RequestId>,
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    #[default]
    Ascending,
    /// The newest first.
    Descending,
}

/// Events counted and measured in stretches of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateSpec {
    /// How long a stretch is.
    pub granularity: Granularity,
    /// Numbers in the data, by dotted path or by name. Without any the events are counted.
    pub metrics: Vec<String>,
}

/// How long the stretches of an aggregate are. They begin where UTC's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// A second.
    Second,
    /// A minute.
    #[default]
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Granularity {
    /// Every granularity.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|granularity| granularity.as_str() == word)
    }
}
