//! Subscriptions that do not get their events as they come: throttled, or gathered and flushed. The turns tell what has
//! come; what goes at once goes by the control lane, a flush goes the way of those who are behind, from the log.
//!
//! The part of the past that a subscription asked for comes as fast as it can; its pace begins behind it.

mod buffer;
mod clock;
mod throttle;

pub(super) use clock::{Clock, run};

use super::{
    connection::{Connection, Mode, Terms},
    shard::Shard,
    turn::frame_of,
};
use crate::metrics::Metrics;
use buffer::Buffer;
use headwater_event::Event;
use headwater_protocol::Pace;
use std::{rc::Rc, sync::Arc};
use throttle::Throttle;
use tokio::time::Instant;

/// More than this does not wait in the control lane: what comes then is read from the log when the socket has taken it.
const LANE: usize = 64 * 1024;

/// How a connection gets the events of one channel.
#[derive(Debug)]
pub(super) struct Paced {
    pace: Way,
    /// Events below this offset were there before: they come as fast as they can.
    past: u64,
    terms: Rc<Terms>,
    /// When the clock will look at it.
    set: Option<Instant>,
}

#[derive(Debug)]
enum Way {
    Buffered(Buffer),
    Throttled(Throttle),
}

impl Paced {
    /// The pace that a subscription asks for, of a channel that stands at `next`; `None`: events come as they happen.
    pub(super) fn new(terms: &Rc<Terms>, next: u64) -> Option<Self> {
        let pace = match terms.options.pace {
            Pace::Realtime { throttle } if throttle.is_zero() => return None,
            Pace::Realtime { throttle } => Way::Throttled(Throttle::new(throttle)),
            Pace::Buffered { interval, size } => Way::Buffered(Buffer::new(interval, size, next, Instant::now())),
        };
        Some(Self { pace, past: next, terms: terms.clone(), set: None })
    }

    /// Below which offset a cursor may read on now, in a channel that stands at `next`.
    pub(super) fn until(&self, cursor: u64, next: u64) -> u64 {
        match &self.pace {
            Way::Buffered(buffer) => buffer.until().min(next),
            // A page of the past ends where the pace begins: what is written in a page may be read a second time, and
            // what a throttle is fed may not.
            Way::Throttled(_) if cursor < self.past => self.past.min(next),
            Way::Throttled(_) => next,
        }
    }

    /// Where one stands who is not behind a channel that stands at `next`.
    pub(super) fn place(&self, next: u64) -> u64 {
        match &self.pace {
            Way::Buffered(buffer) => buffer.place(next),
            Way::Throttled(_) => next,
        }
    }

    /// The first offset that is kept back.
    pub(super) fn held(&self) -> Option<u64> {
        match &self.pace {
            Way::Buffered(_) => None,
            Way::Throttled(throttle) => throttle.held(),
        }
    }

    /// Whether the clock will look at it.
    pub(super) fn is_set(&self) -> bool {
        self.set.is_some()
    }

    /// The channel goes on at `next`, whatever was before.
    pub(super) fn begin(&mut self, next: u64) {
        self.past = next;
        if let Way::Buffered(buffer) = &mut self.pace {
            buffer.begin(next, Instant::now());
        }
    }

    /// Lets go of what waits.
    pub(super) fn release(&mut self, until: u64) {
        if let Way::Buffered(buffer) = &mut self.pace {
            buffer.release(until, Instant::now());
        }
    }

    /// What becomes of an event that is read from the log. What goes now by a throttle goes by the
    /// control lane: fed a second time, because a page was not written, it would come a second time.
    pub(super) fn read(&mut self, event: &Arc<Event>, lane: &Lane<'_>) -> Gone {
        let (first, offset) = (self.terms.is_priority(&event.kind), event.position.offset);
        match &mut self.pace {
            Way::Buffered(buffer) if first && buffer.has_passed(offset) => Gone::Passed,
            Way::Buffered(_) => Gone::No,
            Way::Throttled(_) if offset < self.past => Gone::No,
            Way::Throttled(throttle) => {
                if first {
                    lane.send(event);
                } else {
                    throttle.feed(event, Instant::now(), |event| lane.send(&event));
                }
                if lane.is_full() { Gone::Full } else { Gone::Passed }
            }
        }
    }

    /// Sends what should have gone already.
    pub(super) fn overdue(&mut self, lane: &Lane<'_>) {
        if let Way::Throttled(throttle) = &mut self.pace {
            throttle.expire(Instant::now(), |event| lane.send(&event));
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.pace {
            Way::Buffered(buffer) => buffer.due(),
            Way::Throttled(throttle) => throttle.due(),
        }
    }
}

/// Whether an event that was read from the log has been seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// It is the reader's to send.
    No,
    /// It was sent before, or is kept, or is in the control lane.
    Passed,
    /// The same, and no more goes into the control lane now.
    Full,
}

/// The control lane of a connection as events take it.
pub(super) struct Lane<'a> {
    pub(super) connection: &'a Connection,
    pub(super) metrics: &'a Metrics,
}

impl Lane<'_> {
    fn send(&self, event: &Event) {
        let frame = frame_of(event, self.connection.dialect);
        self.connection.control(|control| control.extend_from_slice(&frame));
        self.metrics.delivered(1, 0);
    }

    fn is_full(&self) -> bool {
        self.connection.output.borrow().control.len() > LANE
    }
}

/// What an event in a turn leads to.
enum Then {
    Nothing,
    /// Something is in the control lane.
    Write,
    /// What waits goes now.
    Flush,
}

impl Shard {
    /// Enters what a channel of a connection waits for into the clock.
    pub(super) fn set_clock(&self, connection: &Connection, channel: u32) {
        let mut reading = connection.reading.borrow_mut();
        let Some(paced) = reading.paced.get_mut(&channel) else { return };
        let Some(due) = paced.due() else { return };
        if paced.set.is_none_or(|set| due < set) {
            paced.set = Some(due);
            self.clock.set(due, connection.id, channel);
        }
    }

    /// The clock has an entry for one that has gone.
    pub(super) fn forget_due(&self) {
        if self.clock.forget() {
            self.clock.retain(|at, connection, channel| {
                let connection = self.connection(connection);
                let set =
                    connection.and_then(|held| held.reading.borrow().paced.get(&channel).and_then(|paced| paced.set));
                set == Some(at)
            });
        }
    }

    /// An event has come that a paced subscription wants.
    pub(super) fn arrived(&mut self, connection: &Rc<Connection>, channel: u32, event: &Arc<Event>) {
        let was_live = matches!(connection.output.borrow().mode, Mode::Live);
        if was_live && self.lane(connection).is_full() {
            // First: when its socket is gone, nothing of the batch may be its any more.
            self.flush();
            self.flush_control(connection);
        }
        // Whoever has just fallen behind, also by a write in the middle of this turn, did so behind this event.
        read_again(connection, channel, event.position.offset);
        let live = matches!(connection.output.borrow().mode, Mode::Live);
        match self.paced(connection, channel, event, live) {
            Then::Nothing => {}
            Then::Write => {
                if !connection.written.replace(true) {
                    self.turn.written.push(connection.clone());
                }
            }
            Then::Flush => self.let_go(connection, channel, event.position.offset + 1),
        }
        self.set_clock(connection, channel);
    }

    fn paced(&self, connection: &Connection, channel: u32, event: &Arc<Event>, live: bool) -> Then {
        let offset = event.position.offset;
        let lane = self.lane(connection);
        let mut reading = connection.reading.borrow_mut();
        let Some(Paced { pace, terms, .. }) = reading.paced.get_mut(&channel) else { return Then::Nothing };
        let first = terms.is_priority(&event.kind);
        match pace {
            Way::Buffered(buffer) if first && live => {
                lane.send(event);
                buffer.pass(offset);
                Then::Write
            }
            Way::Buffered(buffer) => {
                let full = buffer.add(offset, Instant::now());
                // What goes first does so in its order to one who is behind, and all before it with it.
                if full || first { Then::Flush } else { Then::Nothing }
            }
            // Of one who is behind a throttle is fed from the log.
            Way::Throttled(_) if !live => Then::Nothing,
            Way::Throttled(_) if first => {
                lane.send(event);
                Then::Write
            }
            Way::Throttled(throttle) => {
                let mut then = Then::Nothing;
                throttle.feed(event, Instant::now(), |event| {
                    lane.send(&event);
                    then = Then::Write;
                });
                then
            }
        }
    }

    /// Lets what waits of a channel go, up to this offset, by way of the log.
    fn let_go(&mut self, connection: &Rc<Connection>, channel: u32, until: u64) {
        // First: its cursor begins with what waits.
        self.fall_behind(connection);
        if let Some(paced) = connection.reading.borrow_mut().paced.get_mut(&channel) {
            paced.release(until);
        }
    }

    /// The clock says that something of a channel is due.
    pub(super) fn due(&mut self, connection: u64, channel: u32, now: Instant) {
        let Some(connection) = self.connection(connection) else { return };
        let live = matches!(connection.output.borrow().mode, Mode::Live);
        let flush = {
            let mut reading = connection.reading.borrow_mut();
            // The number may be another channel's by now; then it is not due.
            let Some(paced) = reading.paced.get_mut(&channel) else { return };
            paced.set = None;
            // A throttle of one who is behind is looked at by its drain.
            if live {
                paced.overdue(&self.lane(&connection));
            }
            matches!(&paced.pace, Way::Buffered(buffer) if buffer.due().is_some_and(|due| due <= now))
        };
        if flush {
            self.let_go(&connection, channel, self.channels.get(channel).next);
        } else if live {
            self.flush_control(&connection);
            self.set_clock(&connection, channel);
        }
    }

    fn lane<'a>(&'a self, connection: &'a Connection) -> Lane<'a> {
        Lane { connection, metrics: &self.metrics }
    }

    /// A connection has caught up: what waited for that goes on.
    pub(super) fn keep_pace(&mut self, connection: &Rc<Connection>) {
        let channels: Vec<u32> = connection.reading.borrow().paced.keys().copied().collect();
        if channels.is_empty() {
            return;
        }
        for channel in channels {
            if let Some(paced) = connection.reading.borrow_mut().paced.get_mut(&channel) {
                paced.overdue(&self.lane(connection));
            }
            self.set_clock(connection, channel);
        }
        self.flush_control(connection);
    }

    /// Writes what the paced subscriptions of this turn put into control lanes.
    pub(super) fn write_paced(&mut self) {
        for connection in std::mem::take(&mut self.turn.written) {
            connection.written.set(false);
            self.flush_control(&connection);
        }
    }
}

/// A connection that has fallen behind gets this offset from the log.
fn read_again(connection: &Connection, channel: u32, offset: u64) {
    if let Mode::Draining(cursors) = &mut connection.output.borrow_mut().mode
        && let Some(cursor) = cursors.places.get_mut(&channel)
    {
        cursor.next = cursor.next.min(offset);
    }
}
