//! Joining and leaving channels. A connection reads a channel at most once, however many of its patterns mean it: an
//! exact name goes before a glob, an earlier glob before a later one.

use super::{
    channel::Membership,
    connection::{Connection, Cursor, Mode, Subscription},
    shard::Shard,
    turn::caught_up,
};
use crate::origin::{filter_of, origin_of};
use headwater_event::{ChannelName, ChannelPattern};
use headwater_filter::Filter;
use headwater_protocol::{ErrorCode, FailedChannel, Options, Reply, RequestId, Start, Subscribe};
use headwater_router::{Attach, ChannelLog, From as Origin};
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

impl Shard {
    /// Adds or replaces subscriptions and answers with what the connection holds now.
    pub(super) fn subscribe(&mut self, connection: &Rc<Connection>, request: Subscribe) {
        let Subscribe { channels, refused, filter, start, options, request_id } = request;
        let refused = refused.into_iter().map(|(channel, message)| failed(channel, ErrorCode::Validation, message));
        let mut failures: Vec<FailedChannel> = refused.collect();
        // What the inbox holds is written first, so that a position that a client brings is rarely ahead of this shard;
        // where it is, an event may come twice and is known by its id.
        self.turn();
        // A pattern costs in proportion to what it means; naming it again in one message would only cost again.
        let mut seen = HashSet::new();
        let channels = channels.into_iter().filter(|pattern| seen.insert(pattern.clone())).collect::<Vec<_>>();
        let filter = filter_of(&filter, &options);
        let mut notices = Vec::new();
        for pattern in channels {
            match self.subscribe_one(connection, &pattern, &filter, &start, &options, &mut notices) {
                Ok(()) => {}
                Err((code, message)) => failures.push(failed(pattern.as_str().into(), code, message)),
            }
        }
        if let Some(first) = failures.first() {
            self.metrics.error(first.code);
        }
        let held = connection.reading.borrow().subscriptions.iter().map(|s| s.pattern.as_str().to_owned()).collect();
        let positions = self.positions(connection);
        let connection_id = &connection.name();
        connection.reply(&Reply::Subscribed {
            held,
            failed: failures,
            positions,
            connection_id,
            reconnect_token: None,
            request_id,
        });
        for notice in notices {
            connection.reply(&notice);
        }
        self.flush_control(connection);
    }

    fn subscribe_one(
        &mut self,
        connection: &Rc<Connection>,
        pattern: &ChannelPattern,
        filter: &Filter,
        start: &Start,
        options: &Options,
        notices: &mut Vec<Reply<'static>>,
    ) -> Result<(), (ErrorCode, String)> {
        self.admit(connection, pattern)?;
        let logs = self.inbox.watch(pattern).map_err(|error| (ErrorCode::Validation, error.to_string()))?;
        if let (ChannelPattern::Exact(_), [log]) = (pattern, logs.as_slice())
            && let Ok(Attach::Ahead { head }) = self.router.attach(log, &origin_of(start, options, log.name()))
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
            let filter = (!filter.is_empty()).then(|| self.filters.intern(filter.clone()));
            let number = reading.numbered;
            let pattern = pattern.clone();
            let lag_policy = options.lag_policy.clone();
            reading.subscriptions.push(Subscription { number, pattern, filter, lag_policy });
            number
        };
        for log in logs {
            let origin = origin_of(start, options, log.name());
            let place = places.get(log.name()).copied();
            self.join(connection, &log, number, &origin, place, notices);
        }
        // After what exists: what is met from now on is new to it.
        if let ChannelPattern::Glob(_) = pattern {
            self.globs.entry(pattern.clone()).or_default().push(connection.clone());
        }
        Ok(())
    }

    /// How far a connection has been written in the channels that it reads by this pattern.
    fn places(&self, connection: &Connection, pattern: &ChannelPattern) -> HashMap<ChannelName, u64> {
        let reading = connection.reading.borrow();
        let Some(old) = reading.subscriptions.iter().find(|s| s.pattern == *pattern) else { return HashMap::new() };
        let of_it = reading.memberships.values().filter(|m| m.subscription == old.number);
        of_it.map(|m| (self.channels.get(m.channel).log.name().clone(), self.place(connection, m.channel))).collect()
    }

    /// The next offset that a connection has not been written.
    fn place(&self, connection: &Connection, channel: u32) -> u64 {
        connection.cursor(channel).unwrap_or(self.channels.get(channel).next)
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

    /// Makes a connection a reader of a channel, unless a better subscription of its own already does. `place` is how far
    /// it has been written by a subscription that this one takes the place of: from there on nothing is left out.
    fn join(
        &mut self,
        connection: &Rc<Connection>,
        log: &Arc<ChannelLog>,
        number: u32,
        origin: &Origin,
        mut place: Option<u64>,
        notices: &mut Vec<Reply<'static>>,
    ) {
        let Some(subscription) = connection.subscription(number) else { return };
        let index = self.channels.index(log.name()).unwrap_or_else(|| self.enter(log, log.head() + 1));
        if let Some(existing) = membership(connection, index) {
            if !matches!(subscription.pattern, ChannelPattern::Exact(_)) {
                return;
            }
            place = Some(self.place(connection, index));
            self.leave(connection, existing);
        }
        // A store that cannot be asked just now: with what is in memory, then.
        let next = match self.router.attach(log, origin).unwrap_or_else(|_| Attach::At(log.tail())) {
            // What comes next, for one who was behind, is what it has not been written yet.
            Attach::At(next) if *origin == Origin::Latest => place.map_or(next, |place| place.min(next)),
            Attach::At(next) => next,
            // By a glob: a position for one channel was checked before, and one position for many means the one it fits.
            Attach::Ahead { head } => head + 1,
            Attach::Gap { next, gap } => {
                self.metrics.gap(gap.reason, (gap.to + 1).saturating_sub(gap.from.offset));
                notices.push(Reply::Gap(gap));
                next
            }
        };
        // The entry goes with its last reader, which may have been this one a moment ago.
        let index = self.channels.index(log.name());
        let index = index.unwrap_or_else(|| self.channels.insert(log.clone(), log.head() + 1));
        self.read_from(connection, index, &subscription, next);
    }

    /// Makes the shard's entry for a channel that has had no reader here, and lets those in whose globs mean it. It is new
    /// to them: whatever existed when they subscribed, they joined then. So they read it from its first event.
    fn enter(&mut self, log: &Arc<ChannelLog>, next: u64) -> u32 {
        let name = log.name().as_str();
        let fits = self.globs.iter().filter(|(pattern, _)| pattern.matches(name));
        let readers: Vec<Rc<Connection>> = fits.flat_map(|(_, readers)| readers.iter().cloned()).collect();
        let index = self.channels.insert(log.clone(), next);
        for connection in readers {
            let best = {
                let reading = connection.reading.borrow();
                reading.subscriptions.iter().find(|s| s.pattern.matches(name)).cloned()
            };
            if let Some(best) = best.filter(|_| membership(&connection, index).is_none()) {
                self.read_from(&connection, index, &best, 1);
            }
        }
        index
    }

    /// A reader of a channel, from `next` on.
    fn read_from(&mut self, connection: &Rc<Connection>, index: u32, subscription: &Subscription, next: u64) {
        let membership = self.channels.join(index, connection, subscription.filter, subscription.number);
        connection.reading.borrow_mut().memberships.insert(index, membership);
        self.set_cursor(connection, index, next);
    }

    /// Lets a connection read a channel from `next` on: by the turns where that is the present, by a cursor otherwise.
    fn set_cursor(&mut self, connection: &Rc<Connection>, channel: u32, next: u64) {
        let present = self.channels.get(channel).next;
        let next = next.min(present);
        let mut start = false;
        {
            let mut output = connection.output.borrow_mut();
            if let Mode::Live = output.mode
                && next < present
            {
                output.mode = Mode::Draining(caught_up(connection, &self.channels));
                start = true;
            }
            if let Mode::Draining(cursors) = &mut output.mode {
                cursors.places.insert(channel, Cursor { next, warned: false });
            }
        }
        if start {
            self.start_drain(connection);
        }
    }

    /// A channel that this shard hears of while nobody reads it here: those are let in whose globs mean it.
    pub(super) fn meet(&mut self, name: &ChannelName, next: u64) -> Option<u32> {
        if !self.globs.keys().any(|pattern| pattern.matches(name.as_str())) {
            return None;
        }
        let log = self.router.log(name.as_str())?;
        Some(self.enter(&log, next))
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
            let place = self.place(connection, old.channel);
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

    fn leave(&mut self, connection: &Rc<Connection>, membership: Membership) {
        connection.reading.borrow_mut().memberships.remove(&membership.channel);
        if let Mode::Draining(cursors) = &mut connection.output.borrow_mut().mode {
            cursors.places.remove(&membership.channel);
        }
        self.channels.leave(membership);
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

fn membership(connection: &Connection, channel: u32) -> Option<Membership> {
    connection.reading.borrow().memberships.get(&channel).copied()
}

fn failed(channel: String, code: ErrorCode, message: String) -> FailedChannel {
    FailedChannel { channel, code, message }
}
