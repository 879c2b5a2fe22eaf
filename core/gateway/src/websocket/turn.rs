//! The live path. In a turn a shard takes all events handed to it, appends each finished frame once to a batch, and notes
//! for each group of readers which ranges of the batch are theirs; at the end there is one write per connection.

use super::{
    channel::{Channel, Channels},
    connection::{Connection, Mode},
    cursor::{Cursor, Cursors},
    shard::Shard,
    writer,
};
use bytes::Bytes;
use headwater_event::{ENCODINGS, Encoding, Event, Gap, GapReason, Position};
use headwater_protocol::{Dialect, Reply, websocket};
use headwater_router::Taken;
use std::{collections::HashMap, rc::Rc, sync::Arc};

/// Where a turn writes early: larger writes gain nothing, and the batch stays in the cache.
const FLUSH_AT: usize = 256 * 1024;
/// The batch's buffer is given back when a turn of huge events has blown it up beyond this.
pub(super) const KEEP: usize = 2 * FLUSH_AT;

/// About how many bytes of a frame are not the event's data.
const ENVELOPE: usize = 186;

/// The frames of one dialect in this turn, in order of arrival.
#[derive(Default)]
pub(super) struct Batch {
    /// The frames, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Which frame ends where.
    pub(super) frames: Vec<Frame>,
}

/// One frame of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Where it ends in the batch.
    pub(super) end: u32,
    /// Index of its channel.
    pub(super) channel: u32,
    /// Its offset there.
    pub(super) offset: u64,
}

/// What a turn gathers.
#[derive(Default)]
pub(super) struct Turn {
    /// One batch per dialect, by the number of its encoding.
    pub(super) batches: [Batch; ENCODINGS],
    /// Groups that have ranges: channel and group.
    touched: Vec<(u32, u32)>,
    /// Connections to be written to.
    dirty: Vec<Rc<Connection>>,
    /// Taken from the inbox.
    events: Vec<Arc<Event>>,
    /// Those to whom the event at hand comes at a pace of their own.
    paced: Vec<Rc<Connection>>,
    /// Those of them that have something in their control lanes.
    pub(super) written: Vec<Rc<Connection>>,
}

/// The finished frame of an event, made on first use and shared by every reader of this dialect.
pub(crate) fn frame_of(event: &Event, dialect: &'static dyn Dialect) -> Bytes {
    event
        .encoded(dialect.encoding(), |event| {
            let mut frame = Vec::new();
            write_frame(&mut frame, event, dialect);
            frame.into_boxed_slice().into()
        })
        .clone()
}

/// Appends the finished frame of an event. A turn needs it once, so it is not kept with the event, where it would take room
/// for as long as the event; it is taken from there if somebody who reads later has made it already.
fn put_frame(out: &mut Vec<u8>, event: &Event, dialect: &'static dyn Dialect) {
    match event.if_encoded(dialect.encoding()) {
        Some(frame) => out.extend_from_slice(frame),
        None => write_frame(out, event, dialect),
    }
}

fn write_frame(out: &mut Vec<u8>, event: &Event, dialect: &'static dyn Dialect) {
    let expected = event.data.as_bytes().len() + ENVELOPE;
    websocket::text_frame_of(out, expected, |out| dialect.event(event, out));
}

impl Shard {
    /// Takes what the inbox holds and writes it to everyone who reads it.
    pub(super) fn turn(&mut self) {
        let mut events = std::mem::take(&mut self.turn.events);
        if self.inbox.take(&mut events) == Taken::Overflowed {
            events.clear();
            self.reread();
        }
        for event in events.drain(..) {
            self.append(&event);
        }
        self.turn.events = events;
        self.flush();
        if !self.turn.written.is_empty() {
            self.write_paced();
        }
    }

    /// Appends an event to the batch of each dialect that has readers for it.
    fn append(&mut self, event: &Arc<Event>) {
        let index = match self.channels.index(&event.channel) {
            Some(index) => index,
            None => match self.meet(&event.channel, event.position.offset) {
                Some(index) => index,
                None => return,
            },
        };
        let channel = self.channels.get(index);
        if event.position.epoch != channel.epoch {
            // After a look at the log that was ahead of the inbox: what was before comes once more.
            if event.position.epoch == channel.previous {
                return;
            }
            self.renumber(index, event.position);
        }
        let channel = self.channels.get_mut(index);
        // An event between watching and reading the head is in both; it has been counted already.
        if event.position.offset < channel.next {
            return;
        }
        channel.next = event.position.offset + 1;
        let mut appended: [Option<(u32, u32)>; ENCODINGS] = [None; ENCODINGS];
        for (number, group) in (0u32..).zip(channel.groups.iter_mut()) {
            if !group.wants(event, &self.filters) {
                continue;
            }
            if group.paced {
                self.turn.paced.extend(group.members.iter().cloned());
                continue;
            }
            let Encoding(encoding) = group.dialect.encoding();
            let batch = &mut self.turn.batches[usize::from(encoding)];
            let (from, to) = *appended[usize::from(encoding)].get_or_insert_with(|| {
                let from = batch.bytes.len() as u32;
                put_frame(&mut batch.bytes, event, group.dialect);
                let end = batch.bytes.len() as u32;
                batch.frames.push(Frame { end, channel: index, offset: event.position.offset });
                (from, end)
            });
            if group.ranges.is_empty() {
                self.turn.touched.push((index, number));
            }
            group.add(from, to);
        }
        if self.turn.batches.iter().any(|batch| batch.bytes.len() >= FLUSH_AT) {
            self.flush();
        }
        if !self.turn.paced.is_empty() {
            let mut paced = std::mem::take(&mut self.turn.paced);
            paced.drain(..).for_each(|connection| self.arrived(&connection, index, event));
            self.turn.paced = paced;
        }
    }

    /// The channel's numbering goes on in another epoch, with this position. Its readers are told, and go on there.
    fn renumber(&mut self, index: u32, first: Position) {
        // What was gathered lies before it.
        self.flush();
        let name = self.channels.get(index).log.name().clone();
        let members = self.channels.get(index).groups.iter().flat_map(|group| group.members.iter().cloned());
        let members: Vec<Rc<Connection>> = members.collect();
        let places: Vec<u64> = members.iter().map(|member| self.place(member, index)).collect();
        let channel = self.channels.get_mut(index);
        channel.previous = std::mem::replace(&mut channel.epoch, first.epoch);
        channel.next = first.offset;
        tracing::warn!(channel = %name, epoch = %first.epoch, "the numbering of a channel goes on in another epoch");
        for (member, place) in members.iter().zip(places) {
            // Who is behind reads what was before from the store, in the same numbering.
            if place < first.offset && self.router.has_history() {
                continue;
            }
            if let Mode::Draining(cursors) = &mut member.output.borrow_mut().mode {
                cursors.places.insert(index, Cursor::behind(first.offset));
            }
            {
                let mut reading = member.reading.borrow_mut();
                if let Some(paced) = reading.paced.get_mut(&index) {
                    paced.begin(first.offset);
                }
                if let Some(membership) = reading.memberships.get_mut(&index) {
                    membership.renumber(first.offset);
                }
            }
            let from = Position { offset: place.min(first.offset), ..first };
            let gap = Gap { channel: name.clone(), from, to: first.offset - 1, reason: GapReason::EpochChange };
            self.metrics.gap(gap.reason, first.offset - from.offset);
            member.reply(&Reply::Gap(gap));
            self.flush_control(member);
        }
    }

    /// One write to each connection that this turn has something for.
    pub(super) fn flush(&mut self) {
        let turn = &mut self.turn;
        if turn.touched.is_empty() {
            return;
        }
        for (channel, group) in &turn.touched {
            for member in &self.channels.get(*channel).groups[*group as usize].members {
                if !member.dirty.replace(true) {
                    turn.dirty.push(member.clone());
                }
            }
        }
        let mut dirty = std::mem::take(&mut turn.dirty);
        for connection in dirty.drain(..) {
            connection.dirty.set(false);
            let batch = &self.turn.batches[usize::from(connection.dialect.encoding().0)];
            if writer::write(&connection, batch, &self.channels, &mut self.scratch, &self.metrics) {
                self.start_drain(&connection);
            }
        }
        self.turn.dirty = dirty;
        for (channel, group) in self.turn.touched.drain(..) {
            self.channels.get_mut(channel).groups[group as usize].clear();
        }
        for batch in &mut self.turn.batches {
            batch.bytes.clear();
            batch.bytes.shrink_to(KEEP);
            batch.frames.clear();
        }
        self.scratch.clear();
        self.scratch.shrink_to(KEEP);
    }

    /// The inbox held more than it may, and let go of it: every reader goes to the logs for what it has not seen.
    fn reread(&mut self) {
        let renumbered = |(index, c): (u32, &mut Channel)| (c.log.epoch() != c.epoch).then_some(index);
        for index in self.channels.iter_mut().filter_map(renumbered).collect::<Vec<_>>() {
            let log = &self.channels.get(index).log;
            let first = Position { epoch: log.epoch(), offset: log.tail() };
            self.renumber(index, first);
        }
        let mut readers: Vec<Rc<Connection>> = Vec::new();
        let before: HashMap<u32, u64> = self.channels.iter_mut().map(|(index, c)| (index, c.next)).collect();
        for (index, channel) in self.channels.iter_mut() {
            let head = channel.log.head();
            if head < channel.next {
                continue;
            }
            for member in channel.groups.iter().flat_map(|group| &group.members) {
                let mut output = member.output.borrow_mut();
                if let Mode::Live = output.mode {
                    readers.push(member.clone());
                    output.mode = Mode::Draining(cursors(member, |channel| before[&channel]));
                }
                drop(output);
                // What came uncounted does not wait.
                if let Some(paced) = member.reading.borrow_mut().paced.get_mut(&index) {
                    paced.release(head + 1);
                }
            }
            channel.next = head + 1;
        }
        for reader in readers {
            self.start_drain(&reader);
        }
        // Channels that appeared meanwhile: their first events may be among those that were let go of.
        for info in self.router.channels() {
            if info.head > 0 && self.channels.index(&info.channel).is_none() {
                self.meet(&info.channel, info.head + 1);
            }
        }
    }
}

/// The cursors of a connection that has been written everything up to where the shard stands.
pub(super) fn caught_up(connection: &Connection, channels: &Channels) -> Cursors {
    cursors(connection, |channel| channels.get(channel).next)
}

fn cursors(connection: &Connection, next: impl Fn(u32) -> u64) -> Cursors {
    let reading = connection.reading.borrow();
    let place = |channel: &u32| {
        let next = next(*channel);
        let next = reading.paced.get(channel).map_or(next, |paced| paced.place(next));
        (*channel, Cursor::behind(next))
    };
    Cursors::new(reading.memberships.keys().map(place).collect())
}
