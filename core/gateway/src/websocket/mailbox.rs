//! What other threads put into a shard: sockets, answers to commands, the order to end.

use super::{
    Adopted,
    census::{Census, Question},
    sessions::Token,
};
use crate::ports::CommandAnswer;
use headwater_protocol::{CloseCode, RequestId};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// The most progress messages that may wait. A source that reports faster than the shard takes them loses some; the
/// first and the last answer of a command are never dropped, and their number is bounded by the commands in flight.
const MAX_PROGRESS: usize = 4096;

/// One letter.
pub(super) enum Mail {
    /// A new connection.
    Adopt(Adopted),
    /// An answer for a connection that may have gone.
    Answer { connection: u64, request_id: RequestId, execution_id: String, answer: CommandAnswer },
    /// Another connection has come for the session of this one.
    GiveUp { connection: u64, token: Token, given_up: oneshot::Sender<()> },
    /// Somebody asks who is connected.
    Census { question: Question, answer: oneshot::Sender<Census> },
    /// End.
    Drain { code: CloseCode, grace: Duration },
}

/// The letters of one shard.
#[derive(Default)]
pub(super) struct Mailbox {
    letters: Mutex<VecDeque<Mail>>,
    arrived: Notify,
}

impl Mailbox {
    /// Puts a letter in and wakes the shard.
    pub(super) fn put(&self, mail: Mail) {
        {
            let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
            let progress = matches!(&mail, Mail::Answer { answer: CommandAnswer::Progress { .. }, .. });
            if progress && letters.len() >= MAX_PROGRESS {
                return;
            }
            letters.push_back(mail);
        }
        self.arrived.notify_one();
    }

    /// Waits for a letter and takes it. One by one: what a shard that fails has not taken is there for its next life.
    pub(super) async fn take(&self) -> Mail {
        loop {
            let letter = self.letters.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(letter) = letter {
                return letter;
            }
            self.arrived.notified().await;
        }
    }
}
