//! One shard: a thread with a current-thread runtime that owns its connections. Its tasks take turns, so its state needs
//! no lock; none of them holds a borrow of it across an await.

use super::{
    Adopted,
    catch_up::{Flushed, flush_waiting},
    channel::Channels,
    connection::{Connection, Mode, before},
    mailbox::{Mail, Mailbox},
    reader,
    turn::{Turn, caught_up},
};
use crate::{metrics::Metrics, options::Options, ports::Ports, publishing::Publisher};
use headwater_event::{ChannelName, ChannelPattern, Position};
use headwater_filter::FilterTable;
use headwater_protocol::{CloseCode, ErrorCode, Reply, websocket};
use headwater_router::{Inbox, Router};
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often the clock looks at every connection. Pings and their deadlines are this exact.
const SWEEP: Duration = Duration::from_secs(1);
/// How many connections are closed at once when the daemon ends, and how long it waits before the next ones: clients
/// that come back at once would otherwise all come at the same moment.
const CLOSE_AT_ONCE: usize = 256;
const CLOSE_PAUSE: Duration = Duration::from_millis(20);

/// A shard as its tasks hold it.
pub(super) type Shared = Rc<RefCell<Shard>>;

/// What a shard is made of.
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) options: Options,
    pub(super) router: Arc<Router>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) ports: Arc<dyn Ports>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) connections: Arc<AtomicUsize>,
}

/// The state of a shard.
pub(super) struct Shard {
    pub(super) options: Options,
    pub(super) router: Arc<Router>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) ports: Arc<dyn Ports>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) inbox: Inbox,
    pub(super) channels: Channels,
    /// Equal filters of its connections are one.
    pub(super) filters: FilterTable,
    /// Who subscribed to which glob: asked when a channel appears.
    pub(super) globs: HashMap<ChannelPattern, Vec<Rc<Connection>>>,
    pub(super) turn: Turn,
    /// A buffer for what is written in one go; empty between uses.
    pub(super) scratch: Vec<u8>,
    /// A buffer for what is read in one go.
    pub(super) inward: Vec<u8>,
    pub(super) tasks: TaskTracker,
    pub(super) myself: Weak<RefCell<Shard>>,
    pub(super) executions: u64,
    connections: HashMap<u64, Rc<Connection>>,
    count: Arc<AtomicUsize>,
    numbered: u64,
    emptied: Rc<Notify>,
}

/// Runs a shard until it has been drained.
pub(super) async fn run(parts: Parts) {
    let woken = Arc::new(Notify::new());
    let wake = woken.clone();
    let inbox = parts.router.shard(Box::new(move || wake.notify_one()));
    let room = parts.options.max_message_bytes + 64 * 1024;
    let shard = Rc::new_cyclic(|myself| {
        RefCell::new(Shard {
            options: parts.options,
            router: parts.router,
            publisher: parts.publisher,
            ports: parts.ports,
            metrics: parts.metrics,
            mailbox: parts.mailbox,
            inbox,
            channels: Channels::default(),
            filters: FilterTable::default(),
            globs: HashMap::new(),
            turn: Turn::default(),
            scratch: Vec::new(),
            inward: vec![0; room],
            tasks: TaskTracker::new(),
            myself: myself.clone(),
            executions: 0,
            connections: HashMap::new(),
            count: parts.connections,
            numbered: (parts.index as u64) << 48,
            emptied: Rc::default(),
        })
    });
    let ended = CancellationToken::new();
    let tasks = shard.borrow().tasks.clone();
    tasks.spawn_local(turns(shard.clone(), woken, ended.clone()));
    tasks.spawn_local(sweeps(shard.clone(), ended.clone()));
    let (code, grace) = letters(&shard).await;
    drain(&shard, code, grace).await;
    ended.cancel();
    tasks.close();
    tasks.wait().await;
}

/// One turn after each wake; immediate after quiet, otherwise at most one per interval.
async fn turns(shard: Shared, woken: Arc<Notify>, ended: CancellationToken) {
    let pause = shard.borrow().options.flush_interval;
    let mut last: Option<Instant> = None;
    loop {
        tokio::select! {
            () = woken.notified() => {}
            () = ended.cancelled() => return,
        }
        if let Some(last) = last.filter(|_| !pause.is_zero()) {
            sleep_until(last + pause).await;
        }
        shard.borrow_mut().turn();
        last = Some(Instant::now());
        // A source that never pauses must not keep the shard from reading its clients.
        tokio::task::yield_now().await;
    }
}

async fn sweeps(shard: Shared, ended: CancellationToken) {
    let mut clock = interval(SWEEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = clock.tick() => shard.borrow_mut().sweep(),
            () = ended.cancelled() => return,
        }
    }
}

/// Handles the mailbox until the order to end.
async fn letters(shard: &Shared) -> (CloseCode, Duration) {
    let mailbox = shard.borrow().mailbox.clone();
    loop {
        for mail in mailbox.take().await {
            match mail {
                Mail::Adopt(adopted) => shard.borrow_mut().adopt(adopted),
                Mail::Answer { connection, request_id, execution_id, answer } => {
                    shard.borrow_mut().answer(connection, &request_id, &execution_id, answer);
                }
                Mail::Drain { code, grace } => return (code, grace),
            }
        }
    }
}

/// Writes what is left, then closes everyone, a few at a time.
async fn drain(shard: &Shared, code: CloseCode, grace: Duration) {
    let deadline = Instant::now() + grace;
    let all: Vec<Rc<Connection>> = {
        let mut shard = shard.borrow_mut();
        shard.turn();
        shard.connections.values().cloned().collect()
    };
    for some in all.chunks(CLOSE_AT_ONCE) {
        for connection in some {
            let mut shard = shard.borrow_mut();
            shard.lose(connection, code, "the daemon ends; resume at these positions");
            shard.flush_control(connection);
        }
        if some.len() == CLOSE_AT_ONCE {
            tokio::time::sleep(CLOSE_PAUSE).await;
        }
    }
    let emptied = shard.borrow().emptied.clone();
    loop {
        let left = shard.borrow().connections.len();
        if left == 0 {
            return;
        }
        tokio::select! {
            () = emptied.notified() => {}
            () = sleep_until(deadline) => break,
        }
    }
    let left: Vec<Rc<Connection>> = shard.borrow().connections.values().cloned().collect();
    tracing::warn!(connections = left.len(), "clients did not close in time and were cut");
    for connection in left {
        shard.borrow_mut().remove(&connection);
    }
}

impl Shard {
    fn adopt(&mut self, adopted: Adopted) {
        let stream = match TcpStream::from_std(adopted.stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot take over a connection");
                self.count.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        };
        self.numbered += 1;
        let connection = Connection::new(self.numbered, stream, adopted.dialect, adopted.peer);
        self.connections.insert(connection.id, connection.clone());
        let Some(myself) = self.myself.upgrade() else { return };
        self.tasks.spawn_local(reader::run(myself, connection, adopted.carry));
    }

    /// Forgets a connection and shuts its socket.
    pub(super) fn remove(&mut self, connection: &Rc<Connection>) {
        if self.connections.remove(&connection.id).is_none() {
            return;
        }
        let code = {
            let mut output = connection.output.borrow_mut();
            output.dead = true;
            output.closing
        };
        self.metrics.closed(code);
        self.leave_all(connection);
        self.count.fetch_sub(1, Ordering::Relaxed);
        connection.drained.notify_one();
        // Wakes its reader, whose task holds the socket too.
        if let Err(error) = rustix::net::shutdown(&connection.stream, rustix::net::Shutdown::Both) {
            tracing::trace!(%error, "the socket was shut already");
        }
        self.emptied.notify_one();
    }

    /// The connection of this number, if it is still there.
    pub(super) fn connection(&self, id: u64) -> Option<Rc<Connection>> {
        self.connections.get(&id).cloned()
    }

    /// Writes the control lane of a connection now, as far as its socket takes it.
    pub(super) fn flush_control(&mut self, connection: &Rc<Connection>) {
        if matches!(connection.output.borrow().mode, Mode::Draining(_)) {
            return; // its drain task writes it, in its order
        }
        match flush_waiting(connection, self) {
            Flushed::All => {
                if connection.ending() {
                    self.finish(connection);
                }
            }
            Flushed::Failed => self.remove(connection),
            Flushed::Full => {
                let cursors = caught_up(connection, &self.channels);
                connection.output.borrow_mut().mode = Mode::Draining(cursors);
                self.start_drain(connection);
            }
        }
    }

    /// The close frame is written: no more goes out. The client's end of the stream, or a deadline, ends it.
    pub(super) fn finish(&mut self, connection: &Rc<Connection>) {
        if connection.output.borrow().dead {
            self.remove(connection);
            return;
        }
        if connection.finished.get().is_some() {
            return; // what it still sends does not put its deadline off
        }
        connection.finished.set(Some(Instant::now()));
        if let Err(error) = rustix::net::shutdown(&connection.stream, rustix::net::Shutdown::Write) {
            tracing::trace!(%error, "the socket was shut already");
        }
    }

    /// Ends a connection that would rather go on: where to resume, then the close frame.
    pub(super) fn lose(&self, connection: &Connection, code: CloseCode, reason: &str) {
        let positions = self.positions(connection);
        connection.reply(&Reply::Error {
            code: ErrorCode::ConnectionLost,
            message: reason.to_owned(),
            positions,
            session: None,
            request_id: None,
        });
        connection.close(code, reason);
    }

    /// Where each of a connection's channels stands for it.
    pub(super) fn positions(&self, connection: &Connection) -> Vec<(ChannelName, Position)> {
        let reading = connection.reading.borrow();
        let place = |channel: u32| {
            let known = self.channels.get(channel);
            let next = connection.cursor(channel).unwrap_or(known.next);
            (known.log.name().clone(), before(known.epoch, next))
        };
        reading.memberships.keys().map(|channel| place(*channel)).collect()
    }

    /// Looks at every connection: who is quiet is pinged, who does not answer is closed.
    fn sweep(&mut self) {
        let now = Instant::now();
        let (quiet, answer) = (self.options.ping_interval, self.options.pong_timeout);
        let mut due = Vec::new();
        for connection in self.connections.values() {
            if let Some(since) = connection.finished.get() {
                if now.duration_since(since) > answer {
                    due.push((connection.clone(), true));
                }
                continue;
            }
            // A ping would wait behind everything else; while a socket drains, its progress is what counts.
            if matches!(connection.output.borrow().mode, Mode::Draining(_)) {
                continue;
            }
            match connection.pinged.get() {
                Some(since) if now.duration_since(since) > answer => due.push((connection.clone(), true)),
                None if now.duration_since(connection.heard.get()) > quiet => due.push((connection.clone(), false)),
                _ => {}
            }
        }
        for (connection, late) in due {
            if !late {
                connection.pinged.set(Some(now));
                connection.control(|control| websocket::ping_frame(control, b""));
                self.flush_control(&connection);
            } else if connection.ending() {
                self.remove(&connection);
            } else {
                connection.close(CloseCode::Timeout, "no answer to a ping");
                self.flush_control(&connection);
            }
        }
    }
}
