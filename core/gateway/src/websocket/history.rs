//! Questions about the past on their way to a thread that may block, and the answers on the way back. A connection has its
//! questions answered one after the other, in their order; a shard some at the same time.

use super::{connection::Connection, shard::Shard};
use crate::history;
use headwater_history::Withdrawal;
use headwater_protocol::{ErrorCode, HistoryRequest, Reply, RequestError};
use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
};
use tokio::sync::Semaphore;

/// Questions of one shard that are answered at the same time. Each may keep a thread and a disk busy for some seconds and
/// hold some megabytes; the others wait.
const AT_ONCE: usize = 2;
/// Questions of one connection that wait for an answer. One more is refused.
const MAX_WAITING: usize = 8;

/// The questions of a shard's connections.
pub(super) struct Questions {
    places: Arc<Semaphore>,
    /// By the connection's number; there while it has any.
    asked: HashMap<u64, Asked>,
}

/// The questions of one connection, the one that is being answered first.
#[derive(Default)]
struct Asked {
    waiting: VecDeque<HistoryRequest>,
    withdrawal: Withdrawal,
}

impl Questions {
    /// None.
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), asked: HashMap::new() }
    }

    /// A connection has gone: its questions end.
    pub(super) fn forget(&mut self, connection: u64) {
        if let Some(asked) = self.asked.remove(&connection) {
            asked.withdrawal.withdraw();
        }
    }

    /// The next question of a connection.
    fn next(&self, connection: u64) -> Option<(HistoryRequest, Withdrawal)> {
        let asked = self.asked.get(&connection)?;
        Some((asked.waiting.front()?.clone(), asked.withdrawal.clone()))
    }

    /// The first question of a connection is answered.
    fn answered(&mut self, connection: u64) {
        let Some(asked) = self.asked.get_mut(&connection) else { return };
        asked.waiting.pop_front();
        if asked.waiting.is_empty() {
            self.asked.remove(&connection);
        }
    }
}

impl Shard {
    /// Takes a question; its answer comes when it comes.
    pub(super) fn history(&mut self, connection: &Rc<Connection>, request: HistoryRequest) {
        let waiting = &mut self.questions.asked.entry(connection.id).or_default().waiting;
        if waiting.len() == MAX_WAITING {
            let message = format!("{MAX_WAITING} questions about the past wait for an answer; wait for one");
            let error = RequestError::new(ErrorCode::RateLimit, message).answering(request.request_id);
            return self.tell(connection, error);
        }
        waiting.push_back(request);
        if waiting.len() == 1
            && let Some(shared) = self.myself.upgrade()
        {
            self.tasks.spawn(answers(shared, connection.clone()));
        }
    }
}

/// Answers a connection's questions until there are no more.
async fn answers(shared: super::shard::Shared, connection: Rc<Connection>) {
    let (places, router, threads) = {
        let shard = shared.borrow();
        (shard.questions.places.clone(), shard.router.clone(), shard.tasks.blocking())
    };
    loop {
        let Some((request, withdrawal)) = shared.borrow().questions.next(connection.id) else { return };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (asked, router) = (request.clone(), router.clone());
        let answer = threads.spawn_blocking(move || {
            let answer = history::answer(&asked, &router, &withdrawal);
            drop(place);
            answer
        });
        let answer = match answer.await {
            Ok(Some(answer)) => answer,
            Ok(None) => return, // nobody waits
            Err(_) => {
                Err(RequestError::new(ErrorCode::Internal, "a fault of the daemon ended this; its log says more"))
            }
        };
        // The answers before it first: each may have a megabyte, and more than that in the lane closes the connection.
        while connection.must_wait() && !connection.ending() {
            connection.drained.notified().await;
        }
        let mut shard = shared.borrow_mut();
        if shard.connection(connection.id).is_none() {
            return;
        }
        shard.questions.answered(connection.id);
        let request_id = request.request_id;
        match answer {
            Ok(data) => connection.reply(&Reply::History { channel: request.channel.to_string(), data, request_id }),
            Err(error) => shard.tell(&connection, error.answering(request_id)),
        }
        shard.flush_control(&connection);
    }
}
