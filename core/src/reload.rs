//! The config while the daemon runs: read again on a change of its files, on SIGHUP and on request; applied whole or not
//! at all. One task does it, so that two reloads never meet.

use crate::{bus::Bus, catalog::Knowledge, logging, webhooks::Hooks};
use headwater_config::{Config, Diagnostics, Diff, Fingerprint, Loaded, Paths, Watcher, diff, load};
use headwater_event::Severity;
use headwater_gateway::{FailedSource, FailedWebhook, ReloadAnswer, ReloadError, ReloadRefused};
use headwater_host::{Applied, Discovery, Host};
use headwater_webhooks::Applied as Hooked;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait. More than these come from somebody who does not wait for answers; they are told so.
const MAX_WAITING: usize = 16;

/// How long a config without sources is doubted, and how often it is looked at meanwhile.
const FILLS_WITHIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The answer to a reload.
pub(crate) type Outcome = Result<ReloadAnswer, ReloadRefused>;

/// What has become of the config.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// How many reloads have been applied.
    pub(crate) reloads: u64,
    /// Whether the last try succeeded.
    pub(crate) successful: bool,
    /// What the running config was read from, absolute: who asks may stand elsewhere.
    pub(crate) files: Vec<String>,
    /// Where further sources are looked for, absolute.
    pub(crate) sources_dir: String,
}

/// Asks the reloading task.
#[derive(Clone)]
pub(crate) struct Reloader {
    requests: mpsc::Sender<(bool, oneshot::Sender<Outcome>)>,
    status: Arc<Mutex<Status>>,
}

impl Reloader {
    /// Reads the config again and applies what changed; with `dry_run` only says what would.
    pub(crate) async fn reload(&self, dry_run: bool) -> Outcome {
        let (answer, answered) = oneshot::channel();
        if self.requests.try_send((dry_run, answer)).is_err() {
            return Err(refused("too many reloads wait, or the daemon is ending; try again"));
        }
        answered.await.unwrap_or_else(|_| Err(refused("the daemon is ending")))
    }

    /// What has become of the config.
    pub(crate) fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn refused(reason: &str) -> ReloadRefused {
    ReloadRefused { diagnostics: reason.to_owned(), errors: Vec::new() }
}

/// What the reloading task works with.
pub(crate) struct Reloading {
    pub(crate) paths: Paths,
    pub(crate) discovery: Discovery,
    pub(crate) host: Arc<Host>,
    pub(crate) bus: Arc<Bus>,
    hooks: Hooks,
    pub(crate) config: Config,
    /// Said on the command line, which goes before the file.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) hash: Option<Fingerprint>,
    requests: mpsc::Receiver<(bool, oneshot::Sender<Outcome>)>,
    status: Arc<Mutex<Status>>,
    /// What was refused last: the same is not logged and published twice; who asked is answered each time.
    refused: Option<String>,
}

impl Reloading {
    /// A task to run, and the handle to ask it by. `hash` is that of the files the running config was read from.
    pub(crate) fn new(
        paths: Paths,
        discovery: Discovery,
        host: Arc<Host>,
        bus: Arc<Bus>,
        hooks: Hooks,
        loaded: Loaded,
        listen: Option<SocketAddr>,
    ) -> (Self, Reloader) {
        let (files, sources_dir) = (absolute(&loaded.files), shown(&paths.sources_dir));
        let status = Arc::new(Mutex::new(Status { reloads: 0, successful: true, files, sources_dir }));
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        let reloader = Reloader { requests: sender, status: status.clone() };
        let paths = Paths { optional: paths.optional && !paths.main.exists(), ..paths };
        let (config, hash) = (loaded.config, Some(loaded.hash));
        (Self { paths, discovery, host, bus, hooks, config, listen, hash, requests, status, refused: None }, reloader)
    }

    /// Runs until every handle is gone or the task is dropped.
    pub(crate) async fn run(mut self, mut watcher: Option<Watcher>) {
        loop {
            tokio::select! {
                request = self.requests.recv() => {
                    let Some((dry_run, answer)) = request else { return };
                    let outcome = self.reload(dry_run).await;
                    // Who asked may have gone.
                    let _ = answer.send(outcome);
                }
                () = changed(&mut watcher) => {
                    // Its outcome is logged and published; nobody waits for an answer.
                    let _ = self.reload(false).await;
                }
            }
        }
    }

    /// Reads the files. One that is written in place is empty for a moment, and empty is a config too, one without
    /// sources: so that saving does not end every source, a config that has lost them all is looked at again until it
    /// has been so for a while.
    async fn read(&mut self) -> Result<Loaded, Diagnostics> {
        let began = Instant::now();
        loop {
            let loaded = load(&self.paths, &Knowledge(&self.discovery))?;
            // A config that was there and is gone is a mistake, not the wish for the built-in one.
            self.paths.optional &= !self.paths.main.exists();
            let lost = loaded.config.sources.is_empty() && !self.config.sources.is_empty();
            if !lost || began.elapsed() >= FILLS_WITHIN {
                return Ok(listening(loaded, self.listen));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn reload(&mut self, dry_run: bool) -> Outcome {
        let began = Instant::now();
        let loaded = match self.read().await {
            Ok(loaded) => loaded,
            Err(diagnostics) => return Err(self.refuse(&diagnostics, dry_run)),
        };
        let mended = self.refused.take().is_some();
        let changes = diff(&self.config, &loaded.config);
        let reload = self.status.lock().unwrap_or_else(PoisonError::into_inner).reloads;
        if dry_run {
            let changes_shown = changes.changes.iter().map(ToString::to_string).collect();
            let (restarted, kept) = (changes.restart.clone(), kept(&loaded.config, &changes));
            let took_ms = millis(began);
            return Ok(ReloadAnswer { reload, changes: changes_shown, restarted, kept, took_ms, ..Default::default() });
        }
        // Also when nothing has changed since: a source that refused its table may take it now.
        let applied = self.host.apply(&loaded.config.sources).await;
        let hooks = self.hooks.apply(&loaded.config).await;
        if loaded.config.log.level != self.config.log.level {
            logging::set_level(loaded.config.log.level.as_str());
        }
        let known = changes.is_empty() || self.hash == Some(loaded.hash);
        let taken = applied.failed.is_empty() && hooks.failed.is_empty();
        let untouched = known && taken && applied.restarted.is_empty() && hooks == Hooked::default();
        let reload = self.succeeded(&loaded, !untouched, taken);
        self.hash = Some(loaded.hash);
        // What needs a restart to take effect stays as it runs: so it is told again until it does.
        (self.config.sources, self.config.log) = (loaded.config.sources, loaded.config.log);
        self.config.webhooks = loaded.config.webhooks;
        if untouched {
            if mended {
                tracing::info!("the config is fine again, and as it runs");
            }
            let changes = changes.changes.iter().map(ToString::to_string).collect();
            let took_ms = millis(began);
            return Ok(ReloadAnswer { reload, changes, kept: applied.kept, took_ms, ..Default::default() });
        }
        Ok(self.report(&changes, applied, hooks, reload, began))
    }

    fn succeeded(&self, loaded: &Loaded, applied: bool, taken: bool) -> u64 {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.reloads += u64::from(applied);
        status.successful = taken;
        status.files = absolute(&loaded.files);
        status.reloads
    }

    /// Says what was done: in the log, on the bus, to whoever asked.
    fn report(&self, changes: &Diff, applied: Applied, hooks: Hooked, reload: u64, began: Instant) -> ReloadAnswer {
        let lines: Vec<String> = changes.changes.iter().map(ToString::to_string).collect();
        let took_ms = millis(began);
        let mut counts = vec![format!("{} restarted", applied.restarted.len()), format!("{} kept", applied.kept.len())];
        for (count, word) in [(applied.started.len(), "started"), (applied.stopped.len(), "stopped")] {
            if count > 0 {
                counts.insert(0, format!("{count} {word}"));
            }
        }
        for (list, word) in [(&hooks.started, "started"), (&hooks.restarted, "restarted"), (&hooks.stopped, "stopped")]
        {
            if !list.is_empty() {
                counts.push(format!("{} webhooks {word}", list.len()));
            }
        }
        // No reload closes a connection: the listener and the shards are not touched.
        counts.push("0 clients dropped".into());
        tracing::info!("reloaded #{reload} in {took_ms} ms: {} · {}", lines.join(", "), counts.join(", "));
        for (source, reason) in &applied.failed {
            tracing::error!(source, reason, "the source did not take the new config");
        }
        let mut data = json!({
            "reload": reload, "changes": lines, "started": applied.started, "stopped": applied.stopped,
            "restarted": applied.restarted, "kept": applied.kept, "took_ms": took_ms,
            "failed": named("source", &applied.failed),
        });
        if hooks != Hooked::default() {
            data["webhooks"] = json!({
                "started": hooks.started, "stopped": hooks.stopped, "restarted": hooks.restarted,
                "failed": named("webhook", &hooks.failed),
            });
        }
        self.bus.announce("config.reloaded", Severity::Info, &data);
        ReloadAnswer {
            reload,
            changes: lines,
            restarted: applied.restarted,
            kept: applied.kept,
            failed: applied.failed.into_iter().map(|(source, reason)| FailedSource { source, reason }).collect(),
            failed_webhooks: hooks
                .failed
                .into_iter()
                .map(|(webhook, reason)| FailedWebhook { webhook, reason })
                .collect(),
            clients_dropped: 0,
            took_ms,
        }
    }

    fn refuse(&mut self, diagnostics: &Diagnostics, dry_run: bool) -> ReloadRefused {
        let text = diagnostics.plain();
        let errors: Vec<ReloadError> = diagnostics.iter().map(error).collect();
        if !dry_run {
            self.status.lock().unwrap_or_else(PoisonError::into_inner).successful = false;
            if self.refused.as_ref() != Some(&text) {
                tracing::error!("the config was not taken; the running config is unchanged\n{text}");
                self.bus.announce(
                    "config.refused",
                    Severity::Error,
                    &json!({"reason": "the config has errors; the running config is unchanged", "errors": errors}),
                );
            }
            self.refused = Some(text.clone());
        }
        ReloadRefused { diagnostics: text, errors }
    }
}

fn named(what: &str, failed: &[(String, String)]) -> Vec<Value> {
    failed.iter().map(|(name, reason)| json!({what: name, "reason": reason})).collect()
}

fn absolute(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|file| shown(file)).collect()
}

fn shown(path: &Path) -> String {
    // Without a current directory the path stands as it was given.
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

/// The config with what the command line says of the address.
pub(crate) fn listening(mut loaded: Loaded, listen: Option<SocketAddr>) -> Loaded {
    if let Some(listen) = listen {
        loaded.config.gateway.listen = listen;
    }
    loaded
}

async fn changed(watcher: &mut Option<Watcher>) {
    match watcher {
        Some(watcher) => {
            // Only the config itself is watched here; plugins are watched by the host.
            let _ = watcher.changed().await;
        }
        None => std::future::pending().await,
    }
}

fn kept(config: &Config, changes: &Diff) -> Vec<String> {
    let touched = [&changes.start, &changes.stop, &changes.restart];
    let running = config.sources.values().filter(|source| source.enabled).map(|source| source.name.clone());
    running.filter(|name| touched.iter().all(|list| !list.contains(name))).collect()
}

fn error(diagnostic: &headwater_config::Diagnostic) -> ReloadError {
    let at = |number: usize| u32::try_from(number).ok().filter(|number| *number > 0);
    ReloadError {
        code: diagnostic.code.to_owned(),
        file: diagnostic.file.display().to_string(),
        line: at(diagnostic.line),
        column: at(diagnostic.column),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
    }
}

fn millis(began: Instant) -> u64 {
    let took: Duration = began.elapsed();
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
