//! How a webhook is doing, for operators. Names no secret, and of the address no query.

use headwater_event::{ChannelName, Position, Timestamp};
use std::sync::{Mutex, PoisonError};

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookStatus {
    /// Its name.
    pub name: String,
    /// Where it posts to, without the query.
    pub url: String,
    /// What it does.
    pub state: WebhookState,
    /// What has been counted since the daemon started.
    pub counts: Counts,
    /// When the endpoint last took something.
    pub last_success: Option<Timestamp>,
    /// Why the last attempt that failed did, for people.
    pub last_error: Option<String>,
    /// The last event the endpoint has, per channel.
    pub positions: Vec<(ChannelName, Position)>,
}

/// What a webhook does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookState {
    /// It sends what comes.
    Sending,
    /// The endpoint did not take an event; it is tried again, and the others wait.
    Retrying {
        /// The attempts that have failed.
        failed: u32,
        /// When the next is due.
        next: Timestamp,
    },
    /// The config says that it does not run.
    Disabled,
    /// The endpoint answered 410: it wants nothing any more. A change of its table, or a start of the daemon, tries anew.
    Gone,
    /// It cannot run; the reason is for people. A reload tries anew.
    Failed(String),
    /// The daemon is ending.
    Stopped,
}

impl WebhookState {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Retrying { .. } => "retrying",
            Self::Disabled => "disabled",
            Self::Gone => "gone",
            Self::Failed(_) => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// What has been counted since the daemon started; a change of the webhook does not reset it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that the endpoint took.
    pub delivered: u64,
    /// Gaps that it was told of.
    pub gaps: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events that went to the dead-letter channel.
    pub dead_letters: u64,
}

/// The part that changes while a webhook runs.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) state: WebhookState,
    pub(crate) counts: Counts,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

/// It, shared between a webhook's task and whoever asks.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Progress>);

impl Board {
    pub(crate) fn new(state: WebhookState) -> Self {
        let counts = Counts::default();
        Self(Mutex::new(Progress { state, counts, last_success: None, last_error: None }))
    }

    pub(crate) fn read(&self) -> Progress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut Progress) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what it does now.
    pub(crate) fn is(&self, state: WebhookState) {
        self.write(|progress| progress.state = state);
    }
}
