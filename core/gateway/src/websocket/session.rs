//! What a client's request does.

use super::{connection::Connection, publish::Publishing, shard::Shard};
use crate::limits::Rate;
use headwater_event::{ChannelPattern, Event};
use headwater_protocol::{CloseCode, Reply, Request, RequestError, RequestId, Resumed};
use std::{rc::Rc, sync::Arc, time::Instant};

/// What may be done while authentication is not enabled.
const EVERYTHING: &[&str] = &["monitor", "control", "admin"];

/// What a session remembers from one message to the next.
pub(super) struct Session {
    publishing: Publishing,
}

impl Session {
    /// A session that has said nothing.
    pub(super) fn new(shard: &Shard) -> Self {
        Self { publishing: Publishing::new(shard) }
    }

    /// Handles one message of this moment.
    pub(super) fn message(&mut self, shard: &mut Shard, connection: &Rc<Connection>, text: &str, now: Instant) {
        match connection.dialect.decode(text, self.publishing.last()) {
            Ok(Request::Publish { items, request_id }) => {
                self.publishing.gather(shard, connection, items, request_id, now);
            }
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

    /// Publishes what the messages so far have brought.
    pub(super) fn publish(&mut self, shard: &mut Shard, connection: &Rc<Connection>) {
        self.publishing.flush(shard, connection);
    }
}

impl Shard {
    pub(super) fn publish_rate(&self) -> Rate {
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
}
