//! The gateway from its start to its end: takes connections from the listener, runs each as a task of its own, and ends
//! in order. `assemble.rs` of the binary calls it; tests call it with any port.

use crate::{
    Listener, Options, Ports, UnixListener,
    http::{self, Admission, App},
    metrics::Metrics,
    publishing::Publisher,
    stats, unix,
    websocket::Shards,
};
use headwater_protocol::CloseCode;
use headwater_router::Router;
use std::{future::pending, io, net::SocketAddr, pin::pin, sync::Arc};
use tokio::{
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections beyond the limit that are told 503. Those beyond these are closed without a word: words need
/// descriptors too.
const TOLD_NO: usize = 64;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The threads that deliver events.
    #[error("cannot start the threads that deliver events: {0}")]
    Shards(#[source] io::Error),
}

/// Serves HTTP and WebSocket, and lines on the unix socket where there is one, until `ending` says with which code WebSocket clients are to be closed: 1012 when the daemon
/// comes back, 1001 when it does not. Then it takes no more connections, lets requests end, drains the shards, all
/// within `options.drain`, and returns.
pub async fn serve(
    listener: Listener,
    unix: Option<UnixListener>,
    options: Options,
    router: Arc<Router>,
    ports: Arc<dyn Ports>,
    ending: impl Future<Output = CloseCode>,
) -> Result<(), GatewayError> {
    let options = Options { listen: listener.address(), ..options };
    let metrics = Metrics::new();
    let publisher = Arc::new(Publisher::new(router.clone()));
    let shards = Shards::start(&options, &router, &publisher, &ports, &metrics).map_err(GatewayError::Shards)?;
    let closing = CancellationToken::new();
    let connections = Connections {
        app: App::new(options.clone(), router, ports, metrics, shards, publisher, closing.clone()),
        limit: options.max_connections,
        tasks: TaskTracker::new(),
        closing,
        cut: CancellationToken::new(),
    };
    connections.app.errands.spawn(stats::tell(connections.app.clone(), connections.closing.child_token()));
    let code = connections.accept(listener, unix, ending).await;
    connections.end(code, &options).await;
    Ok(())
}

/// Who is connected, and how they are told to end.
struct Connections {
    app: Arc<App>,
    limit: usize,
    tasks: TaskTracker,
    /// Requests may end, no more are taken; streams that go on for ever end.
    closing: CancellationToken,
    /// Nothing may go on.
    cut: CancellationToken,
}

impl Connections {
    async fn accept(
        &self,
        listener: Listener,
        unix: Option<UnixListener>,
        ending: impl Future<Output = CloseCode>,
    ) -> CloseCode {
        let beside = async || match &unix {
            Some(unix) => unix.accept().await,
            None => pending().await,
        };
        let routes = self.app.routes();
        let mut ending = pin!(ending);
        loop {
            tokio::select! {
                // First: a storm of connections must not keep the daemon from ending.
                biased;
                code = &mut ending => return code,
                connection = listener.accept() => self.admit(&routes, connection),
                stream = beside() => self.admit_lines(stream),
            }
        }
        // Here the listeners are dropped: nobody new, and their addresses are free for the next daemon.
    }

    fn admit(&self, routes: &axum::Router, connection: (TcpStream, SocketAddr)) {
        self.app.metrics.accepted();
        // By the tasks, not by what they count: those that were only just spawned have not counted yet.
        let held = self.tasks.len() + self.app.websockets();
        let admission = if held < self.limit { Admission::Free } else { Admission::Full };
        if admission == Admission::Full {
            self.app.metrics.refused("max_connections");
            if held >= self.limit + TOLD_NO {
                return;
            }
        }
        self.run(http::serve(self.app.clone(), routes.clone(), connection, admission, self.closing.clone()));
    }

    /// A connection of the unix socket. One beyond the limit is closed without a word.
    fn admit_lines(&self, stream: UnixStream) {
        self.app.metrics.accepted();
        if self.tasks.len() + self.app.websockets() < self.limit {
            self.run(unix::serve(self.app.clone(), stream, self.closing.clone()));
        } else {
            self.app.metrics.refused("max_connections");
        }
    }

    fn run(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
        });
    }

    async fn end(self, code: CloseCode, options: &Options) {
        let start = Instant::now();
        let (half, all) = (start + options.drain / 2, start + options.drain);
        self.closing.cancel();
        self.tasks.close();
        self.app.errands.close();
        // Half of the time at most: the WebSockets need some too.
        let finished = async {
            self.tasks.wait().await;
            self.app.errands.wait().await;
        };
        if timeout_at(half, finished).await.is_err() {
            let (requests, errands) = (self.tasks.len(), self.app.errands.len());
            tracing::warn!(requests, errands, "requests did not end in time and are cut");
            self.cut.cancel();
            self.tasks.wait().await;
        }
        self.app.drain(code, all.saturating_duration_since(Instant::now())).await;
    }
}
