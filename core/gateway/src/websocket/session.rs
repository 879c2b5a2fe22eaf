//! What a client's request does. Requests of one read are taken together: events that are published one after the other
//! go to the router as one batch.

use super::{connection::Connection, shard::Shard};
use crate::limits::{Bucket, Rate};
use headwater_event::{ChannelName, ChannelPattern, Event, Position};
use headwater_protocol::{
    CloseCode, ErrorCode, Reply, Request, RequestError, RequestId, Resumed, publish::PublishItem,
};
use headwater_router::RouterError;
use std::{rc::Rc, sync::Arc, time::Instant};

/// What may be done while authentication is not enabled.
const EVERYTHING: &[&str] = &["monitor", "control", "admin"];

/// What a session remembers from one message to the next.
pub(super) struct Session {
    /// Who publishes, for the events.
    source: Arc<str>,
    published: Bucket,
    /// Messages that published, not yet handed to the router.
    waiting: Vec<(Vec<PublishItem>, Option<RequestId>)>,
}

impl Session {
    /// A session that has said nothing.
    pub(super) fn new(shard: &Shard) -> Self {
        let rate = shard.publish_rate();
        Self { source: "client".into(), published: Bucket::new(rate, Instant::now()), waiting: Vec::new() }
    }

    /// Handles one message.
    pub(super) fn message(&mut self, shard: &mut Shard, connection: &Rc<Connection>, text: &str) {
        match connection.dialect.decode(text) {
            Ok(Request::Publish { items, request_id }) => self.gather(shard, connection, items, request_id),
            Ok(request) => {
                // In the order that the client said it: what it published comes first.
                self.publish(shard, connection);
                shard.request(connection, request);
            }
            Err(error) => {
                self.publish(shard, connection);
                shard.tell(connection, error);
            }
        }
    }

    fn gather(
        &mut self,
        shard: &mut Shard,
        connection: &Rc<Connection>,
        items: Vec<PublishItem>,
        request_id: Option<RequestId>,
    ) {
        let amount = u32::try_from(items.len()).unwrap_or(u32::MAX);
        if let Err(wait) = self.published.take(shard.publish_rate(), amount, Instant::now()) {
            let message = format!("more events than allowed; go on in {} ms", wait.as_millis().max(1));
            shard.tell(connection, RequestError::new(ErrorCode::RateLimit, message).answering(request_id));
            return;
        }
        self.waiting.push((items, request_id));
    }

    /// Hands the gathered events to the router.
    pub(super) fn publish(&mut self, shard: &mut Shard, connection: &Rc<Connection>) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.iter().all(|(_, request_id)| request_id.is_none()) {
            // Nobody waits for an answer of his own: one batch, all or none of it.
            let whole = waiting.into_iter().flat_map(|(items, _)| items).collect();
            return shard.publish(connection, whole, &self.source, None);
        }
        for (items, request_id) in waiting {
            shard.publish(connection, items, &self.source, request_id);
        }
    }
}

impl Shard {
    fn publish_rate(&self) -> Rate {
        let limits = &self.options.limits;
        Rate::new(limits.publish_per_second, limits.publish_per_second)
    }

    /// Does what a request asks for, all but publishing.
    fn request(&mut self, connection: &Rc<Connection>, request: Request) {
        match request {
            Request::Subscribe(subscribe) => self.subscribe(connection, subscribe),
            Request::Unsubscribe { channels, request_id } => self.unsubscribe(connection, &channels, request_id),
            Request::Publish { .. } => unreachable!("publishing is gathered by the session"),
            Request::Snapshot { channels, request_id } => {
                let events = self.snapshot(&channels);
                connection.reply(&Reply::Snapshot { events, request_id });
            }
            Request::History(request) => self.history(connection, request),
            Request::Replay(request) => self.replay(connection, request),
            Request::ReplayControl { replay_id, action, request_id } => {
                self.steer(connection, &replay_id, action, request_id);
            }
            Request::Command(command) => self.command(connection, command),
            Request::Heartbeat { timestamp } => {
                let positions = self.positions(connection);
                connection.reply(&Reply::Heartbeat { timestamp, connection_id: &connection.name(), positions });
            }
            Request::Authenticate { reconnect_token: Some(token), last_message_id, request_id, .. } => {
                self.come_back(connection, &token, last_message_id, request_id);
            }
            Request::Authenticate { request_id, .. } => self.authenticated(connection, None, request_id),
            Request::Disconnect { reason, save_session } => {
                tracing::debug!(peer = %connection.peer, reason, "a client says goodbye");
                connection.save.set(save_session);
                connection.close(CloseCode::Normal, "client_request");
            }
        }
    }

    /// Answers `auth`.
    pub(super) fn authenticated(
        &mut self,
        connection: &Rc<Connection>,
        resumed: Option<Resumed>,
        request_id: Option<RequestId>,
    ) {
        let session_id = &self.token(connection).unwrap_or_else(|| connection.name());
        connection.reply(&Reply::Authenticated { session_id, permissions: EVERYTHING, resumed, request_id });
    }

    fn snapshot(&self, channels: &[ChannelPattern]) -> Vec<Arc<Event>> {
        let mut events: Vec<Arc<Event>> = channels.iter().flat_map(|pattern| self.router.snapshot(pattern)).collect();
        // Two patterns may mean the same channel.
        let mut seen = std::collections::HashSet::new();
        events.retain(|event| seen.insert(event.id));
        events
    }

    /// Tells a client why its request was refused.
    pub(super) fn tell(&self, connection: &Connection, error: RequestError) {
        self.metrics.error(error.code);
        connection.reply(&Reply::Error {
            code: error.code,
            message: error.message,
            positions: Vec::new(),
            session: None,
            request_id: error.request_id,
        });
    }

    fn publish(
        &mut self,
        connection: &Rc<Connection>,
        items: Vec<PublishItem>,
        source: &Arc<str>,
        request_id: Option<RequestId>,
    ) {
        let answered = request_id.is_some();
        let channels: Vec<ChannelName> = items.iter().filter(|_| answered).map(|item| item.channel().clone()).collect();
        let ack = match self.publisher.publish(items, source) {
            Ok(ack) => ack,
            Err(error) => return self.tell(connection, refusal(&error).answering(request_id)),
        };
        if !answered {
            return;
        }
        match ack.try_now() {
            Ok(outcome) => self.published(connection, channels, outcome.map_err(RouterError::from), request_id),
            Err(pending) => {
                let (Some(shared), connection) = (self.myself.upgrade(), connection.clone()) else { return };
                self.tasks.spawn(async move {
                    let outcome = pending.await.map_err(RouterError::from);
                    let mut shard = shared.borrow_mut();
                    shard.published(&connection, channels, outcome, request_id);
                    shard.flush_control(&connection);
                });
            }
        }
    }

    fn published(
        &mut self,
        connection: &Rc<Connection>,
        channels: Vec<ChannelName>,
        outcome: Result<Vec<Position>, RouterError>,
        request_id: Option<RequestId>,
    ) {
        match outcome {
            Ok(positions) => {
                let positions = channels.into_iter().zip(positions).collect();
                connection.reply(&Reply::Published { positions, request_id });
            }
            Err(error) => self.tell(connection, refusal(&error).answering(request_id)),
        }
    }
}

/// What a client is told when the router does not take its events.
fn refusal(error: &RouterError) -> RequestError {
    use headwater_router::EngineError;
    let code = match error {
        RouterError::TooManyChannels { .. } | RouterError::Engine(EngineError::Refused(_)) => ErrorCode::Validation,
        RouterError::Engine(EngineError::Busy(_) | EngineError::Down(_)) => ErrorCode::Unavailable,
    };
    RequestError::new(code, error.to_string())
}
