//! What a stream tells the program that reads it, as values. `message` reads them from the wire.

use crate::{Closed, Event, Places, Problem};
use headwater_event::{Epoch, Position};
use serde::Deserialize;

/// One thing that a stream tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An event of a subscription.
    Event(Event),
    /// Events that will not come.
    Gap(Gap),
    /// This reader is slow and will lose events soon.
    Lag(Lag),
    /// Where each channel stands, so that a quiet one can be resumed too.
    Places(Places),
    /// A step of a command.
    Answer(Answer),
    /// Something else that the daemon has to say.
    Notice(Notice),
    /// The connection has ended; nothing comes after this.
    Closed(Closed),
}

/// Events of a channel that will not come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Gap {
    /// The channel.
    pub channel: String,
    /// The epoch, 16 hexadecimal digits.
    pub epoch: String,
    /// The first offset missing.
    pub from: u64,
    /// The last offset missing; below `from` when a new epoch is read from its beginning, and only what the old epoch
    /// still had is lost.
    pub to: u64,
    /// `slow_consumer`, `retention`, `source_drop`, `corruption` or `epoch_change`.
    pub reason: String,
}

impl Gap {
    /// The position to go on from.
    pub fn end(&self) -> Option<Position> {
        Some(Position { epoch: Epoch::parse(&self.epoch)?, offset: self.to })
    }
}

/// How far this reader is behind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Lag {
    /// The channel.
    pub channel: String,
    /// Events.
    pub behind: u64,
    /// About as many bytes.
    pub bytes: u64,
}

/// A step of a command, in order: accepted, any progress, then completed or failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The request that it answers.
    pub request_id: String,
    /// The message as it came, one line of JSON.
    pub line: String,
    /// Which step.
    pub step: Step,
}

/// A step of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The source has taken it.
    Accepted {
        /// What the source says.
        message: Option<String>,
    },
    /// The source is at work.
    Progress {
        /// What it is doing.
        current_step: Option<String>,
        /// How far it is, 0 to 100.
        completion_percent: Option<f64>,
    },
    /// The source is done.
    Completed {
        /// A JSON value.
        result: String,
    },
    /// It was refused, or it failed.
    Failed(Box<Problem>),
}

/// Something that the daemon has to say and that answers no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// An error code, or the type of a message that this client does not know.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A channel that could not be subscribed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FailedChannel {
    /// As it was asked for.
    pub channel: String,
    /// What kind of error.
    #[serde(rename = "error_code")]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

impl FailedChannel {
    pub(crate) fn problem(&self, line: &str) -> Problem {
        Problem { status: 0, code: self.code.clone(), detail: self.notice().message, body: line.to_owned() }
    }

    pub(crate) fn notice(&self) -> Notice {
        Notice { code: self.code.clone(), message: format!("{}: {}", self.channel, self.message) }
    }
}
