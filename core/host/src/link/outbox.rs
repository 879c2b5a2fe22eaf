//! What one side of a link has to say, in order: frames wait here until the writer takes all of them at once.
//!
//! On the instance's side `publish` (from the plugin's threads) fills it and a writer thread, or over memory the daemon's
//! task, empties it. On the daemon's side the source's task fills it and a writer, or the instance's thread, empties it.
//! The first event after quiet leaves at once. Those that follow close behind are gathered for at most [`LINGER`], or until
//! there are [`ENOUGH`]: so a source that emits without end costs a few thousand writes a second and not a million.
//!
//! Everything in it is bounded. Events: by the window of credits and [`EVENT_BYTES`]; when full, `publish` accepts fewer
//! and the plugin waits or drops. Log records: by [`LOG_BYTES`]; more are dropped, counted, and the count is said. All else:
//! by [`BYTES`]; more is refused to the caller. Only a few words of the protocol itself always fit.

use super::{
    event,
    message::{self, Up},
};
use headwater_abi::EventRef;
use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The most events of one frame.
const BATCH: u32 = 64;
/// How long events that follow others are gathered before they are written.
const LINGER: Duration = Duration::from_micros(500);
/// So many events are written without waiting longer.
const ENOUGH: u32 = 2 * BATCH;
/// A frame of events is closed when it has this many bytes: the other side holds a frame in memory as a whole.
const FRAME_BYTES: usize = 256 << 10;
/// With this many bytes waiting no event is taken.
const EVENT_BYTES: usize = 1 << 20;
/// With this many bytes waiting no log record is taken.
const LOG_BYTES: usize = 512 << 10;
/// With this many bytes waiting nothing is taken. The other side does not read any more, or is being flooded.
const BYTES: usize = 16 << 20;
/// A buffer that grew beyond this is not kept.
const KEEP: usize = 512 << 10;
/// The largest event; what is larger would not fit a client's message either.
pub(crate) const MAX_EVENT: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    thread: Condvar,
    task: Notify,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    /// The last frame in the buffer, while events can still be added to it.
    open: Option<Open>,
    credits: u32,
    logs_dropped: u64,
    oversize: u32,
    oversize_last: u64,
    closed: bool,
    /// Events in the buffer.
    events: u32,
    /// Something in the buffer is not to be lingered over.
    urgent: bool,
    /// Who waits for something to take. Waking costs a system call, so it is done only for somebody.
    thread_waits: Waits,
    task_waits: bool,
}

#[derive(Debug, Default, PartialEq)]
enum Waits {
    #[default]
    No,
    /// For anything.
    Any,
    /// For enough, or for something urgent; otherwise its time comes.
    Batch,
}

#[derive(Debug)]
struct Open {
    at: usize,
    count: u32,
}

/// There is no room, or the link is closed: nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    /// Takes events while there are credits and room; says how many. One that is larger than any event may be counts
    /// as taken, is dropped, and the daemon is told.
    pub(crate) fn publish(&self, events: &[EventRef<'_>]) -> u32 {
        let mut state = self.lock();
        let mut taken = 0;
        for event in events {
            // A plugin that has run out of credit gets more only when what it said is written.
            state.urgent |= state.credits == 0;
            if state.closed || state.credits == 0 || state.buffer.len() >= EVENT_BYTES {
                break;
            }
            taken += 1;
            let size = event::size(event);
            if size > MAX_EVENT {
                state.oversize += 1;
                state.oversize_last = size as u64;
                continue;
            }
            state.credits -= 1;
            state.add(event);
        }
        self.wake(state);
        taken
    }

    /// So many more events may be taken.
    pub(crate) fn grant(&self, credits: u32) {
        let mut state = self.lock();
        state.credits = state.credits.saturating_add(credits);
    }

    /// Adds whatever `write` appends: whole frames, or whole lines.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Full> {
        let mut state = self.lock();
        if state.closed || state.buffer.len() >= BYTES {
            return Err(Full);
        }
        state.close_frame();
        state.urgent = true;
        write(&mut state.buffer);
        self.wake(state);
        Ok(())
    }

    /// Adds a few bytes that must not be lost, whatever waits already: credit, or the news that all ends. Their number is
    /// bounded by the protocol. After `close` they go nowhere.
    pub(crate) fn must(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        if !state.closed {
            state.close_frame();
            state.urgent = true;
            write(&mut state.buffer);
            self.wake(state);
        }
    }

    /// Adds a log record, or drops and counts it.
    pub(crate) fn log(&self, level: u8, target: &str, message: &str) {
        let mut state = self.lock();
        if state.closed || state.buffer.len() >= LOG_BYTES {
            state.logs_dropped += 1;
            return;
        }
        state.close_frame();
        state.urgent = true;
        Up::Log { level, target: target.into(), message: message.into() }.write(&mut state.buffer);
        self.wake(state);
    }

    /// Nothing more is taken; what waits is still given out.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.thread.notify_all();
        self.task.notify_one();
    }

    /// Waits in a thread for something, and moves all of it into `chunk`, which it empties first. `false`: closed, and
    /// nothing is left.
    pub(crate) fn take_blocking(&self, chunk: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        loop {
            if state.give(chunk) {
                return true;
            }
            if state.closed {
                return false;
            }
            state.thread_waits = Waits::Any;
            state = self.thread.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same for a writer to whom each write costs a system call: it lingers over events. `last` is when it took
    /// something before, and is set to now.
    pub(crate) fn take_batch(&self, chunk: &mut Vec<u8>, last: &mut Instant) -> bool {
        let mut state = self.lock();
        loop {
            let lingered = last.elapsed();
            let ready = state.urgent || state.closed || state.events >= ENOUGH || lingered >= LINGER;
            if ready && state.give(chunk) {
                *last = Instant::now();
                return true;
            }
            if state.closed {
                return false;
            }
            if ready || !state.has_something() {
                state.thread_waits = Waits::Any;
                state = self.thread.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state.thread_waits = Waits::Batch;
                let wait = self.thread.wait_timeout(state, LINGER.saturating_sub(lingered));
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// The same in a task. Dropping the future loses nothing.
    pub(crate) async fn take(&self, chunk: &mut Vec<u8>) -> bool {
        loop {
            {
                let mut state = self.lock();
                if state.give(chunk) {
                    return true;
                }
                if state.closed {
                    return false;
                }
                state.task_waits = true;
            }
            self.task.notified().await;
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if !state.has_something() {
            return;
        }
        let thread = match state.thread_waits {
            Waits::No => false,
            Waits::Any => true,
            Waits::Batch => state.urgent || state.events >= ENOUGH,
        };
        if thread {
            state.thread_waits = Waits::No;
        }
        let task = mem::take(&mut state.task_waits);
        // Unlocked first, or the woken one would wait for the lock.
        drop(state);
        if thread {
            self.thread.notify_one();
        }
        if task {
            self.task.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves at worst a frame without its length, which the other side refuses.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, event: &EventRef<'_>) {
        let full = |open: &Open, end: usize| open.count == BATCH || end - open.at >= FRAME_BYTES;
        if self.open.as_ref().is_some_and(|open| full(open, self.buffer.len())) {
            self.close_frame();
        }
        let open = self.open.get_or_insert_with(|| Open { at: message::begin_events(&mut self.buffer), count: 0 });
        open.count += 1;
        self.events += 1;
        event::write(&mut self.buffer, event);
    }

    fn has_something(&self) -> bool {
        !self.buffer.is_empty() || self.oversize > 0
    }

    fn close_frame(&mut self) {
        if let Some(open) = self.open.take() {
            message::end(&mut self.buffer, open.at);
        }
    }

    fn give(&mut self, chunk: &mut Vec<u8>) -> bool {
        self.close_frame();
        let oversize = mem::take(&mut self.oversize);
        if oversize > 0 {
            Up::Oversize { count: oversize, size: self.oversize_last }.write(&mut self.buffer);
        }
        let dropped = mem::take(&mut self.logs_dropped);
        if dropped > 0 {
            let message = format!("{dropped} log records were dropped: they came faster than they can be written");
            Up::Log { level: 2, target: "headwater".into(), message: message.into() }.write(&mut self.buffer);
        }
        if self.buffer.is_empty() {
            return false;
        }
        (self.events, self.urgent) = (0, false);
        chunk.clear();
        if chunk.capacity() > KEEP {
            *chunk = Vec::new();
        }
        mem::swap(&mut self.buffer, chunk);
        true
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
