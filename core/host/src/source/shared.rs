//! What others may see of a source while its task runs it: state, counters, commands. And how its changes of state are told.

use super::gate::SYSTEM;
use crate::{
    plugin::manifest::{CommandInfo, Manifest},
    ports::Ports,
    status::{SourceState, SourceStatus},
};
use headwater_config::{Program, SourceConfig};
use headwater_event::{ChannelName, Draft, Payload, Severity, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Who publishes the daemon's own news.
const DAEMON: &str = "headwater";

/// The public side of a source.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    ports: Arc<dyn Ports>,
    pub(crate) counters: Counters,
    view: Mutex<View>,
}

/// Only ever grow; read at any time.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) events: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }
}

struct View {
    config: SourceConfig,
    state: SourceState,
    since: Timestamp,
    reason: Option<String>,
    plugin: Option<String>,
    version: Option<String>,
    pid: Option<u32>,
    generation: u64,
    restarts: u64,
    commands: Vec<CommandInfo>,
}

/// News of a source, by the type of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Up,
    /// It ended, and was told to.
    Down,
    /// It ended, and should not have.
    Failed,
    Reloaded,
    ReloadRefused,
    Quarantined,
    Dropped,
}

impl News {
    const fn kind(self) -> &'static str {
        match self {
            Self::Up => "source.up",
            Self::Down | Self::Failed => "source.down",
            Self::Reloaded => "source.reloaded",
            Self::ReloadRefused => "source.reload_refused",
            Self::Quarantined => "source.quarantined",
            Self::Dropped => "source.dropped",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Up | Self::Down | Self::Reloaded => Severity::Info,
            Self::ReloadRefused | Self::Dropped => Severity::Warning,
            Self::Failed | Self::Quarantined => Severity::Error,
        }
    }
}

impl Shared {
    pub(crate) fn new(config: SourceConfig, ports: Arc<dyn Ports>) -> Arc<Self> {
        let state = if config.enabled { SourceState::Starting } else { SourceState::Disabled };
        Arc::new(Self {
            name: config.name.as_str().into(),
            ports,
            counters: Counters::default(),
            view: Mutex::new(View {
                plugin: match &config.program {
                    Program::Plugin(name) => Some(name.clone()),
                    Program::Exec(_) => None,
                },
                config,
                state,
                since: Timestamp::now(),
                reason: None,
                version: None,
                pid: None,
                generation: 0,
                restarts: 0,
                commands: Vec::new(),
            }),
        })
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> (SourceState, Option<String>) {
        let view = self.view();
        (view.state, view.reason.clone())
    }

    /// Enters a state.
    pub(crate) fn enter(&self, state: SourceState, reason: Option<String>) {
        let mut view = self.view();
        if view.state != state {
            view.since = Timestamp::now();
        }
        view.state = state;
        view.reason = reason;
        if state != SourceState::Up {
            view.pid = None;
        }
    }

    /// The table in force.
    pub(crate) fn config(&self) -> SourceConfig {
        self.view().config.clone()
    }

    /// A table is in force.
    pub(crate) fn configured(&self, config: &SourceConfig) {
        let mut view = self.view();
        view.config = config.clone();
        if let Program::Exec(_) = config.program {
            view.plugin = None;
        }
    }

    /// What the plugin's manifest says, or what a program said for itself.
    pub(crate) fn declared(&self, manifest: &Manifest) {
        let mut view = self.view();
        view.plugin = Some(manifest.name.clone());
        view.version = Some(manifest.version.clone());
        view.commands.clone_from(&manifest.commands);
    }

    pub(crate) fn greeted(&self, version: Option<String>, commands: Vec<CommandInfo>) {
        let mut view = self.view();
        view.version = version;
        view.commands = commands;
    }

    /// One more start.
    pub(crate) fn begin(&self, after_failure: bool) {
        let mut view = self.view();
        view.generation += 1;
        view.restarts += u64::from(after_failure);
    }

    pub(crate) fn running(&self, pid: Option<u32>) {
        self.view().pid = pid;
    }

    pub(crate) fn commands(&self) -> Vec<CommandInfo> {
        self.view().commands.clone()
    }

    pub(crate) fn has_command(&self, name: &str) -> bool {
        self.view().commands.iter().any(|command| command.name == name)
    }

    pub(crate) fn status(&self) -> SourceStatus {
        let view = self.view();
        SourceStatus {
            name: self.name.to_string(),
            state: view.state,
            plugin: view.plugin.clone(),
            exec: match &view.config.program {
                Program::Exec(command) => Some(command.clone()),
                Program::Plugin(_) => None,
            },
            version: view.version.clone(),
            isolation: view.config.isolation,
            pid: view.pid,
            generation: view.generation,
            restarts: view.restarts,
            events: self.counters.events.load(Relaxed),
            dropped: self.counters.dropped.load(Relaxed),
            batches: self.counters.batches.load(Relaxed),
            bytes: self.counters.bytes.load(Relaxed),
            reason: view.reason.clone(),
            since: view.since,
            description: view.config.description.clone(),
        }
    }

    /// Tells the bus and the log.
    pub(crate) fn tell(&self, news: News, reason: Option<&str>, more: &[(&str, Value)]) {
        let mut data = Map::new();
        {
            let view = self.view();
            data.insert("source".into(), json!(&*self.name));
            let mut add = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    data.insert(key.into(), value);
                }
            };
            add("plugin", view.plugin.as_ref().map(|plugin| json!(plugin)));
            add("version", view.version.as_ref().map(|version| json!(version)));
            add("state", Some(json!(view.state.as_str())));
            add("reason", reason.map(|reason| json!(reason)));
            add("generation", Some(json!(view.generation)));
            add("restarts", Some(json!(view.restarts)));
            for (key, value) in more {
                add(key, Some(value.clone()));
            }
        }
        let (source, kind) = (&*self.name, news.kind());
        let said = reason.unwrap_or_default();
        match news.severity() {
            Severity::Error | Severity::Critical => tracing::error!(source, "{kind} {said}"),
            Severity::Warning => tracing::warn!(source, "{kind} {said}"),
            _ => tracing::info!(source, "{kind} {said}"),
        }
        let channel = ChannelName::new(SYSTEM).expect("invariant: the daemon's own channel has a valid name");
        let json = Value::Object(data).to_string();
        let payload = Payload::new(json.into()).expect("invariant: a JSON value has a JSON form");
        let draft = Draft { severity: Some(news.severity()), ..Draft::new(channel, kind, DAEMON, payload) };
        if let Err(error) = self.ports.publish(vec![draft]) {
            tracing::warn!(source, "{kind} could not be published: {error}");
        }
    }
}
