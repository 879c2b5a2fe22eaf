//! A question to the store, asked on a blocking thread. One per follower at a time, and few for all together.

use crate::{
    cursor::{Found, Question},
    hub::Hub,
};
use headwater_router::{ChannelLog, EngineError};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A question under way for one cursor.
#[derive(Debug)]
pub(crate) struct Errand {
    /// The cursor's number.
    pub(crate) cursor: u32,
    asked: JoinHandle<Answer>,
    answer: Option<Answer>,
}

/// What the store said.
pub(crate) type Answer = Result<Found, EngineError>;

impl Errand {
    /// Sends one.
    pub(crate) fn send(hub: &Arc<Hub>, cursor: u32, log: Arc<ChannelLog>, question: Question) -> Self {
        let (router, reads, tasks) = (hub.router.clone(), hub.store_reads.clone(), hub.tasks.clone());
        let asked = hub.tasks.spawn(async move {
            let _turn = reads.acquire_owned().await;
            let asked = tasks.spawn_blocking(move || question.ask(&router, &log)).await;
            asked.unwrap_or_else(|error| Err(EngineError::Down(format!("a read of the store has panicked: {error}"))))
        });
        Self { cursor, asked, answer: None }
    }

    /// Whether the answer is there, or as good as.
    pub(crate) fn is_back(&self) -> bool {
        self.answer.is_some() || self.asked.is_finished()
    }

    /// Waits until there is an answer. May be dropped and called again.
    pub(crate) async fn back(&mut self) {
        if self.answer.is_none() {
            let asked = (&mut self.asked).await;
            let ended = |error| Err(EngineError::Down(format!("a read of the store was ended: {error}")));
            self.answer = Some(asked.unwrap_or_else(ended));
        }
    }

    /// The cursor and its answer, if it is there; otherwise the errand again.
    pub(crate) fn answer(mut self) -> Result<(u32, Answer), Self> {
        self.answer.take().map(|answer| (self.cursor, answer)).ok_or(self)
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        // One that waits for its turn need not take it.
        self.asked.abort();
    }
}
