//! What all handlers share: the rooms behind the gateway, its limits, its counters. Made by `gateway.rs`.

use super::{guard::Gate, problem::Problem, table};
use crate::{
    Options, Ports,
    limits::{AddressBuckets, Rate},
    mcp::{COMMANDS, Calls, Door, WAITS},
    metrics::Metrics,
    publishing::Publisher,
    websocket::{Adopted, Census, Question, Shards},
};
use axum::http::{HeaderValue, header};
use headwater_follow::Followers;
use headwater_history::Withdrawal;
use headwater_protocol::{CloseCode, Dialect, ErrorCode};
use headwater_router::Router;
use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Questions about the past that are answered at the same time. Each may keep a thread and a disk busy for some seconds
/// and hold some megabytes.
const QUESTIONS: usize = 4;
/// How long a question waits for others to be answered before it is sent away.
const PATIENCE: Duration = Duration::from_secs(10);

/// The gateway as its HTTP side sees it.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) router: Arc<Router>,
    /// Who reads over HTTP or the unix socket.
    pub(crate) followers: Arc<Followers>,
    pub(crate) publisher: Arc<Publisher>,
    pub(super) ports: Arc<dyn Ports>,
    pub(crate) metrics: Arc<Metrics>,
    pub(super) gate: Gate,
    /// Events that an address may publish over HTTP.
    pub(crate) ingest: AddressBuckets,
    /// Who is served at the moment and has not become a WebSocket.
    pub(super) requests: AtomicUsize,
    /// Questions about the past that are answered at the same time; the others wait.
    questions: Arc<Semaphore>,
    /// Whose turn it is to ask the shards who is connected.
    censuses: tokio::sync::Mutex<()>,
    /// The bus as an MCP server.
    pub(crate) mcp: Door,
    /// Calls of its tools that are under way.
    pub(crate) calls: Calls,
    /// Those that wait for an event.
    pub(crate) waits: Semaphore,
    /// Those that wait for a command's outcome.
    pub(crate) commands: Semaphore,
    /// What was begun for a client and goes on without it.
    pub(crate) errands: TaskTracker,
    /// Gone once the gateway drains; then there is nobody to take a WebSocket.
    shards: Mutex<Option<Shards>>,
    started: Instant,
}

impl App {
    /// Puts the parts together. `options.listen` is where the gateway really listens; `closing` ends what goes on by itself.
    pub(crate) fn new(
        options: Options,
        router: Arc<Router>,
        ports: Arc<dyn Ports>,
        metrics: Arc<Metrics>,
        shards: Shards,
        publisher: Arc<Publisher>,
        closing: CancellationToken,
    ) -> Arc<Self> {
        let rate = options.limits.publish_per_second;
        let errands = TaskTracker::new();
        Arc::new(Self {
            gate: Gate::new(&options),
            // A second's worth at once, as a connection has.
            ingest: AddressBuckets::new(Rate::new(rate, rate)),
            requests: AtomicUsize::new(0),
            questions: Arc::new(Semaphore::new(QUESTIONS)),
            censuses: tokio::sync::Mutex::default(),
            mcp: Door::new(options.max_ingest_bytes, closing.child_token()),
            calls: Calls::default(),
            waits: Semaphore::new(WAITS),
            commands: Semaphore::new(COMMANDS),
            followers: Followers::start(&router, &errands, closing),
            errands,
            shards: Mutex::new(Some(shards)),
            started: Instant::now(),
            options,
            router,
            publisher,
            ports,
            metrics,
        })
    }

    /// The axum router over the table.
    pub(crate) fn routes(self: &Arc<Self>) -> axum::Router {
        table::build(self)
    }

    /// Runs something to its end even when the client that asked for it goes away: a handler is dropped where it stands
    /// then, and a reload that is dropped half-way would leave neither the old config nor the new one.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        errand: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.errands.spawn(errand).await;
        done.map_err(|_| fault())
    }

    /// Asks about the past on a thread that may block. Whoever asks and goes away, as a handler that is dropped, withdraws
    /// the question.
    pub(crate) async fn question<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Router, &Withdrawal) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(Ok(place)) = timeout(PATIENCE, self.questions.clone().acquire_owned()).await else {
            let detail = "many questions about the past are being answered; ask again in a moment";
            return Err(
                Problem::new(ErrorCode::Unavailable, detail).header(header::RETRY_AFTER, HeaderValue::from_static("5"))
            );
        };
        let (withdrawal, router) = (Withdrawal::default(), self.router.clone());
        let _gone = withdrawal.on_drop();
        let answered = self.errands.spawn_blocking(move || {
            let answer = ask(&router, &withdrawal);
            drop(place);
            answer
        });
        answered.await.map_err(|_| fault())
    }

    /// Gives a WebSocket to the shards, or back when they have no room or are gone.
    pub(super) fn adopt(&self, adopted: Adopted) -> Result<(), Adopted> {
        match &*self.shards() {
            Some(shards) => shards.adopt(adopted),
            None => Err(adopted),
        }
    }

    /// WebSocket connections.
    pub(crate) fn websockets(&self) -> usize {
        self.shards().as_ref().map_or(0, Shards::connections)
    }

    /// Who is served at the moment and has not become a WebSocket.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The rest of the daemon.
    pub(crate) fn ports(&self) -> &dyn Ports {
        &*self.ports
    }

    /// The most WebSocket connections that there have been at the same time.
    pub(crate) fn peak(&self) -> usize {
        self.shards().as_ref().map_or(0, Shards::peak)
    }

    /// Who is connected by WebSocket, and reads the channels of the question. One is answered at a time: the shards have
    /// events to deliver. `None` when others were asking for long.
    pub(crate) async fn census(&self, question: Question) -> Option<Census> {
        let _turn = timeout(PATIENCE, self.censuses.lock()).await.ok()?;
        let asked = self.shards().as_ref().map(|shards| shards.census(question));
        match asked {
            Some(census) => Some(census.await),
            None => Some(Census::default()),
        }
    }

    /// How long the gateway has run.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Closes all WebSocket connections. From now on none is taken.
    pub(crate) async fn drain(&self, code: CloseCode, grace: Duration) {
        let shards = self.shards().take();
        if let Some(shards) = shards {
            shards.drain(code, grace).await;
        }
    }

    fn shards(&self) -> MutexGuard<'_, Option<Shards>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault() -> Problem {
    Problem::new(ErrorCode::Internal, "a fault of the daemon ended this; its log says more")
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("listen", &self.options.listen).finish_non_exhaustive()
    }
}

/// The other end of a connection, in the extensions of each of its requests.
#[derive(Clone)]
pub(super) struct Peer {
    /// Where it comes from.
    pub(super) address: SocketAddr,
    /// Set by the handshake, read when the connection has left HTTP.
    upgraded: Arc<OnceLock<&'static dyn Dialect>>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, upgraded: Arc::default() }
    }

    /// The answer to the request at hand is 101: from then on the connection speaks this.
    pub(super) fn upgrade_to(&self, dialect: &'static dyn Dialect) {
        // HTTP ends with the first 101, so that there is no second.
        let _ = self.upgraded.set(dialect);
    }

    /// What it speaks now, if no longer HTTP.
    pub(super) fn upgraded(&self) -> Option<&'static dyn Dialect> {
        self.upgraded.get().copied()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{AnswerSink, BoxFuture, CommandCall, Info, Refused, ReloadAnswer, ReloadRefused, SourceInfo};
    use headwater_router::LogLimits;

    /// A daemon in which nothing runs.
    struct Nothing;

    impl Ports for Nothing {
        fn command(&self, call: CommandCall, _: AnswerSink) -> Result<(), Refused> {
            Err(Refused { code: ErrorCode::UnknownCommand, message: call.target, suggested_action: None })
        }

        fn sources(&self) -> Vec<SourceInfo> {
            Vec::new()
        }

        fn restart_source(&self, name: String) -> BoxFuture<Result<(), Refused>> {
            let refused = Refused { code: ErrorCode::NotFound, message: name, suggested_action: None };
            Box::pin(std::future::ready(Err(refused)))
        }

        fn reload(&self, _: bool) -> BoxFuture<Result<ReloadAnswer, ReloadRefused>> {
            Box::pin(std::future::ready(Ok(ReloadAnswer::default())))
        }

        fn info(&self) -> Info {
            Info::default()
        }

        fn ready(&self) -> bool {
            false
        }
    }

    /// An app over an empty router and a daemon in which nothing runs.
    pub(crate) fn app() -> Arc<App> {
        let options = Options { shards: 1, ..Options::default() };
        let router = Router::new(Arc::new(headwater_engine::MemoryEngine::new(100)), LogLimits::default());
        let (ports, metrics): (Arc<dyn Ports>, _) = (Arc::new(Nothing), Metrics::new());
        let publisher = Arc::new(Publisher::new(router.clone()));
        let shards = Shards::start(&options, &router, &publisher, &ports, &metrics).unwrap();
        App::new(options, router, ports, metrics, shards, publisher, CancellationToken::new())
    }

    #[tokio::test]
    async fn an_errand_that_panics_is_a_fault_of_the_daemon() {
        let app = app();
        assert_eq!(app.to_its_end(async { 7 }).await.unwrap(), 7);
        let problem = app.to_its_end(async { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(problem.kind(), ErrorCode::Internal.into());
    }

    #[tokio::test]
    async fn after_the_drain_there_is_nobody_to_take_a_websocket() {
        let app = app();
        app.drain(CloseCode::GoingAway, Duration::from_secs(5)).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = stream.peer_addr().unwrap();
        let dialect = headwater_protocol::dialects::native();
        assert!(app.adopt(Adopted { stream, carry: Vec::new(), dialect, peer }).is_err());
        assert_eq!(app.websockets(), 0);
    }
}
