//! A gateway on a port of its own, over an in-memory router and a daemon that does as it is told.

use crate::{
    ports::TestPorts,
    wire::{Answer, Client, PATIENCE},
};
use headwater_engine::{Engine, MemoryEngine};
use headwater_gateway::{GatewayError, Listener, Options, serve};
use headwater_protocol::CloseCode;
use headwater_router::{LogLimits, Router};
use std::{net::SocketAddr, sync::Arc};
use tokio::{sync::oneshot, task::JoinSet};

/// Waits until something is true; what never becomes true fails the test.
pub(crate) async fn until(mut fact: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !fact().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it became true in time");
}

/// Everything of one test.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) router: Arc<Router>,
    pub(crate) ports: Arc<TestPorts>,
    end: Option<oneshot::Sender<CloseCode>>,
    running: JoinSet<Result<(), GatewayError>>,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::over(LogLimits { channels: 8, ..LogLimits::default() }, change)
    }

    /// With logs of these sizes.
    pub(crate) fn over(limits: LogLimits, change: impl FnOnce(&mut Options)) -> Self {
        Self::on(Arc::new(MemoryEngine::new(100_000)), limits, change)
    }

    /// With this engine.
    pub(crate) fn on(engine: Arc<dyn Engine>, limits: LogLimits, change: impl FnOnce(&mut Options)) -> Self {
        let router = Router::new(engine, limits);
        let ports = Arc::new(TestPorts::new());
        let mut options = Options { shards: 1, ..Options::default() };
        change(&mut options);
        let listener = Listener::bind(options.listen).unwrap();
        let address = listener.address();
        let (end, ended) = oneshot::channel();
        let ending = async { ended.await.unwrap_or(CloseCode::GoingAway) };
        let mut running = JoinSet::new();
        running.spawn(serve(listener, None, options, router.clone(), ports.clone(), ending));
        Self { address, router, ports, end: Some(end), running }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One request on a connection of its own, with a `Host` and what else is given.
    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut client = self.client().await;
        client.ask(method, target, headers, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"").await
    }

    pub(crate) async fn post(&self, target: &str, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask("POST", target, &[("content-type", content_type)], body.as_ref()).await
    }

    /// Bytes as they are, and the first answer to them.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut client = self.client().await;
        client.send(bytes.as_ref()).await;
        client.answer(false).await
    }

    /// Asks the gateway to end; it goes on in the background.
    pub(crate) fn begin_end(&mut self, code: CloseCode) {
        self.end.take().expect("a world ends once").send(code).unwrap();
    }

    /// Waits until `serve` has returned.
    pub(crate) async fn ended(&mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.running.join_next()).await.expect("serve returns");
        ended.expect("serve runs").expect("serve did not panic").unwrap();
    }
}
