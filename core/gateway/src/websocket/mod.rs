//! WebSocket connections: shards that own them, sessions that answer them, and the writer that fans events out.
//!
//! `http::upgrade` hands a socket over after the handshake ([`Shards::adopt`]); from then on it belongs to one shard, a
//! thread with a current-thread runtime, until it closes. Nothing here knows HTTP.
//!
//! | file | owns |
//! |---|---|
//! | `shard` | the thread: its mailbox, its clock, which connections it has |
//! | `census` | who is connected and reads what |
//! | `channel` | who reads which channel, grouped by filter and dialect |
//! | `turn` | the live path: events of a turn into one batch, ranges of it to readers |
//! | `writer` | one write per connection and turn, and what a short write leaves |
//! | `catch_up` | the slow path: a connection as cursors into the logs |
//! | `cursor` | one place in a log, and why it is there |
//! | `share` | one channel's part of a page |
//! | `lag` | what becomes of a reader that falls behind |
//! | `fetch` | reads that may block |
//! | `pace/` | subscriptions that are throttled, or gathered and flushed |
//! | `connection` | one socket: its control lane, its subscriptions, its place |
//! | `reader` | frames of a client, their limits |
//! | `session` | what a request does |
//! | `subscribe` | beginning and ending subscriptions |
//! | `join` | becoming a reader of a channel |
//! | `command` | commands in flight |
//! | `pulse` | pings, and what their pongs prove |
//! | `sessions`, `saved`, `resume` | what a client had, for when it comes back |
//! | `replay/` | stretches of the past that come again at a speed of their own |
//! | `history` | questions about the past |
//! | `tasks`, `ending` | a shard's tasks, and how it ends |

mod catch_up;
mod census;
mod channel;
mod command;
mod connection;
mod cursor;
mod ending;
mod fetch;
mod history;
mod join;
mod lag;
mod mailbox;
mod pace;
mod publish;
mod pulse;
mod reader;
mod replay;
mod resume;
mod saved;
mod session;
mod sessions;
mod shard;
mod share;
mod subscribe;
mod tasks;
mod turn;
mod writer;

pub(crate) use census::{Census, Counted, Question};
pub(crate) use turn::frame_of;

use crate::{metrics::Metrics, options::Options, ports::Ports, publishing::Publisher};
use ending::Ended;
use headwater_protocol::{CloseCode, Dialect};
use headwater_router::Router;
use mailbox::{Mail, Mailbox};
use sessions::Sessions;
use std::{
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::watch;

/// Threads of a shard that may block on a disk.
const BLOCKING: usize = 4;

/// A socket whose handshake is done.
pub(crate) struct Adopted {
    /// Nonblocking, with `TCP_NODELAY`.
    pub(crate) stream: TcpStream,
    /// What was read after the handshake.
    pub(crate) carry: Vec<u8>,
    /// How this client speaks.
    pub(crate) dialect: &'static dyn Dialect,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
}

/// One shard as the others see it.
struct Handle {
    mailbox: Arc<Mailbox>,
    connections: Arc<AtomicUsize>,
    ended: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

/// All shards of the gateway.
pub(crate) struct Shards {
    handles: Vec<Handle>,
    max_connections: usize,
    /// The most connections that there have been at once.
    peak: AtomicUsize,
    sessions: Arc<Sessions>,
    /// Where the sessions wait for the next life of the daemon.
    file: Option<PathBuf>,
}

impl Shards {
    /// Starts the threads.
    pub(crate) fn start(
        options: &Options,
        router: &Arc<Router>,
        publisher: &Arc<Publisher>,
        ports: &Arc<dyn Ports>,
        metrics: &Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let mut handles = Vec::new();
        let file = options.sessions.clone();
        let sessions = Arc::new(Sessions::with(file.as_deref().map(saved::take).unwrap_or_default()));
        for index in 0..options.shards.max(1) {
            let mailbox = Arc::new(Mailbox::default());
            let connections = Arc::new(AtomicUsize::new(0));
            let (end, ended) = watch::channel(false);
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().max_blocking_threads(BLOCKING).build()?;
            let parts = shard::Parts {
                // Unique in the daemon, and for ever: also a shard that is run anew goes on with it.
                numbered: Arc::new(AtomicU64::new((index as u64) << 48 | 1)),
                options: options.clone(),
                router: router.clone(),
                publisher: publisher.clone(),
                ports: ports.clone(),
                metrics: metrics.clone(),
                mailbox: mailbox.clone(),
                sessions: sessions.clone(),
                connections: connections.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
                // With the set of its tasks goes everything that they held of a shard that has failed.
                while tokio::task::LocalSet::new().block_on(&runtime, shard::run(parts.clone())) == Ended::Failed {}
                end.send_replace(true);
            })?;
            handles.push(Handle { mailbox, connections, ended, thread: Some(thread) });
        }
        Ok(Self { handles, max_connections: options.max_connections, peak: AtomicUsize::new(0), sessions, file })
    }

    /// Gives a socket to the shard that has the fewest. `Err` gives it back: there are as many as there may be.
    pub(crate) fn adopt(&self, adopted: Adopted) -> Result<(), Adopted> {
        if self.connections() >= self.max_connections {
            return Err(adopted);
        }
        let least = self.handles.iter().min_by_key(|handle| handle.connections.load(Ordering::Relaxed));
        let Some(handle) = least else { return Err(adopted) };
        // Counted here, not when the shard takes it: a storm would pass the limit before the first is taken.
        handle.connections.fetch_add(1, Ordering::Relaxed);
        self.peak.fetch_max(self.connections(), Ordering::Relaxed);
        handle.mailbox.put(Mail::Adopt(adopted));
        Ok(())
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.handles.iter().map(|handle| handle.connections.load(Ordering::Relaxed)).sum()
    }

    /// The most connections that there have been at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Asks every shard who is connected and reads what. The question is put at once; the answer needs the shards no more.
    pub(crate) fn census(&self, question: Question) -> impl Future<Output = Census> + use<> {
        let asked: Vec<_> = self.handles.iter().map(|handle| census::ask(&handle.mailbox, question.clone())).collect();
        async move {
            let mut all = Census::empty(&question);
            for answer in asked {
                // A shard that has ended has no connections.
                all.add(answer.await.unwrap_or_default(), &question);
            }
            all
        }
    }

    /// Sends what is left, tells every client where to resume, closes with `code`, and ends the threads. What has not
    /// closed after `grace` is cut.
    pub(crate) async fn drain(mut self, code: CloseCode, grace: Duration) {
        for handle in &self.handles {
            handle.mailbox.put(Mail::Drain { code, grace });
        }
        for handle in &mut self.handles {
            // The sender is gone only when the thread has ended; both mean the same here.
            let _ = handle.ended.wait_for(|ended| *ended).await;
            if let Some(thread) = handle.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a shard of the gateway panicked");
            }
        }
        if let Some(file) = &self.file
            && let Err(error) = saved::write(file, &self.sessions.kept())
        {
            tracing::warn!(%error, file = %file.display(), "sessions cannot be kept; clients resume by their positions");
        }
    }
}
