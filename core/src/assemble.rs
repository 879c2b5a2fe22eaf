//! The one file that knows all parts: makes the engine, the router, the host and the gateway, and ties them together.

use crate::{
    args::PLUGIN_HOST,
    bus::Bus,
    daemon::Daemon,
    history::Kept,
    reading::Readers,
    reload::{Reloader, Reloading},
    webhooks::Hooks,
};
use headwater_config::{Loaded, Paths, RouterLimits, Watcher};
use headwater_engine::SqliteEngine;
use headwater_follow::Followers;
use headwater_gateway::{Listener, Options, UnixListener};
use headwater_host::{Applied, Discovery, Host, HostOptions};
use headwater_protocol::CloseCode;
use headwater_router::{LogLimits, Router};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often logs of quiet channels are looked at for events that are too old.
const SWEEP: Duration = Duration::from_secs(10);

/// Where plugins are looked for: the configured directories, then the standard ones.
pub(crate) fn discovery(configured: &[PathBuf]) -> Discovery {
    Discovery::standard(configured)
}

/// A running daemon.
pub(crate) struct Assembly {
    pub(crate) host: Arc<Host>,
    pub(crate) reloader: Reloader,
    /// What became of the sources at the start.
    pub(crate) applied: Applied,
    ready: Arc<AtomicBool>,
    /// Tells the gateway to end, and with which code.
    ending: oneshot::Sender<CloseCode>,
    ended: oneshot::Receiver<()>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    /// Closed last: what is said on the way out is kept too.
    history: Option<Arc<SqliteEngine>>,
}

/// What a daemon is started with.
pub(crate) struct Setup {
    pub(crate) loaded: Loaded,
    pub(crate) paths: Paths,
    /// The address that the command line says, which goes before the config's.
    pub(crate) listen: Option<SocketAddr>,
    /// Where it keeps what it needs while it runs.
    pub(crate) state: PathBuf,
    /// The engine.
    pub(crate) kept: Kept,
    /// The socket beside the port, bound as the port is.
    pub(crate) unix: Option<UnixListener>,
}

/// Starts everything. The listener is bound already, so that a taken port is known before any source runs.
pub(crate) async fn assemble(setup: Setup, listener: Listener) -> Assembly {
    let Setup { loaded, paths, listen, state, kept, unix } = setup;
    let config = loaded.config.clone();
    let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
    let router = Router::new(kept.engine.clone(), limits(&config.router));
    kept.announce_to(&router);
    let followers = Followers::start(&router, &tasks, cancel.child_token());
    let bus = Arc::new(Bus::new(router.clone(), Readers::new(followers.clone(), router.clone(), tasks.clone())));
    let mut hooks = Hooks::start(followers, router.clone(), &state, &tasks, cancel.child_token());
    // Before the sources: a webhook that is new begins with their first events.
    hooks.apply(&config).await;
    let sessions = state.join("sessions.json");
    let discovery = discovery(&config.plugins.directories);
    let host = Host::new(
        HostOptions {
            discovery: discovery.clone(),
            state_dir: state,
            // Not by its path: after an upgrade that is another program, and both ends of a link must be of one build.
            child_command: vec!["/proc/self/exe".into(), PLUGIN_HOST.into()],
            supervision: config.supervision.clone(),
        },
        bus.clone(),
    );
    // Before the config is applied: a change from now on is a reload.
    let watcher = watcher(&paths, &loaded);
    let webhooks = hooks.statuses();
    let (reloading, reloader) = Reloading::new(paths, discovery, host.clone(), bus, hooks, loaded, listen);
    let ready = Arc::new(AtomicBool::new(false));
    let daemon = Arc::new(Daemon::new(host.clone(), webhooks, reloader.clone(), kept.path.as_deref(), ready.clone()));
    let (ending, asked) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    {
        let options = Options { sessions: Some(sessions), ..Options::from(&config.gateway) };
        let router = router.clone();
        tasks.spawn(async move {
            let asked = async { asked.await.unwrap_or(CloseCode::GoingAway) };
            if let Err(error) = headwater_gateway::serve(listener, unix, options, router, daemon, asked).await {
                tracing::error!(%error, "the gateway has ended");
            }
            // The assembly may have been dropped.
            let _ = end.send(());
        });
    }
    tasks.spawn(sweep(router, cancel.child_token()));
    let applied = host.apply(&config.sources).await;
    {
        let cancel = cancel.child_token();
        tasks.spawn(async move {
            tokio::select! {
                () = reloading.run(watcher) => {}
                () = cancel.cancelled() => {}
            }
        });
    }
    ready.store(true, Ordering::Relaxed);
    Assembly { host, reloader, applied, ready, ending, ended, cancel, tasks, history: kept.file }
}

impl Assembly {
    /// Ends everything in order: sources, then the listener and its sessions, then what is left, the history last.
    pub(crate) async fn shutdown(self, code: CloseCode) {
        self.ready.store(false, Ordering::Relaxed);
        self.host.shutdown().await;
        // The gateway may have ended before.
        let _ = self.ending.send(code);
        let _ = self.ended.await;
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(history) = self.history
            && tokio::task::spawn_blocking(move || history.close()).await.is_err()
        {
            tracing::error!("closing the history failed");
        }
    }
}

fn watcher(paths: &Paths, loaded: &Loaded) -> Option<Watcher> {
    match Watcher::new(paths, loaded.hash) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "the config is not watched; reload with SIGHUP or `headwater reload`");
            None
        }
    }
}

fn limits(config: &RouterLimits) -> LogLimits {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    LogLimits {
        memory: bytes(config.memory),
        channel_events: config.channel_events,
        channel_bytes: bytes(config.channel_bytes),
        channel_age: config.channel_age,
        channels: config.max_channels,
        ..LogLimits::default()
    }
}

async fn sweep(router: Arc<Router>, cancel: CancellationToken) {
    let mut clock = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = clock.tick() => router.sweep(),
            () = cancel.cancelled() => return,
        }
    }
}
