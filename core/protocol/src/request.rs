//! Requests as values: what a client wants, whatever dialect it said it in.

use crate::publish::PublishItem;
use bytes::Bytes;
use headwater_event::{ChannelName, ChannelPattern, Position, Severity};
use serde::Deserialize;
use std::fmt;

/// The longest `request_id`, in bytes: it is echoed in every answer.
const MAX_REQUEST_ID: usize = 128;

/// A client's own name for a request, echoed as it came: a JSON string or number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The JSON text, ready to be written into an answer.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        if text.len() > MAX_REQUEST_ID {
            return Err(serde::de::Error::custom(format!("request_id has at most {MAX_REQUEST_ID} bytes")));
        }
        match text.as_bytes().first() {
            Some(b'"' | b'0'..=b'9' | b'-') => Ok(Self(text.into())),
            _ => Err(serde::de::Error::custom("request_id is a string or a number")),
        }
    }
}

/// A string, or a list of strings: the seeds use both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a string or a list of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// What a client asked for.
#[derive(Debug)]
pub enum Request {
    /// Let events come.
    Subscribe(Subscribe),
    /// Let them come no more.
    Unsubscribe {
        /// The patterns as they were subscribed.
        channels: Vec<ChannelPattern>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// Publish events, all or none.
    Publish {
        /// At least one.
        items: Vec<PublishItem>,
        /// Echoed; without one there is no answer to a publish that succeeds.
        request_id: Option<RequestId>,
    },
    /// The retained events of some channels.
    Snapshot {
        /// Which channels.
        channels: Vec<ChannelPattern>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// Ask a source to do something.
    Command(CommandRequest),
    /// Are you there?
    Heartbeat {
        /// Echoed.
        timestamp: Option<String>,
    },
    /// Show who I am.
    Authenticate {
        /// With or without a `Bearer ` prefix.
        token: String,
    },
    /// Close, please.
    Disconnect {
        /// Goes to the log.
        reason: Option<String>,
    },
}

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
    /// With the oldest event held.
    Earliest,
    /// With the event after this one.
    After(Position),
}

/// What happens when a subscription falls so far behind that the log no longer holds its next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LagPolicy {
    /// A `gap` notice, then on with the oldest event held.
    #[default]
    Gap,
    /// The connection is closed with 4410.
    Disconnect,
}

/// The delivery options of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Send what the log still holds before live events.
    pub include_historical: bool,
    /// The least severity.
    pub filter_level: Option<Severity>,
    /// What to do when it falls behind.
    pub lag_policy: LagPolicy,
}

/// A command for a source.
#[derive(Debug)]
pub struct CommandRequest {
    /// `command`, or `source/command`.
    pub target: String,
    /// A JSON object.
    pub parameters: Bytes,
    /// Echoed in each answer.
    pub request_id: RequestId,
}
