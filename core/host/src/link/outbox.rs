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
mod tests {
    use super::*;
    use crate::link::{assembler::Assembler, event::tests::event};
    use std::{sync::Arc, thread};

    fn frames(chunk: &[u8]) -> Vec<(usize, usize)> {
        let mut assembler = Assembler::default();
        assembler.swap(&mut chunk.to_vec());
        let mut seen = Vec::new();
        while let Some(frame) = assembler.next().unwrap() {
            let mut count = 0;
            if let Up::Events(mut events) = Up::read(frame).unwrap() {
                while !events.is_empty() {
                    event::read(&mut events).unwrap();
                    count += 1;
                }
            }
            seen.push((count, frame.len()));
        }
        seen
    }

    fn counts(chunk: &[u8]) -> Vec<usize> {
        frames(chunk).into_iter().map(|(count, _)| count).collect()
    }

    #[test]
    fn what_comes_while_the_writer_is_busy_leaves_in_batches() {
        let outbox = Outbox::default();
        outbox.grant(1000);
        let one = event("tmux", b"{}", &[]);
        assert_eq!(outbox.publish(&[one]), 1);
        let mut chunk = Vec::new();
        assert!(outbox.take_blocking(&mut chunk));
        assert_eq!(counts(&chunk), [1], "the first one waits for nobody");
        for _ in 0..70 {
            outbox.publish(&[one]);
        }
        outbox.push(|buffer| Up::Started.write(buffer)).unwrap();
        outbox.publish(&[one, one]);
        assert!(outbox.take_blocking(&mut chunk));
        assert_eq!(counts(&chunk), [64, 6, 0, 2], "in order, 64 at most");
    }

    #[test]
    fn the_first_event_after_quiet_leaves_at_once_and_the_next_are_gathered() {
        let outbox = Outbox::default();
        outbox.grant(u32::MAX);
        let one = event("tmux", b"{}", &[]);
        let (mut chunk, mut last) = (Vec::new(), Instant::now().checked_sub(LINGER).unwrap());
        outbox.publish(&[one]);
        let began = Instant::now();
        assert!(outbox.take_batch(&mut chunk, &mut last));
        assert!(last >= began);

        thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let before = last;
                assert!(outbox.take_batch(&mut chunk, &mut last));
                (counts(&chunk).iter().sum::<usize>(), last - before)
            });
            for _ in 0..10 {
                outbox.publish(&[one]);
            }
            let (count, after) = taker.join().unwrap();
            // A machine that stops this thread for half a millisecond makes it fewer, but never earlier.
            assert!(count >= 1 && after >= LINGER, "{count} after {after:?}");
        });
        outbox.close();
        while outbox.take_batch(&mut chunk, &mut last) {}
    }

    #[test]
    fn enough_events_and_urgent_words_are_not_lingered_over() {
        let outbox = Outbox::default();
        outbox.grant(u32::from(u16::MAX));
        let (mut chunk, mut last) = (Vec::new(), Instant::now() + Duration::from_hours(1));
        outbox.publish(&vec![event("tmux", b"{}", &[]); ENOUGH as usize]);
        assert!(outbox.take_batch(&mut chunk, &mut last));
        last += Duration::from_hours(1);
        outbox.publish(&[event("tmux", b"{}", &[])]);
        outbox.must(|buffer| Up::Stopped(true).write(buffer));
        assert!(outbox.take_batch(&mut chunk, &mut last));
        assert_eq!(counts(&chunk), [1, 0]);
    }

    #[test]
    fn a_plugin_without_credit_is_not_kept_waiting_for_company() {
        let outbox = Outbox::default();
        outbox.grant(2);
        let (mut chunk, mut last) = (Vec::new(), Instant::now() + Duration::from_hours(1));
        assert_eq!(outbox.publish(&[event("tmux", b"{}", &[]); 3]), 2);
        assert!(outbox.take_batch(&mut chunk, &mut last));
        assert_eq!(counts(&chunk), [2]);
    }

    #[test]
    fn without_credit_nothing_is_taken() {
        let outbox = Outbox::default();
        outbox.grant(3);
        let events = [event("tmux", b"{}", &[]); 5];
        assert_eq!(outbox.publish(&events), 3);
        assert_eq!(outbox.publish(&events), 0);
        outbox.grant(1);
        assert_eq!(outbox.publish(&events), 1);
    }

    #[test]
    fn large_events_are_bounded_by_bytes_and_too_large_ones_are_told() {
        let outbox = Outbox::default();
        outbox.grant(10_000);
        let payload = vec![b'1'; 100 << 10];
        let large = event("tmux", &payload, &[]);
        let taken = outbox.publish(&vec![large; 1000]);
        assert!((10..=11).contains(&taken), "{taken}");
        let mut chunk = Vec::new();
        outbox.take_blocking(&mut chunk);
        assert!(frames(&chunk).iter().all(|(_, length)| *length <= FRAME_BYTES + payload.len() + 200));

        let huge = vec![b'1'; MAX_EVENT];
        assert_eq!(outbox.publish(&[event("tmux", &huge, &[]), event("tmux", b"1", &[])]), 2);
        outbox.take_blocking(&mut chunk);
        assert_eq!(counts(&chunk), [1, 0]);
        let mut assembler = Assembler::default();
        assembler.swap(&mut chunk);
        assembler.next().unwrap();
        let Some(Ok(Up::Oversize { count: 1, size })) = assembler.next().unwrap().map(Up::read) else {
            panic!("the daemon is told")
        };
        assert!(size > MAX_EVENT as u64);
    }

    #[test]
    fn a_flood_of_log_records_is_cut_and_counted() {
        let outbox = Outbox::default();
        let message = "x".repeat(1000);
        for _ in 0..1000 {
            outbox.log(3, "disk", &message);
        }
        let mut chunk = Vec::new();
        outbox.take_blocking(&mut chunk);
        let records = frames(&chunk).len();
        assert!((500..600).contains(&records), "{records}");
        let last = String::from_utf8_lossy(&chunk[chunk.len() - 100..]).into_owned();
        assert!(last.contains("log records were dropped"), "{last}");
    }

    #[test]
    fn a_side_that_is_not_read_is_full_and_a_closed_one_gives_out_its_rest() {
        let outbox = Outbox::default();
        let body = vec![b'1'; 1 << 20];
        let reply = Up::Reply { request: 1, json: &body };
        let pushed = (0..100).take_while(|_| outbox.push(|buffer| reply.write(buffer)).is_ok()).count();
        assert_eq!(pushed, BYTES >> 20);
        outbox.close();
        let mut chunk = Vec::new();
        assert!(outbox.take_blocking(&mut chunk));
        assert_eq!(frames(&chunk).len(), pushed);
        assert!(!outbox.take_blocking(&mut chunk));
        assert_eq!(outbox.push(|buffer| Up::Started.write(buffer)), Err(Full));
        assert_eq!(outbox.publish(&[event("tmux", b"{}", &[])]), 0);
    }

    #[test]
    fn a_thread_and_a_task_are_both_woken() {
        let outbox = Arc::new(Outbox::default());
        outbox.grant(u32::MAX);
        let (sent, taken) = std::sync::mpsc::channel();
        let reader = outbox.clone();
        let thread = thread::spawn(move || {
            let mut chunk = Vec::new();
            while reader.take_blocking(&mut chunk) {
                sent.send(counts(&chunk).into_iter().sum::<usize>()).unwrap();
            }
        });
        for _ in 0..100 {
            outbox.publish(&[event("tmux", b"{}", &[])]);
            assert_eq!(taken.recv().unwrap(), 1);
        }
        outbox.close();
        thread.join().unwrap();

        let outbox = Arc::new(Outbox::default());
        outbox.grant(u32::MAX);
        let writer = outbox.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let thread = thread::spawn(move || {
            for _ in 0..1000 {
                writer.publish(&[event("tmux", b"{}", &[])]);
            }
            writer.close();
        });
        let mut sum = 0;
        runtime.block_on(async {
            let mut chunk = Vec::new();
            while outbox.take(&mut chunk).await {
                sum += counts(&chunk).into_iter().sum::<usize>();
            }
        });
        thread.join().unwrap();
        assert_eq!(sum, 1000);
    }
}
