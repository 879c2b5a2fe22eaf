//! The slow path: a connection whose socket is full, or who asked for history, is a set of cursors into the logs. A
//! drain task pages it forward until it stands where the shard stands; then the turns write to it again.

use super::{
    connection::{Connection, Cursor, Cursors, Mode},
    shard::{Shard, Shared},
    turn::{Frame, KEEP, frame_of},
};
use headwater_event::{Event, Gap, GapReason, Position};
use headwater_protocol::{CloseCode, LagPolicy, Reply};
use headwater_router::{Read, ReadLimit};
use std::{io::ErrorKind, rc::Rc, sync::Arc};
use tokio::time::{Instant, timeout_at};

/// The most that one step reads and writes. Between steps other connections of the shard have their turn.
const PAGE: ReadLimit = ReadLimit { events: 1_000, bytes: 64 * 1024 };

/// What one step came to.
enum Step {
    /// There is more.
    More,
    /// The socket is full.
    Full,
    /// The connection stands where the shard stands; the turns go on.
    Live,
    /// The close frame is written; the reader waits for the client's end.
    Closed,
    /// The connection has ended.
    Ended,
}

/// Drains one connection. Only one such task runs for a connection: it is started when its mode becomes
/// [`Mode::Draining`], and makes it live again.
pub(super) async fn drain(shared: Shared, connection: Rc<Connection>) {
    loop {
        let step = step(&mut shared.borrow_mut(), &connection);
        match step {
            Step::Live | Step::Closed => break,
            Step::Ended => {
                shared.borrow_mut().remove(&connection);
                break;
            }
            Step::More => {}
            Step::Full => {
                let deadline = connection.progress.get() + shared.borrow().options.stall_timeout;
                // An error of the socket shows at the next write.
                if timeout_at(deadline, connection.stream.writable()).await.is_err() {
                    shared.borrow_mut().evict(&connection);
                    break;
                }
            }
        }
        // Also when the socket seems writable at once, which it does after a short write: the others have their turn.
        tokio::task::yield_now().await;
    }
    // What waited for the pong of a slow reader counts from here.
    connection.pinged.set(None);
    shared.borrow().metrics.lagging(-1);
}

/// Writes what waits, in its order: the rest of a frame, replies and notices, then a page of events.
fn step(shard: &mut Shard, connection: &Rc<Connection>) -> Step {
    match flush_waiting(connection, shard) {
        Flushed::All => {}
        Flushed::Full => return Step::Full,
        Flushed::Failed => return Step::Ended,
    }
    if connection.output.borrow().dead {
        return Step::Ended;
    }
    if connection.ending() {
        shard.finish(connection);
        return Step::Closed;
    }
    page(shard, connection)
}

/// How writing what waits went.
pub(super) enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket is full.
    Full,
    /// The socket is gone.
    Failed,
}

/// Writes the rest of a frame, then the control lane.
pub(super) fn flush_waiting(connection: &Connection, shard: &Shard) -> Flushed {
    let mut output = connection.output.borrow_mut();
    let output = &mut *output;
    let waited = !output.control.is_empty();
    for waiting in [&mut output.partial, &mut output.control] {
        if waiting.is_empty() {
            continue;
        }
        match connection.stream.try_write(waiting) {
            Ok(written) => {
                shard.metrics.delivered(0, written as u64);
                connection.progress.set(Instant::now());
                if written < waiting.len() {
                    waiting.drain(..written);
                    return Flushed::Full;
                }
                *waiting = Vec::new();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Flushed::Full,
            Err(_) => {
                output.dead = true;
                return Flushed::Failed;
            }
        }
    }
    if waited {
        connection.drained.notify_one();
    }
    Flushed::All
}

/// Reads and writes one page of events, a share for each channel that is behind.
fn page(shard: &mut Shard, connection: &Rc<Connection>) -> Step {
    let mut cursors = match &mut connection.output.borrow_mut().mode {
        Mode::Live => return Step::Live,
        Mode::Draining(cursors) => std::mem::take(cursors),
    };
    let is_behind = |(channel, cursor): (&u32, &Cursor)| cursor.next < shard.channels.get(*channel).next;
    let behind = cursors.places.iter().filter(|place| is_behind(*place)).count();
    if behind == 0 {
        connection.output.borrow_mut().mode = Mode::Live;
        return Step::Live;
    }
    let share = ReadLimit { events: PAGE.events.div_ceil(behind), bytes: PAGE.bytes.div_ceil(behind) };
    let mut bytes = std::mem::take(&mut shard.scratch);
    bytes.clear();
    let mut frames = Vec::new();
    let after = cursors.after;
    let order: Vec<u32> =
        cursors.places.range(after + 1..).chain(cursors.places.range(..=after)).map(|(channel, _)| *channel).collect();
    let mut disconnect = false;
    for channel in order {
        let cursor = cursors.places.get_mut(&channel).expect("the channel was listed a line ago");
        disconnect |= read(shard, connection, channel, cursor, share, &mut bytes, &mut frames).is_err();
        cursors.after = channel;
        // However many channels there are, a page is a page.
        if disconnect || bytes.len() >= PAGE.bytes {
            break;
        }
    }
    let step = write(shard, connection, &bytes, &frames, &mut cursors);
    bytes.clear();
    bytes.shrink_to(KEEP);
    shard.scratch = bytes;
    connection.output.borrow_mut().mode = Mode::Draining(cursors);
    if disconnect {
        shard.lose(connection, CloseCode::SlowConsumer, "fell off the log; resume at these positions");
    }
    step
}

/// A subscription's policy is to be closed when it falls off the log.
struct Disconnect;

/// Appends one channel's share of a page.
fn read(
    shard: &Shard,
    connection: &Connection,
    index: u32,
    cursor: &mut Cursor,
    share: ReadLimit,
    bytes: &mut Vec<u8>,
    frames: &mut Vec<Frame>,
) -> Result<(), Disconnect> {
    let channel = shard.channels.get(index);
    if cursor.next >= channel.next {
        cursor.warned = false;
        return Ok(());
    }
    let Some(membership) = connection.reading.borrow().memberships.get(&index).copied() else { return Ok(()) };
    let group = &channel.groups[membership.group as usize];
    let mut events: Vec<Arc<Event>> = Vec::new();
    match channel.log.read(cursor.next, share, &mut events) {
        Read::Behind { tail } => {
            let policy = connection.subscription(membership.subscription).and_then(|s| s.lag_policy);
            if policy == Some(LagPolicy::Disconnect) {
                return Err(Disconnect);
            }
            let from = Position { epoch: channel.log.epoch(), offset: cursor.next };
            let tail = tail.min(channel.next);
            shard.metrics.gap(GapReason::SlowConsumer, tail - cursor.next);
            let name = channel.log.name().clone();
            let gap = Gap { channel: name, from, to: tail - 1, reason: GapReason::SlowConsumer };
            connection.reply(&Reply::Gap(gap));
            cursor.next = tail;
        }
        Read::Ok { .. } => {
            for event in &events {
                // The log may be ahead of this shard; what it has not taken from its inbox comes by the turn.
                if event.position.offset >= channel.next {
                    break;
                }
                cursor.next = event.position.offset + 1;
                if group.wants(event, &shard.filters) {
                    bytes.extend_from_slice(&frame_of(event, connection.dialect));
                    let end = bytes.len() as u32;
                    frames.push(Frame { end, channel: index, offset: event.position.offset });
                }
            }
            warn(connection, channel, cursor);
        }
    }
    Ok(())
}

/// Says `lag` once, when the older half of the log is all that lies between a reader and a gap.
fn warn(connection: &Connection, channel: &super::channel::Channel, cursor: &mut Cursor) {
    let log = channel.log.info();
    let (tail, head) = (log.first, log.head);
    let held = head.saturating_sub(tail) + 1;
    let behind = (head + 1).saturating_sub(cursor.next);
    // The oldest may go at any moment once the log is full; before that there is room to grow.
    if cursor.warned || tail == 1 || behind * 2 < held {
        return;
    }
    cursor.warned = true;
    let bytes = log.bytes * behind / held;
    connection.reply(&Reply::Lag { channel: channel.log.name().clone(), behind, bytes });
}

/// Writes a page; what did not go through is read again from the log.
fn write(
    shard: &mut Shard,
    connection: &Rc<Connection>,
    bytes: &[u8],
    frames: &[Frame],
    cursors: &mut Cursors,
) -> Step {
    if bytes.is_empty() {
        return Step::More;
    }
    let written = match connection.stream.try_write(bytes) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(_) => return Step::Ended,
    };
    if written > 0 {
        connection.progress.set(Instant::now());
    }
    if written == bytes.len() {
        shard.metrics.delivered(frames.len() as u64, written as u64);
        return Step::More;
    }
    let begun = frames.partition_point(|frame| (frame.end as usize) <= written);
    let start = begun.checked_sub(1).map_or(0, |last| frames[last].end as usize);
    let mut unsent = begun;
    if start < written {
        connection.output.borrow_mut().partial = bytes[written..frames[begun].end as usize].to_vec();
        unsent += 1;
    }
    shard.metrics.delivered(unsent as u64, written as u64);
    for frame in frames[unsent..].iter().rev() {
        if let Some(cursor) = cursors.places.get_mut(&frame.channel) {
            cursor.next = frame.offset;
        }
    }
    Step::Full
}

impl Shard {
    /// Lets a drain task see to a connection.
    pub(super) fn start_drain(&mut self, connection: &Rc<Connection>) {
        let (Some(shared), connection) = (self.myself.upgrade(), connection.clone()) else { return };
        connection.progress.set(Instant::now());
        self.metrics.lagging(1);
        self.tasks.spawn_local(drain(shared, connection));
    }

    /// Cuts a connection that has made no progress. What the kernel holds for it is thrown away with it: a closed
    /// window would keep it in memory otherwise.
    fn evict(&mut self, connection: &Rc<Connection>) {
        let whole = connection.output.borrow().partial.is_empty();
        if whole {
            self.lose(connection, CloseCode::SlowConsumer, "no progress; too slow; resume at these positions");
            // As far as it goes; the socket is full.
            let _ = flush_waiting(connection, self);
        }
        if let Err(error) = connection.stream.set_zero_linger() {
            tracing::debug!(%error, peer = %connection.peer, "cannot reset a stalled connection");
        }
        tracing::info!(peer = %connection.peer, connection = connection.name(), "closed a client that does not read");
        connection.output.borrow_mut().closing = Some(CloseCode::SlowConsumer);
        self.remove(connection);
    }
}
