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

/// What became of the table that was ordered last.
#[derive(Debug)]
enum Standing {
    /// It is in force.
    InForce,
    /// The task has yet to put it in place.
    Ordered,
    /// It did not come up, for this reason; an older one runs.
    Refused(String),
}

/// What another table means for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing: it is in force, or on its way.
    None,
    /// It can be taken over as the source runs.
    Adjust,
    /// It needs a new generation.
    Restart,
}

struct View {
    /// The table in force.
    config: SourceConfig,
    /// The table that was ordered last. What is in force may be older.
    wanted: SourceConfig,
    standing: Standing,
    state: SourceState,
    since: Timestamp,
    reason: Option<String>,
    plugin: Option<String>,
    version: Option<String>,
    pid: Option<u32>,
    generation: u64,
    restarts: u64,
    /// What the manifest says it publishes to.
    emits: Vec<String>,
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

impl View {
    /// Why it is in its state; and that it runs an older table than the config has, if it does.
    fn reason(&self) -> Option<String> {
        let Standing::Refused(refused) = &self.standing else { return self.reason.clone() };
        Some(match (&self.reason, self.state) {
            (None, SourceState::Up) => format!("the new table was refused, what ran before runs on: {refused}"),
            (None, _) => format!("the new table was refused, its older one is in force: {refused}"),
            (Some(reason), _) => {
                format!("{reason}; and the new table was refused, its older one is in force: {refused}")
            }
        })
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
                wanted: config.clone(),
                standing: Standing::InForce,
                config,
                state,
                since: Timestamp::now(),
                reason: None,
                version: None,
                pid: None,
                generation: 0,
                restarts: 0,
                emits: Vec::new(),
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

    /// The table that was ordered last.
    pub(crate) fn wanted(&self) -> SourceConfig {
        self.view().wanted.clone()
    }

    /// The table that was ordered last, while it is neither in force nor refused.
    pub(crate) fn ordered(&self) -> Option<SourceConfig> {
        let view = self.view();
        matches!(view.standing, Standing::Ordered).then(|| view.wanted.clone())
    }

    /// Wants another table from now on, whatever runs, and says what that takes. One that was refused is tried again.
    pub(crate) fn want(&self, config: &SourceConfig) -> Change {
        let mut view = self.view();
        let change = match view.standing {
            Standing::InForce | Standing::Ordered if view.wanted == *config => return Change::None,
            Standing::InForce | Standing::Refused(_) if view.config == *config => Change::None,
            // What is on its way may be in force by the time that this one is looked at.
            Standing::Ordered if view.wanted.needs_restart(config) => Change::Restart,
            _ if view.config.needs_restart(config) => Change::Restart,
            _ => Change::Adjust,
        };
        view.wanted = config.clone();
        view.standing = if change == Change::None { Standing::InForce } else { Standing::Ordered };
        change
    }

    /// Wants again what was wanted last, if it was refused.
    pub(crate) fn want_again(&self) {
        let mut view = self.view();
        if let Standing::Refused(_) = view.standing {
            view.standing = Standing::Ordered;
        }
    }

    /// A table is in force, and no other one is wanted: the source does not run, so that nothing stands against it.
    pub(crate) fn set(&self, config: &SourceConfig) {
        self.view().wanted = config.clone();
        self.configured(config);
    }

    /// A table did not come up. Says whether it is still wanted, so that an older one runs in its place.
    pub(crate) fn refused(&self, config: &SourceConfig, reason: &str) -> bool {
        let mut view = self.view();
        let stands = view.wanted == *config && view.config != *config;
        if stands {
            view.standing = Standing::Refused(reason.to_owned());
        }
        stands
    }

    /// A table is in force.
    pub(crate) fn configured(&self, config: &SourceConfig) {
        let mut view = self.view();
        view.config = config.clone();
        if view.wanted == *config {
            view.standing = Standing::InForce;
        }
        if let Program::Exec(_) = config.program {
            view.plugin = None;
            view.emits.clear();
        }
    }

    /// What the plugin's manifest says, or what a program said for itself.
    pub(crate) fn declared(&self, manifest: &Manifest) {
        let mut view = self.view();
        view.plugin = Some(manifest.name.clone());
        view.version = Some(manifest.version.clone());
        view.emits.clone_from(&manifest.emits);
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
            // The config's grant goes before what the plugin says.
            channels: view.config.channels.clone().unwrap_or_else(|| view.emits.clone()),
            commands: view.commands.clone(),
            reason: view.reason(),
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
