//! What a client publishes. The messages of one read are gathered, go to the router one after the other, and are answered
//! when the engine has them; those that it has at once come before those that it has later.

use super::{connection::Connection, shard::Shard};
use crate::{limits::Bucket, publishing::Published, refusal};
use headwater_event::{ChannelName, Draft, Position};
use headwater_protocol::{ErrorCode, Reply, RequestError, RequestId};
use headwater_router::EngineError;
use std::{rc::Rc, time::Instant};

/// A message with so many events goes to the router by itself: moving them would cost more than it saves.
const LARGE: usize = 16;

/// What has been gathered of one client.
pub(super) struct Publishing {
    rate: Bucket,
    waiting: Vec<Batch>,
}

/// The events of one message, or of several small ones in a row whose sender waits for no answer: all or none of them.
struct Batch {
    items: Vec<Draft>,
    request_id: Option<RequestId>,
    /// About how long the answer will be.
    owed: usize,
}

/// A batch whose events are out, and which is answered when the engine has them at its durability.
struct Unanswered {
    ack: Published,
    channels: Vec<ChannelName>,
    request_id: Option<RequestId>,
    owed: usize,
}

impl Publishing {
    /// Nothing yet.
    pub(super) fn new(shard: &Shard) -> Self {
        Self { rate: Bucket::new(shard.publish_rate(), Instant::now()), waiting: Vec::new() }
    }

    /// The last event that waits.
    pub(super) fn last(&self) -> Option<&Draft> {
        self.waiting.last()?.items.last()
    }

    /// Takes the events of a message, if they are not too many.
    pub(super) fn gather(
        &mut self,
        shard: &Shard,
        connection: &Connection,
        items: Vec<Draft>,
        request_id: Option<RequestId>,
        now: Instant,
    ) {
        let amount = u32::try_from(items.len()).unwrap_or(u32::MAX);
        if let Err(wait) = self.rate.take(shard.publish_rate(), amount, now) {
            let message = format!("more events than allowed; go on in {} ms", wait.as_millis().max(1));
            shard.tell(connection, RequestError::new(ErrorCode::RateLimit, message).answering(request_id));
            return;
        }
        match self.waiting.last_mut() {
            Some(before) if before.request_id.is_none() && request_id.is_none() && items.len() < LARGE => {
                before.items.extend(items);
            }
            _ => {
                let position = |item: &Draft| 64 + item.channel.as_str().len();
                let owed = if request_id.is_some() { 64 + items.iter().map(position).sum::<usize>() } else { 0 };
                connection.owed.update(|all| all + owed);
                self.waiting.push(Batch { items, request_id, owed });
            }
        }
    }

    /// Hands what was gathered to the router.
    pub(super) fn flush(&mut self, shard: &mut Shard, connection: &Rc<Connection>) {
        let mut unanswered = Vec::new();
        for batch in self.waiting.drain(..) {
            unanswered.extend(shard.publish(connection, batch));
        }
        if !unanswered.is_empty() {
            shard.answer_later(connection, unanswered);
        }
    }
}

impl Shard {
    fn publish(&mut self, connection: &Rc<Connection>, batch: Batch) -> Option<Unanswered> {
        let Batch { items, request_id, owed } = batch;
        let answered = request_id.is_some();
        let channels: Vec<ChannelName> = items.iter().filter(|_| answered).map(|item| item.channel.clone()).collect();
        match self.publisher.publish(items) {
            Ok(_) if !answered => {}
            Ok(ack) => match ack.try_now() {
                Ok(outcome) => {
                    self.published(connection, channels, outcome, request_id);
                    self.make_room(connection);
                }
                Err(ack) => return Some(Unanswered { ack, channels, request_id, owed }),
            },
            Err(error) => self.tell(connection, refusal::by_router(&error).answering(request_id)),
        }
        connection.owed.update(|all| all.saturating_sub(owed));
        None
    }

    /// Answers each when it is known. One task for all: the engine mostly has them at the same time, and then they go out
    /// in one write.
    fn answer_later(&self, connection: &Rc<Connection>, unanswered: Vec<Unanswered>) {
        let (Some(shared), connection) = (self.myself.upgrade(), connection.clone()) else { return };
        self.tasks.spawn(async move {
            for Unanswered { ack, channels, request_id, owed } in unanswered {
                let outcome = match ack.try_now() {
                    Ok(outcome) => outcome,
                    Err(ack) => {
                        shared.borrow_mut().flush_control(&connection);
                        ack.await
                    }
                };
                connection.owed.update(|all| all.saturating_sub(owed));
                let mut shard = shared.borrow_mut();
                shard.published(&connection, channels, outcome, request_id);
                shard.make_room(&connection);
            }
            shared.borrow_mut().flush_control(&connection);
            // Its reader may wait for what is owed.
            connection.drained.notify_waiters();
        });
    }

    /// Writes the answers out when there are many: those of one read may be more than may wait.
    fn make_room(&mut self, connection: &Rc<Connection>) {
        if connection.has_much_to_read() {
            self.flush_control(connection);
        }
    }

    fn published(
        &self,
        connection: &Connection,
        channels: Vec<ChannelName>,
        outcome: Result<Vec<Position>, EngineError>,
        request_id: Option<RequestId>,
    ) {
        match outcome {
            Ok(positions) => {
                let positions = channels.into_iter().zip(positions).collect();
                connection.reply(&Reply::Published { positions, request_id });
            }
            Err(error) => self.tell(connection, refusal::by_router(&error.into()).answering(request_id)),
        }
    }
}
