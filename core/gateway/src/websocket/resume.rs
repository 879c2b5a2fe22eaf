//! Bringing a session back: what a connection leaves when it ends, and how another one takes it up. At least once: every
//! channel goes on behind the last place that the client is known to have read, or behind the event that it names.

use super::{
    connection::Connection,
    sessions::{Claim, Session, Token},
    shard::{Shard, Shared},
    subscribe::Asked,
};
use crate::origin::filter_of;
use headwater_event::{ChannelName, ChannelPattern, Event, Position};
use headwater_protocol::{CloseCode, ErrorCode, Lost, Reply, RequestId, Resumed};
use headwater_router::{Attach, ChannelLog, EngineError, From as Origin, PageLimit, Paged, Read, ReadLimit, Router};
use std::{collections::HashMap, rc::Rc, sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

/// How long a shard may take to let go of a connection whose client has come back.
const LETTING_GO: Duration = Duration::from_secs(2);
/// How many of a channel's last events are looked at for the last one that a client was sent.
const LAST: ReadLimit = ReadLimit { events: 64, bytes: usize::MAX };
/// How many channels are looked at for that.
const LAST_CHANNELS: usize = 64;

/// A client that comes back.
struct Returning {
    token: Token,
    last_message_id: Option<Uuid>,
    request_id: Option<RequestId>,
}

impl Shard {
    /// The token of a connection, made when it is first asked for. `None`: the system has no random numbers.
    pub(super) fn token(&self, connection: &Connection) -> Option<String> {
        let token = connection.token.get().or_else(|| {
            let token = Token::new()?;
            self.hold(connection, token);
            Some(token)
        })?;
        Some(token.to_string())
    }

    fn hold(&self, connection: &Connection, token: Token) {
        connection.token.set(Some(token));
        self.sessions.register(token, &self.mailbox, connection.id);
    }

    /// How a client that loses its connection comes back, if it has anything to come back to.
    pub(super) fn lost(&self, connection: &Connection) -> Option<Lost> {
        if connection.reading.borrow().subscriptions.is_empty() {
            return None;
        }
        Some(Lost { reconnect_token: self.token(connection)?, last_message_id: self.last_sent(connection) })
    }

    /// About the last event that a connection was sent.
    fn last_sent(&self, connection: &Connection) -> Option<Uuid> {
        let reading = connection.reading.borrow();
        let memberships = reading.memberships.values().take(LAST_CHANNELS);
        let last = memberships.filter_map(|membership| {
            let channel = self.channels.get(membership.channel);
            let place = connection.place(membership.channel, channel.next);
            let group = &channel.groups[membership.group as usize];
            let mut events: Vec<Arc<Event>> = Vec::new();
            let _ =
                channel.log.read(place.saturating_sub(LAST.events as u64).max(channel.log.tail()), LAST, &mut events);
            let sent = |event: &&Arc<Event>| event.position.offset < place && group.wants(event, &self.filters);
            events.iter().rev().find(sent).map(|event| event.id)
        });
        last.max()
    }

    /// A connection ends: its session is kept, unless its client took its leave.
    pub(super) fn leave_session(&self, connection: &Connection, code: Option<CloseCode>) {
        let Some(token) = connection.token.take() else { return };
        let farewell = code == Some(CloseCode::Normal) && !connection.save.get();
        let session = (!farewell).then(|| self.session(connection)).filter(|s| !s.subscriptions.is_empty());
        self.sessions.end(token, session);
    }

    /// What a connection has subscribed to, and how far its client is known to have read.
    pub(super) fn session(&self, connection: &Connection) -> Session {
        let reading = connection.reading.borrow();
        let subscriptions = reading.subscriptions.iter().map(|s| (s.pattern.clone(), (*s.terms).clone()));
        let positions = reading.memberships.values().map(|membership| {
            let channel = self.channels.get(membership.channel);
            // What was written later may be on the way still, or lost with the connection.
            let offset = membership.confirmed - 1;
            (channel.log.name().clone(), Position { epoch: channel.epoch, offset })
        });
        Session { subscriptions: subscriptions.collect(), positions: positions.collect() }
    }

    /// Another connection has come for the session of this one.
    pub(super) fn give_up(&mut self, connection: u64, token: Token, given_up: oneshot::Sender<()>) {
        if let Some(connection) = self.connection(connection)
            && connection.token.get() == Some(token)
        {
            tracing::debug!(peer = %connection.peer, "the session of a connection goes on at another one");
            connection.save.set(true);
            connection.close(CloseCode::Normal, "the session goes on at another connection");
            self.flush_control(&connection);
            self.remove(&connection);
        }
        // Who asked may have gone.
        let _ = given_up.send(());
    }

    /// Brings a session back, as soon as it is free. Nothing else of this client is read until then.
    pub(super) fn come_back(
        &mut self,
        connection: &Rc<Connection>,
        token: &str,
        last_message_id: Option<Uuid>,
        request_id: Option<RequestId>,
    ) {
        let Some(token) = Token::parse(token).filter(|token| connection.token.get() != Some(*token)) else {
            return self.unknown(connection, request_id);
        };
        let Some(shared) = self.myself.upgrade() else { return };
        connection.busy.set(true);
        let returning = Returning { token, last_message_id, request_id };
        self.tasks.spawn(take_up(shared, connection.clone(), returning));
    }

    fn unknown(&mut self, connection: &Rc<Connection>, request_id: Option<RequestId>) {
        self.metrics.error(ErrorCode::AuthenticationFailed);
        let message = "no session waits under this reconnect_token: it is kept for ten minutes, for one return; subscribe \
                       from your last positions";
        connection.reply(&Reply::NotAuthenticated { message: message.into(), request_id });
        self.flush_control(connection);
    }

    fn resume(&mut self, connection: &Rc<Connection>, returning: Returning, session: Session, begins: &Begins) {
        let Returning { token, request_id, .. } = returning;
        // The same token goes on: an answer with another one could be lost on its way.
        if let Some(own) = connection.token.take() {
            self.sessions.end(own, None);
        }
        self.hold(connection, token);
        self.turn();
        let mut notices = Vec::new();
        let mut subscriptions = Vec::new();
        for (pattern, terms) in session.subscriptions {
            match self.resume_one(connection, &pattern, terms, begins, &mut notices) {
                Ok(()) => subscriptions.push(pattern.as_str().to_owned()),
                Err(reason) => {
                    tracing::info!(peer = %connection.peer, %pattern, reason, "a subscription is not resumed");
                }
            }
        }
        let positions = self.positions(connection);
        let resumed = Some(Resumed { subscriptions, positions });
        self.authenticated(connection, resumed, request_id);
        for notice in notices {
            connection.reply(&notice);
        }
        self.flush_control(connection);
    }

    fn resume_one(
        &mut self,
        connection: &Rc<Connection>,
        pattern: &ChannelPattern,
        terms: super::connection::Terms,
        begins: &Begins,
        notices: &mut Vec<Reply<'static>>,
    ) -> Result<(), String> {
        let filter = filter_of(&terms.filter, &terms.options).map_err(|error| error.message)?;
        // A channel that it did not know has appeared since.
        let origin = |log: &ChannelLog| begins.get(log.name()).map_or(Origin::Earliest, |place| Origin::After(*place));
        let mut asked = Asked { filter, terms: self.terms(terms), origin: &origin };
        match self.subscribe_one(connection, pattern, &asked, notices) {
            // What it had read is gone here: the channel stands before it. Nothing of what comes now has it seen.
            Err((ErrorCode::PositionAhead, _)) => {
                asked.origin = &|_| Origin::Latest;
                self.subscribe_one(connection, pattern, &asked, notices).map_err(|(_, message)| message)
            }
            other => other.map_err(|(_, message)| message),
        }
    }
}

/// Where the channels of a session go on.
type Begins = HashMap<ChannelName, Position>;

async fn take_up(shared: Shared, connection: Rc<Connection>, returning: Returning) {
    let (sessions, fetches, router) = {
        let shard = shared.borrow();
        (shard.sessions.clone(), shard.fetches.clone(), shard.router.clone())
    };
    let session = match sessions.claim(returning.token) {
        Claim::Kept(session) => Some(session),
        Claim::Unknown => None,
        Claim::Held(given_up) => {
            // Whether it was given up in time shows now.
            let _ = timeout(LETTING_GO, given_up).await;
            match sessions.claim(returning.token) {
                Claim::Kept(session) => Some(session),
                Claim::Held(_) | Claim::Unknown => None,
            }
        }
    };
    let mut begins: Begins = session.iter().flat_map(|session| session.positions.iter().cloned()).collect();
    if let (Some(id), false) = (returning.last_message_id, begins.is_empty()) {
        let confirmed = begins.clone();
        match fetches.blocking(move || find(&router, &confirmed, id)).await {
            Ok(found) => begins.extend(found),
            // From the confirmed places then: some events come twice.
            Err(error) => tracing::debug!(%error, "the last message of a session cannot be looked up"),
        }
    }
    connection.busy.set(false);
    let mut shard = shared.borrow_mut();
    match session {
        Some(session) if shard.connection(connection.id).is_none() => {
            // It has gone again; the next one takes it up.
            sessions.end(returning.token, Some(session));
        }
        Some(session) => shard.resume(&connection, returning, session, &begins),
        None => shard.unknown(&connection, returning.request_id),
    }
    connection.drained.notify_waiters();
}

/// Finds an event behind one of these places. Ids rise with offsets.
fn find(
    router: &Router,
    behind: &HashMap<ChannelName, Position>,
    id: Uuid,
) -> Result<Option<(ChannelName, Position)>, EngineError> {
    for (name, position) in behind {
        let Some(log) = router.log(name.as_str()) else { continue };
        let Attach::At(mut low) = router.attach(&log, &Origin::After(*position))? else { continue };
        let mut high = log.head() + 1;
        while low < high {
            let middle = low + (high - low) / 2;
            match one(router, &log, middle)? {
                Some(event) if event.id == id => return Ok(Some((name.clone(), event.position))),
                Some(event) if event.id < id => low = middle + 1,
                Some(_) => high = middle,
                // Nothing can be said without it.
                None => break,
            }
        }
    }
    Ok(None)
}

fn one(router: &Router, log: &ChannelLog, offset: u64) -> Result<Option<Arc<Event>>, EngineError> {
    let limit = PageLimit { events: 1, bytes: usize::MAX };
    let mut events = Vec::new();
    if let Read::Behind { .. } = log.read(offset, limit, &mut events)
        && let Paged::Events { events: stored, .. } = router.page(log, offset, limit)?
    {
        events = stored;
    }
    Ok(events.pop().filter(|event| event.position.offset == offset))
}
