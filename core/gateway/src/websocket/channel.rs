//! Who reads which channel, in one shard: readers with the same filter and dialect are a group and share its work.

use super::connection::Connection;
use headwater_event::{ChannelMap, ChannelName, Epoch, Event};
use headwater_filter::{FilterId, FilterTable};
use headwater_protocol::Dialect;
use headwater_router::ChannelLog;
use std::{cell::Cell, rc::Rc, sync::Arc};

/// A channel as this shard knows it.
pub(super) struct Channel {
    /// The log that all shards share.
    pub(super) log: Arc<ChannelLog>,
    /// The epoch of its offsets, without the log's lock.
    pub(super) epoch: Epoch,
    /// The epoch before it in this shard's life; the same where there was none.
    pub(super) previous: Epoch,
    /// The offset that comes next from the inbox: everything before it has been given to the readers.
    pub(super) next: u64,
    /// The readers. An empty group keeps its place, since places are held by connections, and is used again.
    pub(super) groups: Vec<Group>,
}

impl Channel {
    /// How many readers it has here.
    pub(super) fn readers(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }
}

/// Readers of one channel who want the same events in the same form.
pub(super) struct Group {
    /// Which events; `None` wants all.
    pub(super) filter: Option<FilterId>,
    /// Whether its members get their events at a pace of their own, and not in the batch.
    pub(super) paced: bool,
    /// In which form.
    pub(super) dialect: &'static dyn Dialect,
    /// Who.
    pub(super) members: Vec<Rc<Connection>>,
    /// The parts of the turn's batch that are theirs, ascending, neighbours merged.
    pub(super) ranges: Vec<(u32, u32)>,
    /// How many frames they hold.
    pub(super) frames: u32,
}

impl Group {
    fn new(filter: Option<FilterId>, paced: bool, dialect: &'static dyn Dialect) -> Self {
        Self { filter, paced, dialect, members: Vec::new(), ranges: Vec::new(), frames: 0 }
    }

    /// Whether its members want this event.
    pub(super) fn wants(&self, event: &Event, filters: &FilterTable) -> bool {
        !self.members.is_empty() && self.filter.is_none_or(|filter| filters.get(filter).matches(event))
    }

    /// Adds a frame of the batch.
    pub(super) fn add(&mut self, from: u32, to: u32) {
        self.frames += 1;
        match self.ranges.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => self.ranges.push((from, to)),
        }
    }

    /// The turn is written.
    pub(super) fn clear(&mut self) {
        self.ranges.clear();
        self.frames = 0;
    }
}

/// Where a connection stands among the readers of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Membership {
    /// Index of the channel.
    pub(super) channel: u32,
    /// Index of the group in it.
    pub(super) group: u32,
    /// Index in the group's members.
    pub(super) slot: u32,
    /// The subscription, by its number on the connection.
    pub(super) subscription: u32,
    /// Everything before this offset was written before the last ping.
    pub(super) asked: u64,
    /// Everything before this offset has been read by the client: it has said so.
    pub(super) confirmed: u64,
}

impl Membership {
    /// The channel goes on at `next`, in another epoch.
    pub(super) fn renumber(&mut self, next: u64) {
        self.asked = self.asked.min(next);
        self.confirmed = self.confirmed.min(next);
    }
}

/// The channels that have readers in this shard. One without is forgotten, and its index used again: names cost nothing
/// once nobody reads them.
#[derive(Default)]
pub(super) struct Channels {
    list: Vec<Option<Channel>>,
    free: Vec<u32>,
    by_name: ChannelMap<u32>,
    /// The one that was asked for last: events mostly come in runs of a channel.
    last: Cell<u32>,
}

impl Channels {
    /// The channel of this name.
    pub(super) fn index(&self, name: &ChannelName) -> Option<u32> {
        let last = self.last.get();
        if self.list.get(last as usize).is_some_and(|c| c.as_ref().is_some_and(|c| c.log.name() == name)) {
            return Some(last);
        }
        let found = self.by_name.get(name).copied()?;
        self.last.set(found);
        Some(found)
    }

    /// Adds a channel that is not there yet. Its first reader joins before anything else is done.
    pub(super) fn insert(&mut self, log: Arc<ChannelLog>, next: u64) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.list.push(None);
            u32::try_from(self.list.len() - 1).expect("fewer channels than memory has room for")
        });
        self.by_name.insert(log.name().clone(), index);
        let epoch = log.epoch();
        self.list[index as usize] = Some(Channel { epoch, previous: epoch, log, next, groups: Vec::new() });
        index
    }

    /// The channel at an index that [`Self::index`] or [`Self::insert`] gave.
    pub(super) fn get(&self, index: u32) -> &Channel {
        self.list[index as usize].as_ref().expect("an index is held by readers only, and a channel with readers stays")
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, index: u32) -> &mut Channel {
        self.list[index as usize].as_mut().expect("an index is held by readers only, and a channel with readers stays")
    }

    /// Every channel.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Channel)> {
        (0u32..).zip(self.list.iter_mut()).filter_map(|(index, channel)| Some((index, channel.as_mut()?)))
    }

    /// Makes a connection a reader of a channel, whose client has read everything before `read`, as far as is known.
    pub(super) fn join(
        &mut self,
        channel: u32,
        connection: &Rc<Connection>,
        filter: Option<FilterId>,
        paced: bool,
        subscription: u32,
        read: u64,
    ) -> Membership {
        let groups = &mut self.get_mut(channel).groups;
        let encoding = connection.dialect.encoding();
        // Filters are interned: equal ones have one number.
        let alike = |group: &Group| group.dialect.encoding() == encoding && group.paced == paced;
        let same = |group: &Group| alike(group) && group.filter == filter;
        let place = groups.iter().position(same).or_else(|| {
            let free = groups.iter().position(|group| group.members.is_empty() && group.ranges.is_empty())?;
            groups[free] = Group::new(filter, paced, connection.dialect);
            Some(free)
        });
        let place = place.unwrap_or_else(|| {
            groups.push(Group::new(filter, paced, connection.dialect));
            groups.len() - 1
        });
        let members = &mut groups[place].members;
        members.push(connection.clone());
        let slot = members.len() as u32 - 1;
        Membership { channel, group: place as u32, slot, subscription, asked: read, confirmed: read }
    }

    /// Ends a membership, and with the last one the channel's entry. The member that takes its slot is told its new
    /// place.
    pub(super) fn leave(&mut self, membership: Membership) {
        let group = &mut self.get_mut(membership.channel).groups[membership.group as usize];
        group.members.swap_remove(membership.slot as usize);
        if group.members.is_empty() {
            // The number may soon be another filter's.
            group.filter = None;
        }
        if let Some(moved) = group.members.get(membership.slot as usize) {
            let mut reading = moved.reading.borrow_mut();
            let place = reading.memberships.get_mut(&membership.channel);
            place.expect("a member of a group has a membership in its channel").slot = membership.slot;
        }
        if self.get(membership.channel).readers() == 0 {
            let channel = self.list[membership.channel as usize].take().expect("it was there a line ago");
            self.by_name.remove(channel.log.name());
            self.free.push(membership.channel);
        }
    }
}
