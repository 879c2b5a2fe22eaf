//! The live path. In a turn a shard takes all events handed to it, appends each finished frame once to a batch, and notes
//! for each group of readers which ranges of the batch are theirs; at the end there is one write per connection.

use super::{
    channel::Channels,
    connection::{Connection, Cursor, Cursors, Mode},
    shard::Shard,
    writer,
};
use bytes::Bytes;
use headwater_event::{ENCODINGS, Encoding, Event};
use headwater_protocol::{Dialect, websocket};
use headwater_router::Taken;
use std::{collections::HashMap, rc::Rc, sync::Arc};

/// Where a turn writes early: larger writes gain nothing, and the batch stays in the cache.
const FLUSH_AT: usize = 256 * 1024;
/// The batch's buffer is given back when a turn of huge events has blown it up beyond this.
pub(super) const KEEP: usize = 2 * FLUSH_AT;

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
}

/// The finished frame of an event, made on first use and shared by every reader of this dialect.
pub(super) fn frame_of(event: &Event, dialect: &'static dyn Dialect) -> Bytes {
    event
        .encoded(dialect.encoding(), |event| {
            let mut text = Vec::new();
            dialect.event(event, &mut text);
            let mut frame = Vec::with_capacity(text.len() + 10);
            websocket::text_frame(&mut frame, &text);
            frame.into()
        })
        .clone()
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
        let channel = self.channels.get_mut(index);
        // An event between watching and reading the head is in both; it has been counted already.
        if event.position.offset < channel.next || event.position.epoch != channel.epoch {
            return;
        }
        channel.next = event.position.offset + 1;
        let mut appended: [Option<(u32, u32)>; ENCODINGS] = [None; ENCODINGS];
        for (number, group) in (0u32..).zip(channel.groups.iter_mut()) {
            if !group.wants(event, &self.filters) {
                continue;
            }
            let Encoding(encoding) = group.dialect.encoding();
            let batch = &mut self.turn.batches[usize::from(encoding)];
            let (from, to) = *appended[usize::from(encoding)].get_or_insert_with(|| {
                let from = batch.bytes.len() as u32;
                batch.bytes.extend_from_slice(&frame_of(event, group.dialect));
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
    }

    /// One write to each connection that this turn has something for.
    fn flush(&mut self) {
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
            self.channels.get_mut(channel).groups[group as usize].ranges.clear();
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
        let mut readers: Vec<Rc<Connection>> = Vec::new();
        let before: HashMap<u32, u64> = self.channels.iter_mut().map(|(index, c)| (index, c.next)).collect();
        for (_, channel) in self.channels.iter_mut() {
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
    let memberships = &connection.reading.borrow().memberships;
    let place = |channel: &u32| (*channel, Cursor { next: next(*channel), warned: false });
    Cursors { places: memberships.keys().map(place).collect(), after: 0 }
}
