//! What a runner tells of its server.

use crate::{
    health::Outcome,
    process::{Process, child::Ending, stderr::Written},
};
use headwater_plugin::tokio::time::Instant;
use rmcp::model::ServerPeerInfo;
use std::time::Duration;

/// What was seen of a server.
#[derive(Debug)]
pub(crate) struct Report {
    /// Of which.
    pub(crate) server: String,
    /// By which runner of it.
    pub(crate) run: u64,
    /// When.
    pub(crate) at: Instant,
    /// What.
    pub(crate) seen: Seen,
}

/// What may be seen.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It was started, or its URL is asked for the first time.
    Started {
        /// Its process, where it is ours.
        process: Option<Process>,
    },
    /// It answers.
    Ready(Box<Greeting>),
    /// It lives, and answers only those who have an authorization.
    Locked,
    /// So many tools it has.
    Tools(u32),
    /// A ping was answered.
    Pong {
        /// How.
        outcome: Outcome,
        /// After this time.
        latency: Duration,
        /// Bytes and lines that it wrote to its standard error.
        written: (u64, u64),
        /// Lines of its output that were no messages.
        noise: u64,
    },
    /// So many pings in a row were not answered.
    Silent {
        /// How many.
        calls: u32,
        /// How long the first of them was waited for.
        waited: Duration,
    },
    /// Its process has ended; all else that is to be told of it follows.
    Gone {
        /// How: `signal 9`.
        reason: String,
    },
    /// It runs no more, or is reached no more.
    Ended(Box<Ended>),
}

/// A greeting that was answered.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// `initialize` or `discover`.
    pub(crate) era: &'static str,
    /// What it says of itself.
    pub(crate) info: ServerPeerInfo,
    /// From the start to the answer.
    pub(crate) took: Duration,
    /// How many tools it has, where it says.
    pub(crate) tools: Option<u32>,
}

/// Whose doing an end was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// Somebody asked for it.
    Asked,
    /// It ended by itself.
    ByItself,
    /// It was given up, or was never there.
    #[default]
    GivenUp,
}

/// An end.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Why, for people: `signal 9`.
    pub(crate) reason: String,
    /// It had answered.
    pub(crate) was_ready: bool,
    /// Whose doing it was.
    pub(crate) way: Way,
    /// It gave no answer in this time.
    pub(crate) timeout: Option<Duration>,
    /// How its process ended.
    pub(crate) ending: Option<Ending>,
    /// What it wrote to its standard error.
    pub(crate) written: Option<Written>,
    /// When it is started again.
    pub(crate) again: Option<Duration>,
    /// Ends that nobody asked for, so far.
    pub(crate) restarts: u64,
    /// It does nothing but end.
    pub(crate) flapping: bool,
}
