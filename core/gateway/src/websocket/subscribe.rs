//! Beginning and ending subscriptions. How they become readers of channels stands in `join`.

use super::{
    channel::Membership,
    connection::{Connection, Subscription, Terms},
    join::membership,
    shard::Shard,
};
use crate::origin::{filter_of, origin_of};
use headwater_event::{ChannelName, ChannelPattern, Position};
use headwater_filter::Filter;
use headwater_protocol::{ErrorCode, FailedChannel, Reply, RequestId, Start, StartAt, Subscribe};
use headwater_router::{Attach, ChannelLog, EngineError, From as Origin};
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// What subscriptions of one message have in common.
pub(super) struct Asked<'a> {
    pub(super) filter: Filter,
    pub(super) terms: Rc<Terms>,
    /// Where a channel begins.
    pub(super) origin: &'a dyn Fn(&ChannelLog) -> Origin,
}

/// Where channels begin that were asked for by a time.
type Begins = HashMap<ChannelName, Position>;

impl Shard {
    /// Adds or replaces subscriptions and answers with what the connection holds now.
    pub(super) fn subscribe(&mut self, connection: &Rc<Connection>, request: Subscribe) {
        if let Start::At(StartAt::Since(_)) = request.start {
            return self.look_up(connection, request);
        }
        let (start, options) = (request.start.clone(), request.options.clone());
        self.begin(connection, request, &move |log| origin_of(&start, &options, log.name()));
    }

    /// Finds where a time lies, on a thread that may block, and goes on then. The client is not read meanwhile: what it
    /// says next may build on this.
    fn look_up(&mut self, connection: &Rc<Connection>, request: Subscribe) {
        let (Some(shared), connection) = (self.myself.upgrade(), connection.clone()) else { return };
        let (fetches, router) = (self.fetches.clone(), self.router.clone());
        let (start, options, patterns) = (request.start.clone(), request.options.clone(), request.channels.clone());
        connection.busy.set(true);
        self.tasks.spawn(async move {
            let begins = fetches.blocking(move || -> Result<Begins, EngineError> {
                let mut begins = Begins::new();
                for log in patterns.iter().flat_map(|pattern| router.logs(pattern)) {
                    let origin = origin_of(&start, &options, log.name());
                    if let Attach::At(next) = router.attach(&log, &origin)? {
                        begins.insert(log.name().clone(), Position { epoch: log.epoch(), offset: next - 1 });
                    }
                }
                Ok(begins)
            });
            let begins = begins.await;
            connection.busy.set(false);
            let mut shard = shared.borrow_mut();
            if shard.connection(connection.id).is_none() {
                return; // it has gone meanwhile
            }
            match begins {
                // What is not among them has appeared since.
                Ok(begins) => shard.begin(&connection, request, &move |log| {
                    begins.get(log.name()).map_or(Origin::Earliest, |position| Origin::After(*position))
                }),
                Err(error) => {
                    let message = format!("the store cannot say where this time lies: {error}");
                    let refused = request.channels.iter().map(|pattern| (pattern.as_str().to_owned(), message.clone()));
                    let refused = refused.map(|(channel, why)| failed(channel, ErrorCode::Unavailable, why)).collect();
                    shard.answer_subscribe(&connection, refused, Vec::new(), request.request_id);
                }
            }
            connection.drained.notify_waiters();
        });
    }

    fn begin(&mut self, connection: &Rc<Connection>, request: Subscribe, origin: &dyn Fn(&ChannelLog) -> Origin) {
        let Subscribe { channels, refused, filter, start: _, options, request_id } = request;
        let wanted = match filter_of(&filter, &options) {
            Ok(wanted) => wanted,
            Err(error) => {
                self.tell(connection, error.answering(request_id));
                return self.flush_control(connection);
            }
        };
        let refused = refused.into_iter().map(|(channel, message)| failed(channel, ErrorCode::Validation, message));
        let mut failures: Vec<FailedChannel> = refused.collect();
        // What the inbox holds is written first, so that a position that a client brings is rarely ahead of this shard;
        // where it is, an event may come twice and is known by its id.
        self.turn();
        // A pattern costs in proportion to what it means; naming it again in one message would only cost again.
        let mut seen = HashSet::new();
        let channels = channels.into_iter().filter(|pattern| seen.insert(pattern.clone())).collect::<Vec<_>>();
        let asked = Asked { filter: wanted, terms: self.terms(Terms { filter, options }), origin };
        let mut notices = Vec::new();
        for pattern in channels {
            match self.subscribe_one(connection, &pattern, &asked, &mut notices) {
                Ok(()) => {}
                Err((code, message)) => failures.push(failed(pattern.as_str().into(), code, message)),
            }
        }
        self.answer_subscribe(connection, failures, notices, request_id);
    }

    fn answer_subscribe(
        &mut self,
        connection: &Rc<Connection>,
        failed: Vec<FailedChannel>,
        notices: Vec<Reply<'static>>,
        request_id: Option<RequestId>,
    ) {
        if let Some(first) = failed.first() {
            self.metrics.error(first.code);
        }
        let held = connection.reading.borrow().subscriptions.iter().map(|s| s.pattern.as_str().to_owned()).collect();
        let positions = self.positions(connection);
        let connection_id = &connection.name();
        let reconnect_token = self.token(connection);
        let reconnect_token = reconnect_token.as_deref();
        connection.reply(&Reply::Subscribed { held, failed, positions, connection_id, reconnect_token, request_id });
        for notice in notices {
            connection.reply(&notice);
        }
        self.flush_control(connection);
    }

    /// One copy of what most subscriptions ask for.
    pub(super) fn terms(&self, terms: Terms) -> Rc<Terms> {
        if terms == *self.plain { self.plain.clone() } else { Rc::new(terms) }
    }

    /// Adds or replaces one subscription.
    pub(super) fn subscribe_one(
        &mut self,
        connection: &Rc<Connection>,
        pattern: &ChannelPattern,
        asked: &Asked<'_>,
        notices: &mut Vec<Reply<'static>>,
    ) -> Result<(), (ErrorCode, String)> {
        self.admit(connection, pattern)?;
        let logs = self.inbox.watch(pattern).map_err(|error| (ErrorCode::Validation, error.to_string()))?;
        if let (ChannelPattern::Exact(_), [log]) = (pattern, logs.as_slice())
            && let Ok(Attach::Ahead { head }) = self.router.attach(log, &(asked.origin)(log))
        {
            self.inbox.unwatch(pattern);
            return Err((
                ErrorCode::PositionAhead,
                format!("the position is ahead of the channel, which stands at {head}; subscribe from \"latest\""),
            ));
        }
        // It can be had: only now it takes the place of the same pattern's earlier subscription, and goes on where that
        // one was.
        let places = self.places(connection, pattern);
        self.unsubscribe_one(connection, pattern);
        let number = {
            let mut reading = connection.reading.borrow_mut();
            reading.numbered += 1;
            let filter = (!asked.filter.is_empty()).then(|| self.filters.intern(asked.filter.clone()));
            let number = reading.numbered;
            let (pattern, terms) = (pattern.clone(), asked.terms.clone());
            reading.subscriptions.push(Subscription { number, pattern, filter, terms });
            number
        };
        for log in logs {
            let origin = (asked.origin)(&log);
            let place = places.get(log.name()).copied();
            self.join(connection, &log, number, &origin, place, notices);
        }
        // After what exists: what is met from now on is new to it.
        if let ChannelPattern::Glob(_) = pattern {
            self.globs.entry(pattern.clone()).or_default().push(connection.clone());
        }
        Ok(())
    }

    /// Whether one more subscription is within the limits.
    fn admit(&self, connection: &Connection, pattern: &ChannelPattern) -> Result<(), (ErrorCode, String)> {
        let limits = &self.options.limits;
        let reading = connection.reading.borrow();
        let globs = reading.subscriptions.iter().filter(|s| matches!(s.pattern, ChannelPattern::Glob(_))).count();
        let too_many = |what: &str, limit: usize| {
            Err((
                ErrorCode::Validation,
                format!("a connection has at most {limit} {what}; unsubscribe from some first"),
            ))
        };
        if reading.subscriptions.iter().any(|s| s.pattern == *pattern) {
            Ok(()) // it takes the place of that one
        } else if reading.subscriptions.len() >= limits.max_subscriptions {
            too_many("subscriptions", limits.max_subscriptions)
        } else if matches!(pattern, ChannelPattern::Glob(_)) && globs >= limits.max_patterns {
            too_many("patterns", limits.max_patterns)
        } else {
            Ok(())
        }
    }

    /// Ends subscriptions and answers with what is left.
    pub(super) fn unsubscribe(
        &mut self,
        connection: &Rc<Connection>,
        patterns: &[ChannelPattern],
        request_id: Option<RequestId>,
    ) {
        self.turn();
        let gone = patterns.iter().filter(|pattern| self.unsubscribe_one(connection, pattern));
        let gone: Vec<String> = gone.map(|pattern| pattern.as_str().to_owned()).collect();
        let held = connection.reading.borrow().subscriptions.iter().map(|s| s.pattern.as_str().to_owned()).collect();
        connection.reply(&Reply::Unsubscribed { gone, held, request_id });
    }

    /// Ends one subscription. Channels that another one means too go on where they are.
    fn unsubscribe_one(&mut self, connection: &Rc<Connection>, pattern: &ChannelPattern) -> bool {
        let (ended, memberships) = {
            let mut reading = connection.reading.borrow_mut();
            let Some(place) = reading.subscriptions.iter().position(|s| s.pattern == *pattern) else { return false };
            let ended = reading.subscriptions.remove(place);
            let of_it = reading.memberships.values().filter(|m| m.subscription == ended.number);
            let memberships: Vec<Membership> = of_it.copied().collect();
            (ended, memberships)
        };
        for old in memberships {
            let (log, next) = {
                let channel = self.channels.get(old.channel);
                (channel.log.clone(), channel.next)
            };
            let place = self.left(connection, &old);
            // Its slot may have changed since: leaving moves others.
            if let Some(current) = membership(connection, old.channel) {
                self.leave(connection, current);
            }
            let other = {
                let reading = connection.reading.borrow();
                reading.subscriptions.iter().find(|s| s.pattern.matches(log.name().as_str())).cloned()
            };
            if let Some(other) = other {
                let index = self.channels.index(log.name()).unwrap_or_else(|| self.channels.insert(log, next));
                self.read_from(connection, index, &other, place);
            }
        }
        self.forget(connection, &ended);
        true
    }

    /// Ends everything that a connection reads.
    pub(super) fn leave_all(&mut self, connection: &Rc<Connection>) {
        loop {
            let last = connection.reading.borrow().memberships.values().next().copied();
            let Some(last) = last else { break };
            self.leave(connection, last);
        }
        let subscriptions = std::mem::take(&mut connection.reading.borrow_mut().subscriptions);
        for subscription in &subscriptions {
            self.forget(connection, subscription);
        }
    }

    /// Gives back what a subscription held of the shard's and the router's.
    fn forget(&mut self, connection: &Rc<Connection>, subscription: &Subscription) {
        self.inbox.unwatch(&subscription.pattern);
        if let Some(filter) = subscription.filter {
            self.filters.release(filter);
        }
        if let Some(readers) = self.globs.get_mut(&subscription.pattern) {
            readers.retain(|reader| !Rc::ptr_eq(reader, connection));
            if readers.is_empty() {
                self.globs.remove(&subscription.pattern);
            }
        }
    }
}

fn failed(channel: String, code: ErrorCode, message: String) -> FailedChannel {
    FailedChannel { channel, code, message }
}
