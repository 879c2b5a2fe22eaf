//! One generation of a source: an instance of its plugin, or a run of its program, with the commands, subscriptions and
//! credit that belong to it and end with it.

use super::{
    command::{Command, Pending},
    gate::Gate,
    plugin_run::{self, PluginRun},
    program_run::{self, ProgramRun},
    pump::End,
    reading::Window,
    said::Said,
};
use crate::{
    host::Inner,
    link::{message::Start, outbox::Full},
    plugin::image::{Image, Stamp},
    ports::{DeliverySink, SubscriptionHandle},
    records::Records,
};
use headwater_config::{Isolation, Program, SourceConfig};
use serde::Deserialize;
use serde_json::json;
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tracing::level_filters::LevelFilter;

/// How long a plugin may take to load; a program gets this long to say hello.
const LOADING: Duration = Duration::from_secs(10);
/// The most commands that one instance has at once; further ones wait with the source.
const MAX_COMMANDS: usize = 256;
/// The most subscriptions of one source.
const MAX_SUBSCRIPTIONS: usize = 64;

/// A plugin file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct PluginFile {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    pub(crate) image: Arc<Image>,
}

/// Why there is no generation.
#[derive(Clone, Debug)]
pub(crate) struct NotLoaded {
    pub(crate) reason: String,
    /// Trying again changes nothing, until the file or the table changes.
    pub(crate) for_good: bool,
}

/// A generation that is loaded, and runs once it is begun.
pub(crate) struct Generation {
    pub(crate) config: SourceConfig,
    pub(crate) file: Option<PluginFile>,
    run: Run,
    gate: Gate,
    pub(crate) pending: Pending,
    subscriptions: HashMap<u64, SubscriptionHandle>,
    window: Arc<Window>,
    /// Events that were published and not yet given back as credit.
    owed: u32,
    credit_step: u32,
    heartbeat: Heartbeat,
    pub(crate) began: Instant,
    /// It ended by itself before it had said that it runs: `create` starts a thread, and that may be quicker.
    pub(crate) early: Option<End>,
}

enum Run {
    Plugin(PluginRun),
    Program(ProgramRun),
}

/// What is known of an instance's life.
#[derive(Debug, Default)]
struct Heartbeat {
    /// Whether it is asked at all.
    wanted: bool,
    /// The request that waits for its answer, and since when.
    asked: Option<(u64, Instant)>,
    /// The answer was late at the last look. One more look, after all that it sent was read: the daemon itself may have
    /// been stopped meanwhile.
    suspect: bool,
}

impl Generation {
    /// Loads a plugin, as far as that goes without running the source. A program cannot be loaded without being run, so
    /// it runs after this, but knows no settings yet.
    pub(crate) async fn load(
        inner: &Inner,
        config: SourceConfig,
        file: Option<PluginFile>,
        records: Arc<Records>,
    ) -> Result<Self, NotLoaded> {
        let transient = |reason: String| NotLoaded { reason, for_good: false };
        let mut gate = Gate::new(config.name.as_str().into(), config.channels.clone());
        let run = match (&config.program, &file) {
            (Program::Plugin(_), Some(file)) => {
                gate.declare(&file.image.manifest.emits);
                let launch = plugin_run::Launch {
                    source: &config.name,
                    image: &file.image,
                    memory_limit: config.memory_limit,
                    records,
                };
                Run::Plugin(
                    match config.isolation {
                        Isolation::Process => PluginRun::in_process(launch, &inner.spawner, &inner.child_command).await,
                        Isolation::Thread => PluginRun::in_thread(launch),
                    }
                    .map_err(transient)?,
                )
            }
            (Program::Exec(command), _) => {
                let launch = program_run::Launch {
                    source: &config.name,
                    command,
                    directory: &config.directory,
                    memory_limit: config.memory_limit,
                    records,
                };
                let run = ProgramRun::start(launch, &inner.spawner, &inner.child_command).await;
                Run::Program(run.map_err(transient)?)
            }
            (Program::Plugin(name), None) => {
                return Err(NotLoaded { reason: format!("the plugin `{name}` was not read"), for_good: false });
            }
        };
        let window = Window::new(run.outbox().clone());
        let queue = inner.supervision.queue;
        let wanted = matches!(run, Run::Plugin(_));
        let mut generation = Self {
            config,
            file,
            run,
            gate,
            pending: Pending::default(),
            subscriptions: HashMap::new(),
            window,
            owed: 0,
            credit_step: (queue / 4).max(1),
            heartbeat: Heartbeat { wanted, ..Heartbeat::default() },
            began: Instant::now(),
            early: None,
        };
        if wanted {
            generation.loaded().await?;
        }
        Ok(generation)
    }

    async fn loaded(&mut self) -> Result<(), NotLoaded> {
        match timeout(LOADING, self.next()).await {
            Ok(Said::Loaded) => Ok(()),
            Ok(Said::Failed(reason)) => Err(NotLoaded { reason, for_good: true }),
            Ok(Said::NotNow(reason)) => Err(NotLoaded { reason, for_good: false }),
            Ok(_) => {
                Err(NotLoaded { reason: format!("{} while it was loaded", self.ending().await.0), for_good: false })
            }
            Err(_) => {
                Err(NotLoaded { reason: format!("was not loaded within {}", in_words(LOADING)), for_good: false })
            }
        }
    }

    /// Starts it with its settings. [`Said::Started`] or [`Said::Hello`] tells that it runs.
    pub(crate) fn begin(&mut self, window: u32) {
        self.began = Instant::now();
        match &self.run {
            Run::Plugin(run) => {
                let settings = serde_json::value::to_raw_value(&self.config.settings)
                    .expect("invariant: settings that were read from a config have a JSON form");
                run.start(&Start { settings: &settings, window, log_level: &log_level(&self.config) });
            }
            Run::Program(run) => run.configure(&self.config.settings),
        }
    }

    /// How long it may take until it runs.
    pub(crate) const fn patience() -> Duration {
        LOADING
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.run {
            Run::Plugin(run) => run.pid(),
            Run::Program(run) => Some(run.pid()),
        }
    }

    pub(crate) fn is_program(&self) -> bool {
        matches!(self.run, Run::Program(_))
    }

    /// The next thing it says. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Said {
        match &mut self.run {
            Run::Plugin(run) => run.next(&mut self.gate).await,
            Run::Program(run) => run.next(&mut self.gate).await,
        }
    }

    /// So many of its events were dealt with. Credit is given back in steps, to save messages.
    pub(crate) fn credit(&mut self, count: u32) {
        self.owed += count;
        if self.owed >= self.credit_step
            && let Run::Plugin(run) = &self.run
        {
            run.credit(std::mem::take(&mut self.owed));
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.pending.len() < MAX_COMMANDS
    }

    /// Hands a command over, or answers it.
    pub(crate) fn command(&mut self, command: Command) {
        match self.send(command.request, &command.json) {
            Ok(()) => self.pending.add(command),
            Err(Full) => command.refuse("SYSTEM_UNAVAILABLE", "the source does not take its messages"),
        }
    }

    pub(crate) fn log_level(&mut self, level: Option<String>) {
        self.config.log_level = level;
        let message = json!({ "kind": "log_level", "level": log_level(&self.config) }).to_string();
        // A full outbox is that of an instance which does not read; its heartbeat tells.
        let _ = self.send(0, message.as_bytes());
    }

    /// A request without a number is only for plugins: a program was not promised it.
    fn send(&self, request: u64, json: &[u8]) -> Result<(), Full> {
        match &self.run {
            Run::Plugin(run) => run.send(request, json),
            Run::Program(run) if request != 0 => run.send(json),
            Run::Program(_) => Ok(()),
        }
    }

    /// It wants to read the bus, or no longer.
    pub(crate) fn subscribe(&mut self, inner: &Inner, json: &[u8]) {
        #[derive(Deserialize)]
        struct Request {
            subscription: u64,
            #[serde(default)]
            unsubscribe: bool,
        }
        let Ok(Request { subscription, unsubscribe }) = serde_json::from_slice(json) else {
            return tracing::warn!(source = self.config.name, "a subscribe request has no `subscription` number");
        };
        // A number that is used again replaces what it stood for.
        self.subscriptions.remove(&subscription);
        if unsubscribe {
            return;
        }
        let sink = DeliverySink { subscription, window: self.window.clone() };
        let result = if self.subscriptions.len() < MAX_SUBSCRIPTIONS {
            inner.ports.subscribe(&self.config.name, json, sink)
        } else {
            Err(format!("a source has at most {MAX_SUBSCRIPTIONS} subscriptions"))
        };
        match result {
            Ok(handle) => {
                self.subscriptions.insert(subscription, handle);
            }
            Err(message) => {
                tracing::warn!(source = self.config.name, "its subscription {subscription} was refused: {message}");
                let notice = json!({ "type": "error", "error_code": "VALIDATION_ERROR", "message": message });
                let _ = self.window.notice(subscription, notice.to_string().as_bytes());
            }
        }
    }

    pub(crate) fn delivered(&self, count: u32) {
        self.window.delivered(count);
    }

    /// A program may ask for heartbeats.
    pub(crate) fn wants_heartbeat(&mut self, wanted: bool) {
        self.heartbeat.wanted = wanted;
    }

    pub(crate) fn is_alive(&mut self, request: u64) {
        if self.heartbeat.asked.is_some_and(|(asked, _)| asked == request) {
            self.heartbeat.asked = None;
            self.heartbeat.suspect = false;
        }
    }

    /// Asks it whether it lives. `false`: it has not answered for its heartbeat.
    pub(crate) fn check(&mut self, request: u64) -> bool {
        if !self.heartbeat.wanted {
            return true;
        }
        match self.heartbeat.asked {
            Some((_, since)) if since.elapsed() > self.config.heartbeat => {
                return !std::mem::replace(&mut self.heartbeat.suspect, true);
            }
            Some(_) => {}
            None => {
                let json = json!({ "kind": "heartbeat", "request": request }).to_string();
                // One that does not even read its messages answers none.
                let _ = self.send(request, json.as_bytes());
                self.heartbeat.asked = Some((request, Instant::now()));
            }
        }
        true
    }

    /// Asks it to end.
    pub(crate) fn stop(&self) {
        match &self.run {
            Run::Plugin(run) => run.stop(self.config.grace),
            Run::Program(run) => run.stop(),
        }
    }

    pub(crate) fn kill(&mut self) {
        match &mut self.run {
            Run::Plugin(run) => run.kill(),
            Run::Program(run) => run.kill(),
        }
    }

    /// How it ended, and whether that was a success; once nothing more comes.
    pub(crate) async fn ending(&mut self) -> (String, bool) {
        match &mut self.run {
            Run::Plugin(run) => (run.ending().await, false),
            Run::Program(run) => run.ending().await,
        }
    }
}

impl Run {
    fn outbox(&self) -> &Arc<crate::link::outbox::Outbox> {
        match self {
            Self::Plugin(run) => run.outbox(),
            Self::Program(run) => run.outbox(),
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.window.close();
    }
}

/// The least important record that a source need send: what its table says, or else what the daemon writes at all.
fn log_level(config: &SourceConfig) -> String {
    config.log_level.clone().unwrap_or_else(|| LevelFilter::current().to_string())
}

/// `10 s`, `250 ms`: for reasons.
pub(crate) fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
