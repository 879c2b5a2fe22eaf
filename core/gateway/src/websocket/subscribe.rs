//! Joining and leaving channels. A connection reads a channel at most once, however many of its patterns mean it: an
//! exact name goes before a glob, an earlier glob before a later one.

use super::{
    channel::Membership,
    connection::{Connection, Cursor, Mode, Subscription},
    shard::Shard,
    turn::caught_up,
};
use crate::origin::{filter_of, origin_of};
use headwater_event::{ChannelName, ChannelPattern, Position};
use headwater_protocol::{ErrorCode, FailedChannel, Options, Reply, RequestId, Start, Subscribe};
use headwater_router::{Attach, ChannelLog, Filter, From as Origin};
use std::{rc::Rc, sync::Arc};

impl Shard {
    /// Adds or replaces subscriptions and answers with what the connection holds now.
    pub(super) fn subscribe(&mut self, connection: &Rc<Connection>, request: Subscribe) {
        let Subscribe { channels, refused, filter, start, options, request_id } = request;
        let refused = refused.into_iter().map(|(channel, message)| failed(channel, ErrorCode::Validation, message));
        let mut failures: Vec<FailedChannel> = refused.collect();
        // What the inbox holds is written first: then the shard stands where the logs stand, and positions that a client
        // brings are compared with the present.
        self.turn();
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
        connection.reply(&Reply::Subscribed { held, failed: failures, positions, connection_id, request_id });
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
        // The same pattern again replaces its options.
        self.unsubscribe_one(connection, pattern);
        self.admit(connection, pattern)?;
        let logs = self.inbox.watch(pattern).map_err(|error| (ErrorCode::Validation, error.to_string()))?;
        if let (ChannelPattern::Exact(_), [log]) = (pattern, logs.as_slice())
            && let Attach::Ahead { head } = log.attach(&origin_of(start, options, log.name()))
        {
            self.inbox.unwatch(pattern);
            return Err((
                ErrorCode::PositionAhead,
                format!("the position is ahead of the channel, which stands at {head}; subscribe from \"latest\""),
            ));
        }
        let number = {
            let mut reading = connection.reading.borrow_mut();
            reading.numbered += 1;
            let filter = (!filter.is_empty()).then(|| self.filters.intern(filter.clone()));
            let number = reading.numbered;
            let pattern = pattern.clone();
            reading.subscriptions.push(Subscription { number, pattern, filter, lag_policy: options.lag_policy });
            number
        };
        if let ChannelPattern::Glob(_) = pattern {
            self.globs.entry(pattern.clone()).or_default().push(connection.clone());
        }
        for log in logs {
            let origin = origin_of(start, options, log.name());
            self.join(connection, &log, number, &origin, notices);
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
        if reading.subscriptions.len() >= limits.max_subscriptions {
            too_many("subscriptions", limits.max_subscriptions)
        } else if matches!(pattern, ChannelPattern::Glob(_)) && globs >= limits.max_patterns {
            too_many("patterns", limits.max_patterns)
        } else {
            Ok(())
        }
    }

    /// Makes a connection a reader of a channel, unless a better subscription of its own already does.
    fn join(
        &mut self,
        connection: &Rc<Connection>,
        log: &Arc<ChannelLog>,
        number: u32,
        origin: &Origin,
        notices: &mut Vec<Reply<'static>>,
    ) {
        let index = self.channel(log);
        let Some(subscription) = connection.subscription(number) else { return };
        if let Some(existing) = membership(connection, index) {
            if !matches!(subscription.pattern, ChannelPattern::Exact(_)) {
                return;
            }
            self.leave(connection, existing);
        }
        let next = match log.attach(origin) {
            Attach::At(next) => next,
            // By a glob: a position for one channel was checked before, and one position for many means the one it fits.
            Attach::Ahead { head } => head + 1,
            Attach::EpochChanged { epoch, next } => {
                notices.push(self.gap(log, Position { epoch, offset: 1 }, next - 1, "epoch_change"));
                next
            }
            Attach::Expired { next_wanted, first } => {
                let from = Position { epoch: log.epoch(), offset: next_wanted };
                notices.push(self.gap(log, from, first - 1, "retention"));
                first
            }
        };
        let membership = self.channels.join(index, connection, subscription.filter, number);
        connection.reading.borrow_mut().memberships.push(membership);
        self.set_cursor(connection, index, next);
    }

    fn gap(&self, log: &ChannelLog, from: Position, to: u64, reason: &'static str) -> Reply<'static> {
        self.metrics.gap(reason, (to + 1).saturating_sub(from.offset));
        Reply::Gap { channel: log.name().clone(), from, to, reason }
    }

    /// The shard's own entry for a log. Where nobody reads it here, its place is taken anew: events may have passed
    /// unseen since the last reader left, and the log itself may have been made again.
    fn channel(&mut self, log: &Arc<ChannelLog>) -> u32 {
        match self.channels.index(log.name()) {
            Some(index) => {
                let channel = self.channels.get_mut(index);
                if channel.readers() == 0 {
                    channel.log = log.clone();
                    channel.epoch = log.epoch();
                    channel.next = log.head() + 1;
                }
                index
            }
            None => self.channels.insert(log.clone(), log.head() + 1),
        }
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
                cursors.retain(|cursor| cursor.channel != channel);
                cursors.push(Cursor { channel, next, warned: false });
            }
        }
        if start {
            self.start_drain(connection);
        }
    }

    /// A channel that this shard hears of for the first time: those join whose globs mean it.
    pub(super) fn meet(&mut self, name: &ChannelName, first: u64) -> Option<u32> {
        let log = self.router.log(name.as_str())?;
        let fits = self.globs.iter().filter(|(pattern, _)| pattern.matches(name.as_str()));
        let readers: Vec<Rc<Connection>> = fits.flat_map(|(_, readers)| readers.iter().cloned()).collect();
        if readers.is_empty() {
            return None;
        }
        let index = self.channels.insert(log, first);
        for connection in readers {
            if membership(&connection, index).is_some() {
                continue;
            }
            let best = {
                let reading = connection.reading.borrow();
                reading.subscriptions.iter().find(|s| s.pattern.matches(name.as_str())).cloned()
            };
            let Some(best) = best else { continue };
            let membership = self.channels.join(index, &connection, best.filter, best.number);
            connection.reading.borrow_mut().memberships.push(membership);
            self.set_cursor(&connection, index, first);
        }
        Some(index)
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
            let of_it = reading.memberships.iter().filter(|m| m.subscription == ended.number);
            let memberships: Vec<Membership> = of_it.map(|m| Membership { ..*m }).collect();
            (ended, memberships)
        };
        for old in memberships {
            let channel = old.channel;
            let next = connection.cursor(channel).unwrap_or(self.channels.get(channel).next);
            // Its slot may have changed since: leaving moves others.
            if let Some(current) = membership(connection, channel) {
                self.leave(connection, current);
            }
            let name = self.channels.get(channel).log.name().clone();
            let other = {
                let reading = connection.reading.borrow();
                reading.subscriptions.iter().find(|s| s.pattern.matches(name.as_str())).cloned()
            };
            if let Some(other) = other {
                let membership = self.channels.join(channel, connection, other.filter, other.number);
                connection.reading.borrow_mut().memberships.push(membership);
                self.set_cursor(connection, channel, next);
            }
        }
        self.forget(connection, &ended);
        true
    }

    /// Ends everything that a connection reads.
    pub(super) fn leave_all(&mut self, connection: &Rc<Connection>) {
        loop {
            let last = connection.reading.borrow().memberships.last().copied();
            let Some(last) = last else { break };
            self.leave(connection, last);
        }
        let subscriptions = std::mem::take(&mut connection.reading.borrow_mut().subscriptions);
        for subscription in &subscriptions {
            self.forget(connection, subscription);
        }
    }

    fn leave(&mut self, connection: &Rc<Connection>, membership: Membership) {
        connection.reading.borrow_mut().memberships.retain(|m| m.channel != membership.channel);
        self.channels.leave(membership);
        if let Mode::Draining(cursors) = &mut connection.output.borrow_mut().mode {
            cursors.retain(|cursor| cursor.channel != membership.channel);
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

fn membership(connection: &Connection, channel: u32) -> Option<Membership> {
    connection.reading.borrow().memberships.iter().find(|m| m.channel == channel).copied()
}

fn failed(channel: String, code: ErrorCode, message: String) -> FailedChannel {
    FailedChannel { channel, code, message }
}
