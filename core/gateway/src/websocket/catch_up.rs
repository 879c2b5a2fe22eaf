//! The slow path: a connection whose socket is full, or who asked for history, is a set of cursors into the logs. A
//! drain task pages it forward, from the store where the log no longer holds its place, until it stands where the shard
//! stands; then the turns write to it again.

use super::{
    connection::{Connection, Mode},
    cursor::{Cursor, Cursors},
    fetch::{Fetch, Fetched},
    shard::{Shard, Shared},
    share::{self, Share, until},
    turn::{Batch, KEEP, caught_up},
};
use headwater_protocol::CloseCode;
use headwater_router::ReadLimit;
use std::{io::ErrorKind, rc::Rc};
use tokio::time::{Instant, timeout_at};

/// The most that one step reads from the logs and writes. Between steps other connections of the shard have their turn.
const PAGE: ReadLimit = ReadLimit { events: 1_000, bytes: 64 * 1024 };

/// What one step came to.
enum Step {
    /// There is more.
    More,
    /// The socket is full.
    Full,
    /// What comes next has to be read where a thread may block.
    Fetch(Fetch),
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
    let fetches = shared.borrow().fetches.clone();
    loop {
        let mut step = step(&mut shared.borrow_mut(), &connection);
        if let Step::Fetch(fetch) = step {
            let fetched = fetches.read(fetch).await;
            step = take(&mut shared.borrow_mut(), &connection, &fetched);
        }
        match step {
            Step::Live | Step::Closed => break,
            Step::Ended => {
                shared.borrow_mut().remove(&connection);
                break;
            }
            Step::More | Step::Fetch(_) => {}
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
    connection.pulse.borrow_mut().wait_from(Instant::now());
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
        connection.drained.notify_waiters();
    }
    Flushed::All
}

/// Reads and writes one page of events, a share for each channel that is behind.
fn page(shard: &mut Shard, connection: &Rc<Connection>) -> Step {
    let Some(mut cursors) = taken(connection) else { return Step::Live };
    let is_behind = |(channel, cursor): &(&u32, &Cursor)| cursor.next < until(shard, connection, **channel, cursor);
    let behind = cursors.places.iter().filter(is_behind).count();
    if behind == 0 {
        connection.output.borrow_mut().mode = Mode::Live;
        shard.keep_pace(connection);
        return Step::Live;
    }
    let share = ReadLimit { events: PAGE.events.div_ceil(behind), bytes: PAGE.bytes.div_ceil(behind) };
    let mut page = blank(shard);
    let (mut fetch, mut disconnect) = (None, false);
    for channel in cursors.order() {
        let appetite = cursors.appetite;
        let cursor = cursors.places.get_mut(&channel).expect("the channel was listed a line ago");
        match share::read(shard, connection, channel, cursor, share, appetite, &mut page) {
            Share::Read => {}
            Share::Fetch(what) => fetch = Some(what),
            Share::Disconnect => disconnect = true,
        }
        cursors.after = channel;
        // However many channels there are, a page is a page.
        if disconnect || fetch.is_some() || page.bytes.len() >= PAGE.bytes {
            break;
        }
    }
    let step = write(shard, connection, &page, &mut cursors);
    done(shard, page);
    connection.output.borrow_mut().mode = Mode::Draining(cursors);
    if disconnect {
        shard.lose(connection, CloseCode::SlowConsumer, "fell off the log; resume at these positions");
    }
    match (step, fetch) {
        // What the page had before it is written: now it is its turn.
        (Step::More, Some(fetch)) if connection.output.borrow().control.is_empty() => Step::Fetch(fetch),
        (step, _) => step,
    }
}

/// Writes what was read elsewhere, if it is still wanted.
fn take(shard: &mut Shard, connection: &Rc<Connection>, fetched: &Fetched) -> Step {
    if connection.output.borrow().dead {
        return Step::Ended;
    }
    let Some(mut cursors) = taken(connection) else { return Step::Live };
    let mut page = blank(shard);
    // It may have been unsubscribed meanwhile, or subscribed again from elsewhere.
    if let Some(cursor) = cursors.places.get_mut(&fetched.fetch.channel)
        && fetched.fetch.is_for(&shard.channels.get(fetched.fetch.channel).log, cursor)
    {
        share::take(shard, connection, cursor, fetched, &mut page);
    }
    // The socket did not have to wait for the client while this was read.
    connection.progress.set(Instant::now());
    let step = write(shard, connection, &page, &mut cursors);
    if !page.frames.is_empty() {
        let channel = fetched.fetch.channel;
        let left = cursors.places.get(&channel).map_or(0, |cursor| cursor.next);
        let taken = page.frames.iter().filter(|frame| frame.offset < left).count();
        cursors.fed(page.frames.len(), taken);
    }
    done(shard, page);
    connection.output.borrow_mut().mode = Mode::Draining(cursors);
    step
}

/// The cursors of a connection that drains; they are put back when they have been moved.
fn taken(connection: &Connection) -> Option<Cursors> {
    match &mut connection.output.borrow_mut().mode {
        Mode::Live => None,
        Mode::Draining(cursors) => Some(std::mem::take(cursors)),
    }
}

/// An empty page in the shard's buffer.
fn blank(shard: &mut Shard) -> Batch {
    let mut bytes = std::mem::take(&mut shard.scratch);
    bytes.clear();
    Batch { bytes, frames: Vec::new() }
}

/// Gives the buffer back.
fn done(shard: &mut Shard, page: Batch) {
    shard.scratch = page.bytes;
    shard.scratch.clear();
    shard.scratch.shrink_to(KEEP);
}

/// Writes a page; what did not go through is read again.
fn write(shard: &mut Shard, connection: &Rc<Connection>, page: &Batch, cursors: &mut Cursors) -> Step {
    let Batch { bytes, frames } = page;
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
            cursor.back_to(frame.offset);
        }
    }
    Step::Full
}

impl Shard {
    /// A live connection reads the logs from now on, from where the shard stands.
    pub(super) fn fall_behind(&mut self, connection: &Rc<Connection>) {
        // What a turn has gathered for it goes first: its cursors begin behind that.
        self.flush();
        if let Mode::Draining(_) = connection.output.borrow().mode {
            return;
        }
        let cursors = caught_up(connection, &self.channels);
        connection.output.borrow_mut().mode = Mode::Draining(cursors);
        self.start_drain(connection);
    }

    /// Lets a drain task see to a connection.
    pub(super) fn start_drain(&mut self, connection: &Rc<Connection>) {
        let (Some(shared), connection) = (self.myself.upgrade(), connection.clone()) else { return };
        connection.progress.set(Instant::now());
        self.metrics.lagging(1);
        self.tasks.spawn(drain(shared, connection));
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
