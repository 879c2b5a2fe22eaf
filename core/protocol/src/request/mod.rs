//! Requests as values: what a client wants, whatever dialect it said it in.

mod history;
mod options;
mod replay;
mod subscribe;

pub use history::{AggregateSpec, Granularity, HistoryRequest, Order};
pub use options::{ConflateBy, LagPolicy, Options, Pace};
pub use replay::{ReplayAction, ReplayRequest};
pub use subscribe::{FilterSpec, Start, StartAt, Subscribe};

use bytes::Bytes;
use headwater_event::{ChannelPattern, Draft};
use serde::Deserialize;
use std::fmt;
use uuid::Uuid;

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
        items: Vec<Draft>,
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
    /// What was: events of the past, or what they come to.
    History(HistoryRequest),
    /// Let a stretch of the past come as if it happened now.
    Replay(ReplayRequest),
    /// Change a replay that runs.
    ReplayControl {
        /// As the answer to `replay` named it.
        replay_id: String,
        /// What it shall do.
        action: ReplayAction,
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
    /// Show who I am, or who I was: one of the two tokens is there.
    Authenticate {
        /// With or without a `Bearer ` prefix.
        token: Option<String>,
        /// Of an earlier connection, whose subscriptions shall go on.
        reconnect_token: Option<String>,
        /// The last event that the earlier connection handled, when it knows.
        last_message_id: Option<Uuid>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// Close, please.
    Disconnect {
        /// Goes to the log.
        reason: Option<String>,
        /// Keep the subscriptions for whoever comes with the reconnect token.
        save_session: bool,
    },
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
