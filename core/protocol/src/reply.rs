//! Replies and notices as values: what the gateway says to one connection.

use crate::{ErrorCode, RequestId};
use headwater_event::{ChannelName, Event, Gap, Position, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// A channel that could not be subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedChannel {
    /// As the client wrote it.
    pub channel: String,
    /// What kind of error.
    pub code: ErrorCode,
    /// The place and the fix.
    pub message: String,
}

/// Why a command ended without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandFailure {
    /// One of [`ErrorCode`]'s words, or the source's own.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// A JSON value.
    pub details: Option<String>,
    /// What the person can do.
    pub suggested_action: Option<String>,
}

/// A session whose subscriptions go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The patterns as they were subscribed.
    pub subscriptions: Vec<String>,
    /// Where each channel goes on: events after these come.
    pub positions: Vec<(ChannelName, Position)>,
}

/// What a client needs to go on elsewhere, on the last message before a close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Brings the subscriptions back.
    pub reconnect_token: String,
    /// The last event that the connection was sent.
    pub last_message_id: Option<Uuid>,
}

/// What a replay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayState {
    /// Events come.
    Playing,
    /// It stands still.
    Paused,
    /// It goes on from another time.
    Sought,
    /// The client ended it.
    Stopped,
    /// All of it has come.
    Completed,
    /// All of it has come, and live events do now.
    Live,
}

impl ReplayState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Playing => "playing",
            Self::Paused => "paused",
            Self::Sought => "sought",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Live => "live",
        }
    }
}

/// A page of an answer about the past: events or points. Over HTTP it is the whole answer.
#[derive(Clone, Debug, Default)]
pub struct HistoryData {
    /// From this time on, when one was asked for.
    pub since: Option<Timestamp>,
    /// Until this time, when one was asked for.
    pub until: Option<Timestamp>,
    /// How long the stretches of the points are.
    pub granularity: Option<&'static str>,
    /// In the order asked for.
    pub events: Option<Vec<Arc<Event>>>,
    /// A JSON array.
    pub points: Option<String>,
    /// How many events or points these are.
    pub count: u64,
    /// What belongs here but was lost.
    pub gaps: Vec<Gap>,
    /// Where there is more: asks for it.
    pub cursor: Option<String>,
}

/// One message to one connection.
#[derive(Debug)]
pub enum Reply<'a> {
    /// The answer to `subscribe`.
    Subscribed {
        /// Every pattern that the connection holds now.
        held: Vec<String>,
        /// What could not be had.
        failed: Vec<FailedChannel>,
        /// Where each channel stands: events after these come.
        positions: Vec<(ChannelName, Position)>,
        /// This connection.
        connection_id: &'a str,
        /// Brings the subscriptions back on another connection, where sessions are kept.
        reconnect_token: Option<&'a str>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// The answer to `unsubscribe`.
    Unsubscribed {
        /// What was given up.
        gone: Vec<String>,
        /// Every pattern that the connection still holds.
        held: Vec<String>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// The engine has the events.
    Published {
        /// One for each event, in order.
        positions: Vec<(ChannelName, Position)>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// The retained events.
    Snapshot {
        /// In order of channel and key.
        events: Vec<Arc<Event>>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// The answer to `request_historical_data`.
    History {
        /// As it was asked for.
        channel: String,
        /// What was found.
        data: HistoryData,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// What a replay does: as the answer to a request, or unasked.
    Replay {
        /// The daemon's own name for it.
        replay_id: &'a str,
        /// What it does now.
        state: ReplayState,
        /// How far it has come.
        positions: Vec<(ChannelName, Position)>,
        /// Echoed; without one it was not asked.
        request_id: Option<RequestId>,
    },
    /// The source has taken the command.
    CommandAccepted {
        /// Echoed.
        request_id: RequestId,
        /// The daemon's own name for this run.
        execution_id: &'a str,
        /// What the source says.
        message: Option<String>,
        /// Milliseconds.
        estimated_completion_ms: Option<u64>,
    },
    /// The source is at work.
    CommandProgress {
        /// Echoed.
        request_id: RequestId,
        /// The daemon's own name for this run.
        execution_id: &'a str,
        /// A JSON object.
        progress: String,
        /// A JSON value.
        details: Option<String>,
    },
    /// The source is done.
    CommandCompleted {
        /// Echoed.
        request_id: RequestId,
        /// The daemon's own name for this run.
        execution_id: &'a str,
        /// A JSON value.
        result: String,
    },
    /// The command was refused or failed.
    CommandError {
        /// Echoed.
        request_id: RequestId,
        /// Why.
        failure: CommandFailure,
    },
    /// Here I am.
    Heartbeat {
        /// The client's own, echoed.
        timestamp: Option<String>,
        /// This connection.
        connection_id: &'a str,
        /// Where each channel stands, so that a quiet one can be resumed too.
        positions: Vec<(ChannelName, Position)>,
    },
    /// The answer to `auth`.
    Authenticated {
        /// This connection.
        session_id: &'a str,
        /// What the client may do.
        permissions: &'a [&'a str],
        /// The session that goes on, when one was asked for.
        resumed: Option<Resumed>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// The answer to `auth` with a token that nobody is known by.
    NotAuthenticated {
        /// What is wrong, and what to do.
        message: String,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// A request was refused, or the connection is about to be closed.
    Error {
        /// What kind of error.
        code: ErrorCode,
        /// The place and the fix.
        message: String,
        /// Where to resume, on the last message before a close.
        positions: Vec<(ChannelName, Position)>,
        /// How to come back, on the last message before a close.
        session: Option<Lost>,
        /// Echoed.
        request_id: Option<RequestId>,
    },
    /// Events of a channel will not come.
    Gap(Gap),
    /// The connection reads too slowly and will lose events soon.
    Lag {
        /// The channel.
        channel: ChannelName,
        /// Events.
        behind: u64,
        /// About as many bytes.
        bytes: u64,
    },
}
