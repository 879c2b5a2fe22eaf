//! What a client publishes. The messages of one read are gathered, go to the router one after the other, and are answered
//! when the engine has them; those that it has at once come before those that it has later.

use super::{connection::Connection, shard::Shard};
use crate::{limits::Bucket, publishing::Published, refusal};
use headwater_event::{ChannelName, Draft, Position};
use headwater_protocol::{ErrorCode, Reply, RequestError, RequestId};
use headwater_router::{EngineError, RouterError};
use std::{rc::Rc, time::Instant};

/// A message with so many events goes to the router by itself: moving them would cost more than it saves.
const LARGE: usize = 16;

/// The most events of messages that are put together.
const TOGETHER: usize = 256;

/// What has been gathered of one client.
pub(super) struct Publishing {
    rate: Bucket,
    waiting: Vec<Batch>,
}

/// The events of one message, or of several small ones in a row: all or none of them. Those whose senders wait for answers
/// are put together only where they are for one channel: then each comes to the same as by itself.
struct Batch {
    items: Vec<Draft>,
    /// Those who wait for an answer, in the order of their events; none, or all.
    asked: Vec<Asked>,
    /// Small messages of the same kind may be put to it.
    open: bool,
}

/// A message that is to be answered.
struct Asked {
    request_id: RequestId,
    /// How many events it has.
    events: usize,
    /// About how long the answer will be.
    owed: usize,
}

/// A batch whose events are out, and which is answered when the engine has them at its durability.
struct Unanswered {
    ack: Published,
    channels: Vec<ChannelName>,
    asked: Vec<Asked>,
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
        let asked = request_id.map(|request_id| {
            let owed = 64 + items.iter().map(|item| 64 + item.channel.as_str().len()).sum::<usize>();
            connection.owed.update(|all| all + owed);
            Asked { request_id, events: items.len(), owed }
        });
        let open = items.len() < LARGE && (asked.is_none() || is_plain(&items));
        match self.waiting.last_mut() {
            Some(before) if open && before.takes(&items, asked.is_some()) => {
                before.items.extend(items);
                before.asked.extend(asked);
            }
            _ => self.waiting.push(Batch { items, asked: asked.into_iter().collect(), open }),
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

/// Whether all go to one channel, and none is one that may have been published before.
fn is_plain(items: &[Draft]) -> bool {
    items.iter().all(|item| item.channel == items[0].channel && item.idempotency_key.is_none())
}

impl Batch {
    /// Whether the events of one more message, which is open too, can be put to these.
    fn takes(&self, items: &[Draft], asked: bool) -> bool {
        let alike = || match (self.items.last(), items.first()) {
            (Some(last), Some(first)) => !asked || last.channel == first.channel,
            _ => false,
        };
        self.open && asked != self.asked.is_empty() && self.items.len() + items.len() <= TOGETHER && alike()
    }
}

impl Shard {
    fn publish(&mut self, connection: &Rc<Connection>, batch: Batch) -> Option<Unanswered> {
        let Batch { items, asked, .. } = batch;
        let answered = !asked.is_empty();
        let channels: Vec<ChannelName> = items.iter().filter(|_| answered).map(|item| item.channel.clone()).collect();
        match self.publisher.publish(items) {
            Ok(_) if !answered => {}
            Ok(ack) => match ack.try_now() {
                Ok(outcome) => self.published(connection, channels, outcome, asked),
                Err(ack) => return Some(Unanswered { ack, channels, asked }),
            },
            Err(error) if answered => self.refused(connection, &error, asked),
            Err(error) => self.tell(connection, refusal::by_router(&error)),
        }
        None
    }

    /// Answers each when it is known. One task for all: the engine mostly has them at the same time, and then they go out
    /// in one write.
    fn answer_later(&self, connection: &Rc<Connection>, unanswered: Vec<Unanswered>) {
        let (Some(shared), connection) = (self.myself.upgrade(), connection.clone()) else { return };
        self.tasks.spawn(async move {
            for Unanswered { ack, channels, asked } in unanswered {
                let outcome = match ack.try_now() {
                    Ok(outcome) => outcome,
                    Err(ack) => {
                        shared.borrow_mut().flush_control(&connection);
                        ack.await
                    }
                };
                shared.borrow_mut().published(&connection, channels, outcome, asked);
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
        &mut self,
        connection: &Rc<Connection>,
        channels: Vec<ChannelName>,
        outcome: Result<Vec<Position>, EngineError>,
        asked: Vec<Asked>,
    ) {
        let positions = match outcome {
            Ok(positions) => positions,
            Err(error) => return self.refused(connection, &error.into(), asked),
        };
        let mut positions = channels.into_iter().zip(positions);
        for Asked { request_id, events, owed } in asked {
            let positions = positions.by_ref().take(events).collect();
            connection.owed.update(|all| all.saturating_sub(owed));
            connection.reply(&Reply::Published { positions, request_id: Some(request_id) });
            self.make_room(connection);
        }
    }

    fn refused(&mut self, connection: &Rc<Connection>, error: &RouterError, asked: Vec<Asked>) {
        for Asked { request_id, owed, .. } in asked {
            connection.owed.update(|all| all.saturating_sub(owed));
            self.tell(connection, refusal::by_router(error).answering(Some(request_id)));
            self.make_room(connection);
        }
    }
}
