//! One shard: a thread with a current-thread runtime that owns its connections. Its tasks take turns, so its state needs
//! no lock; none of them holds a borrow of it across an await.

use super::{
    Adopted,
    catch_up::{Flushed, flush_waiting},
    channel::Channels,
    connection::{Connection, Mode, Terms, before},
    ending::{self, Ended},
    fetch::Fetches,
    history::Questions,
    mailbox::{Mail, Mailbox},
    pace::{self, Clock},
    reader,
    sessions::Sessions,
    tasks::Tasks,
    turn::Turn,
};
use crate::{metrics::Metrics, options::Options, ports::Ports, publishing::Publisher};
use headwater_event::{ChannelName, ChannelPattern, Position};
use headwater_filter::FilterTable;
use headwater_protocol::{CloseCode, ErrorCode, Reply};
use headwater_router::{Inbox, Router};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Notify, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// How often the clock looks at every connection. Pings and their deadlines are this exact.
pub(super) const SWEEP: Duration = Duration::from_secs(1);

/// A shard as its tasks hold it.
pub(super) type Shared = Rc<RefCell<Shard>>;

/// What a shard is made of.
#[derive(Clone)]
pub(super) struct Parts {
    /// The next connection's number.
    pub(super) numbered: Arc<AtomicU64>,
    pub(super) options: Options,
    pub(super) router: Arc<Router>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) ports: Arc<dyn Ports>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) sessions: Arc<Sessions>,
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
    pub(super) sessions: Arc<Sessions>,
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
    pub(super) tasks: Tasks,
    /// Reads that would block this thread.
    pub(super) fetches: Rc<Fetches>,
    /// Questions about the past that wait for an answer.
    pub(super) questions: Questions,
    /// When paced subscriptions are due.
    pub(super) clock: Rc<Clock>,
    /// How many replays run.
    pub(super) replaying: Rc<Cell<usize>>,
    /// What a subscription asks for that asks for nothing special.
    pub(super) plain: Rc<Terms>,
    pub(super) myself: Weak<RefCell<Shard>>,
    pub(super) executions: u64,
    pub(super) connections: HashMap<u64, Rc<Connection>>,
    /// Wakes who waits for the last connection to go.
    pub(super) emptied: Rc<Notify>,
    count: Arc<AtomicUsize>,
    numbered: Arc<AtomicU64>,
}

/// Runs a shard until it has been drained, or until one of its tasks has panicked. Then all its connections have been
/// closed, and it can be run anew.
pub(super) async fn run(parts: Parts) -> Ended {
    let woken = Arc::new(Notify::new());
    let wake = woken.clone();
    let inbox = parts.router.shard(Box::new(move || wake.notify_one()));
    let room = parts.options.max_message_bytes + 64 * 1024;
    let tasks = Tasks::new();
    let fetches = Fetches::new(parts.router.clone(), tasks.blocking());
    let clock = Rc::new(Clock::default());
    let shard = Rc::new_cyclic(|myself| {
        RefCell::new(Shard {
            options: parts.options,
            router: parts.router,
            publisher: parts.publisher,
            ports: parts.ports,
            metrics: parts.metrics,
            mailbox: parts.mailbox,
            sessions: parts.sessions,
            inbox,
            channels: Channels::default(),
            filters: FilterTable::default(),
            globs: HashMap::new(),
            turn: Turn::default(),
            scratch: Vec::new(),
            inward: vec![0; room],
            tasks: tasks.clone(),
            fetches,
            questions: Questions::new(),
            clock: clock.clone(),
            replaying: Rc::default(),
            plain: Rc::default(),
            myself: myself.clone(),
            executions: 0,
            connections: HashMap::new(),
            count: parts.connections,
            numbered: parts.numbered,
            emptied: Rc::default(),
        })
    });
    let ended = CancellationToken::new();
    tasks.spawn(turns(shard.clone(), woken, ended.clone()));
    tasks.spawn(sweeps(shard.clone(), ended.clone()));
    tasks.spawn(pace::run(shard.clone(), clock, ended.clone()));
    let (order, mut ordered) = oneshot::channel();
    tasks.spawn(letters(shard.clone(), order));
    let (code, grace) = tokio::select! {
        // First: an order that was taken from the mailbox is not given again.
        biased;
        // The sender goes with its task only.
        Ok(order) = &mut ordered => order,
        () = tasks.failed() => {
            ending::fail(&shard);
            return Ended::Failed;
        }
    };
    tokio::select! {
        () = ending::drain(&shard, code, grace) => {}
        () = tasks.failed() => ending::fail(&shard),
    }
    ended.cancel();
    tasks.ended().await;
    Ended::Drained
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
async fn letters(shard: Shared, order: oneshot::Sender<(CloseCode, Duration)>) {
    let mailbox = shard.borrow().mailbox.clone();
    loop {
        match mailbox.take().await {
            Mail::Adopt(adopted) => shard.borrow_mut().adopt(adopted),
            Mail::Answer { connection, request_id, execution_id, answer } => {
                shard.borrow_mut().answer(connection, &request_id, &execution_id, answer);
            }
            Mail::GiveUp { connection, token, given_up } => {
                shard.borrow_mut().give_up(connection, token, given_up);
            }
            // Whoever asked may have gone.
            Mail::Census { answer, .. } if answer.is_closed() => {}
            Mail::Census { question, answer } => {
                let _ = answer.send(shard.borrow().census(&question));
            }
            Mail::Drain { code, grace } => {
                // Nobody waits for it only when the shard has failed; then it runs no more.
                let _ = order.send((code, grace));
                return;
            }
        }
        // Letters may come as fast as they are taken.
        tokio::task::consume_budget().await;
    }
}

impl Shard {
    fn adopt(&mut self, adopted: Adopted) {
        let stream = match TcpStream::from_std(adopted.stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot take over a connection");
                self.forgotten();
                return;
            }
        };
        let number = self.numbered.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(number, stream, adopted.dialect, adopted.peer);
        self.connections.insert(connection.id, connection.clone());
        let Some(myself) = self.myself.upgrade() else { return };
        self.tasks.spawn(reader::run(myself, connection, adopted.carry));
    }

    /// One connection less.
    pub(super) fn forgotten(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
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
        self.leave_session(connection, code);
        self.leave_all(connection);
        self.questions.forget(connection.id);
        connection.replays.take().iter().for_each(|replay| replay.stop());
        self.forgotten();
        connection.drained.notify_waiters();
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
            Flushed::Full => self.fall_behind(connection),
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
            session: self.lost(connection),
            request_id: None,
        });
        connection.close(code, reason);
    }

    /// Where each of a connection's channels stands for it.
    pub(super) fn positions(&self, connection: &Connection) -> Vec<(ChannelName, Position)> {
        let reading = connection.reading.borrow();
        let place = |channel: &u32| {
            let known = self.channels.get(*channel);
            (known.log.name().clone(), before(known.epoch, connection.place(*channel, known.next)))
        };
        reading.memberships.keys().map(place).collect()
    }
}
