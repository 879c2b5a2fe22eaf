//! Replies and notices as values: what the gateway says to one connection.

use crate::{ErrorCode, RequestId};
use headwater_event::{ChannelName, Event, Gap, Position};
use std::sync::Arc;

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
    },
    /// A request was refused, or the connection is about to be closed.
    Error {
        /// What kind of error.
        code: ErrorCode,
        /// The place and the fix.
        message: String,
        /// Where to resume, on the last message before a close.
        positions: Vec<(ChannelName, Position)>,
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
