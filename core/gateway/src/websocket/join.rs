//! Becoming a reader of a channel, and ceasing to be one. A connection reads a channel at most once, however many of its
//! patterns mean it: an exact name goes before a glob, an earlier glob before a later one.

use super::{
    channel::Membership,
    connection::{Connection, Mode, Subscription},
    cursor::Cursor,
    pace::Paced,
    shard::Shard,
};
use headwater_event::{ChannelName, ChannelPattern, Gap, GapReason, Position};
use headwater_protocol::Reply;
use headwater_router::{Attach, ChannelLog, EngineError, From as Origin};
use std::{collections::HashMap, rc::Rc, sync::Arc};

/// How far a connection has come in a channel.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The next offset that it has not been written.
    next: u64,
    /// The client has read everything before this, which may be less: what was written later may be lost on its way.
    read: u64,
}

impl Place {
    /// Of one that begins here, and is owed nothing before it.
    fn at(next: u64) -> Self {
        Self { next, read: next }
    }
}

impl Shard {
    /// How far a connection has come in the channels that it reads by this pattern.
    pub(super) fn places(&self, connection: &Connection, pattern: &ChannelPattern) -> HashMap<ChannelName, Place> {
        let reading = connection.reading.borrow();
        let Some(old) = reading.subscriptions.iter().find(|s| s.pattern == *pattern) else { return HashMap::new() };
        let of_it = reading.memberships.values().filter(|m| m.subscription == old.number);
        of_it.map(|m| (self.channels.get(m.channel).log.name().clone(), self.left(connection, m))).collect()
    }

    /// How far a connection has come by a membership.
    pub(super) fn left(&self, connection: &Connection, membership: &Membership) -> Place {
        Place { next: self.place(connection, membership.channel), read: membership.confirmed }
    }

    /// The next offset that a connection has not been written.
    pub(super) fn place(&self, connection: &Connection, channel: u32) -> u64 {
        connection.place(channel, self.channels.get(channel).next)
    }

    /// Makes a connection a reader of a channel, unless a better subscription of its own already does. `place` is how far
    /// it has come by a subscription that this one takes the place of: from there on nothing is left out.
    pub(super) fn join(
        &mut self,
        connection: &Rc<Connection>,
        log: &Arc<ChannelLog>,
        number: u32,
        origin: &Origin,
        mut place: Option<Place>,
        notices: &mut Vec<Reply<'static>>,
    ) {
        let Some(subscription) = connection.subscription(number) else { return };
        let index = self.channels.index(log.name()).unwrap_or_else(|| self.enter(log, log.head() + 1));
        if let Some(existing) = membership(connection, index) {
            if !matches!(subscription.pattern, ChannelPattern::Exact(_)) {
                return;
            }
            place = Some(self.left(connection, &existing));
            self.leave(connection, existing);
        }
        let place = match self.router.attach(log, origin).unwrap_or_else(|error| without_store(log, origin, &error)) {
            // What comes next, for one who was behind, is what it has not been written yet.
            Attach::At(next) if *origin == Origin::Latest => {
                place.map_or(Place::at(next), |place| Place { next: place.next.min(next), ..place })
            }
            Attach::At(next) => Place::at(next),
            // By a glob: a position for one channel was checked before, and one position for many means the one it fits.
            Attach::Ahead { head } => Place::at(head + 1),
            Attach::Gap { next, gap } => {
                self.metrics.gap(gap.reason, (gap.to + 1).saturating_sub(gap.from.offset));
                notices.push(Reply::Gap(gap));
                Place::at(next)
            }
        };
        // The entry goes with its last reader, which may have been this one a moment ago.
        let index = self.channels.index(log.name());
        let index = index.unwrap_or_else(|| self.channels.insert(log.clone(), log.head() + 1));
        self.read_from(connection, index, &subscription, place);
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
                self.read_from(&connection, index, &best, Place::at(1));
            }
        }
        index
    }

    /// A reader of a channel, from this place on.
    pub(super) fn read_from(
        &mut self,
        connection: &Rc<Connection>,
        index: u32,
        subscription: &Subscription,
        place: Place,
    ) {
        let paced = Paced::new(&subscription.terms, self.channels.get(index).next);
        let Subscription { filter, number, .. } = *subscription;
        let next = place.next.min(self.channels.get(index).next);
        let read = place.read.min(next);
        let membership = self.channels.join(index, connection, filter, paced.is_some(), number, read);
        {
            let mut reading = connection.reading.borrow_mut();
            reading.memberships.insert(index, membership);
            reading.paced.extend(paced.map(|paced| (index, paced)));
        }
        self.set_cursor(connection, index, next);
    }

    /// Lets a connection read a channel from `next` on: by the turns where that is the present, by a cursor otherwise.
    fn set_cursor(&mut self, connection: &Rc<Connection>, channel: u32, next: u64) {
        let present = self.channels.get(channel).next;
        let next = next.min(present);
        if next < present {
            self.fall_behind(connection);
        }
        if let Mode::Draining(cursors) = &mut connection.output.borrow_mut().mode {
            cursors.places.insert(channel, Cursor::past(next));
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

    /// Ends a connection's reading of a channel.
    pub(super) fn leave(&mut self, connection: &Rc<Connection>, membership: Membership) {
        let paced = {
            let mut reading = connection.reading.borrow_mut();
            reading.memberships.remove(&membership.channel);
            reading.paced.remove(&membership.channel)
        };
        if paced.is_some_and(|paced| paced.is_set()) {
            self.forget_due();
        }
        if let Mode::Draining(cursors) = &mut connection.output.borrow_mut().mode {
            cursors.places.remove(&membership.channel);
        }
        self.channels.leave(membership);
    }
}

/// Where a reader begins when the store cannot be asked: with what is in memory, and told what that leaves out.
fn without_store(log: &ChannelLog, origin: &Origin, error: &EngineError) -> Attach {
    let (epoch, next) = (log.epoch(), log.tail());
    tracing::warn!(channel = %log.name(), %error, "a subscription begins without what the store has");
    let wanted = match origin {
        Origin::Latest => return Attach::At(log.head() + 1),
        Origin::Held => return Attach::At(next),
        Origin::After(position) if position.epoch == epoch => position.offset.saturating_add(1),
        Origin::After(_) | Origin::Earliest | Origin::Since(_) => 1,
    };
    if wanted >= next {
        return Attach::At(wanted.min(log.head() + 1));
    }
    let from = Position { epoch, offset: wanted };
    Attach::Gap { next, gap: Gap { channel: log.name().clone(), from, to: next - 1, reason: GapReason::Corruption } }
}

/// How a connection reads a channel, if it does.
pub(super) fn membership(connection: &Connection, channel: u32) -> Option<Membership> {
    connection.reading.borrow().memberships.get(&channel).copied()
}
