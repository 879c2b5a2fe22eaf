//! The host: owns every source's task, applies a config to them, routes commands to them, ends them.

use crate::{
    command::{Accepted, Answer, CommandRefused, CommandTarget},
    plugin::{
        discovery::{Discovery, nearest},
        image::Images,
        manifest::CommandInfo,
    },
    ports::Ports,
    process::Spawner,
    running::Running,
    source::{
        command::Command,
        shared::{Change, Shared},
        task::Order,
        watch::FileWatch,
    },
    status::{SourceState, SourceStatus},
};
use headwater_config::{SourceConfig, Supervision};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc::error::TrySendError, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

/// How long applying a config waits for a source that neither comes up nor fails. It goes on starting after that.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a host is made with.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Where plugins are looked for.
    pub discovery: Discovery,
    /// Where private copies of plugins are kept while they run: a directory of ours, on a file system that may execute.
    pub state_dir: PathBuf,
    /// The command that runs [`plugin_host_main`](crate::plugin_host_main); the host appends its arguments. The daemon
    /// says `/proc/self/exe plugin-host`, which is its own binary even when another one was installed over it.
    pub child_command: Vec<OsString>,
    /// Backoff, quarantine and the window of events.
    pub supervision: Supervision,
}

/// What applying a config did. Every source of the config stands in exactly one of the first four lists; those that
/// failed stand in `failed` besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Sources that were not there.
    pub started: Vec<String>,
    /// Sources that are gone, or disabled now.
    pub stopped: Vec<String>,
    /// Sources that run with a new table.
    pub restarted: Vec<String>,
    /// Sources that nothing happened to.
    pub kept: Vec<String>,
    /// Sources that did not come up, with the reason in one line. One that ran before runs on as it was.
    pub failed: Vec<(String, String)>,
}

/// Why a source was not restarted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartRefused {
    /// No such source.
    #[error("there is no source `{name}`{}", .suggestion.as_ref().map_or_else(String::new, |s| format!("; did you mean `{s}`?")))]
    Unknown {
        /// What was asked.
        name: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// `enabled = false`.
    #[error("the source `{0}` is disabled; set `enabled = true` in its table")]
    Disabled(String),
    /// It did not come up again.
    #[error("the source `{name}` did not start: {reason}")]
    Failed {
        /// The source.
        name: String,
        /// Why.
        reason: String,
    },
}

/// What all sources share.
pub(crate) struct Inner {
    pub(crate) supervision: Supervision,
    pub(crate) discovery: Discovery,
    pub(crate) child_command: Vec<OsString>,
    pub(crate) images: Images,
    pub(crate) spawner: Spawner,
    pub(crate) ports: Arc<dyn Ports>,
    pub(crate) watch: FileWatch,
    /// The next number of a request, of any source. 0 is none.
    pub(crate) requests: AtomicU64,
}

/// The owner of all sources.
pub struct Host {
    inner: Arc<Inner>,
    sources: Mutex<BTreeMap<String, Source>>,
    /// One config at a time.
    applying: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    ending: AtomicBool,
}

/// A source of the config in force.
struct Source {
    shared: Arc<Shared>,
    /// `None`: it is disabled.
    running: Option<Running>,
}

impl Host {
    /// A host without sources.
    pub fn new(options: HostOptions, ports: Arc<dyn Ports>) -> Arc<Self> {
        let HostOptions { discovery, state_dir, child_command, supervision } = options;
        let inner = Inner {
            supervision,
            discovery,
            child_command,
            images: Images::new(state_dir),
            spawner: Spawner::new(),
            ports,
            watch: FileWatch::default(),
            requests: AtomicU64::new(1),
        };
        Arc::new(Self {
            inner: Arc::new(inner),
            sources: Mutex::default(),
            applying: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            ending: AtomicBool::new(false),
        })
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the sources into line with a config: only what changed is restarted. Returns when each changed source is
    /// up, has failed, or is still starting after five seconds.
    pub async fn apply(&self, config: &BTreeMap<String, SourceConfig>) -> Applied {
        let _one = self.applying.lock().await;
        let mut applied = Applied::default();
        if self.ending.load(Relaxed) {
            return applied;
        }
        let gone = self.end_those(|name, _| !config.contains_key(name), "it was removed from the config", true);
        let disabled = self.end_those(|name, _| config.get(name).is_some_and(|c| !c.enabled), "it was disabled", false);
        for running in gone.iter().chain(&disabled) {
            running.ended().await;
        }
        applied.stopped.extend(gone.iter().chain(&disabled).map(|running| running.name().to_owned()));

        let mut waiting = Vec::new();
        for (name, new) in config {
            let (list, outcome) = self.apply_one(name, new);
            match list {
                List::Started => applied.started.push(name.clone()),
                List::Restarted => applied.restarted.push(name.clone()),
                List::Kept => applied.kept.push(name.clone()),
                List::Stopped => {}
            }
            if let Some(outcome) = outcome {
                waiting.push((name, outcome));
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for (name, outcome) in waiting {
            let outcome =
                timeout_at(deadline, outcome).await.map(|said| said.unwrap_or(Err("its task is busy".into())));
            // Without an outcome it is still at it.
            if let Ok(Err(reason)) = outcome {
                applied.failed.push((name.clone(), reason));
            }
        }
        applied
    }

    /// Tells the tasks of these sources to end.
    fn end_those(&self, which: impl Fn(&str, &Source) -> bool, why: &'static str, forget: bool) -> Vec<Running> {
        let mut sources = self.sources();
        let names: Vec<String> =
            sources.iter().filter(|(name, s)| which(name, s)).map(|(name, _)| name.clone()).collect();
        let mut ended = Vec::new();
        for name in names {
            let running = sources.get_mut(&name).and_then(|source| source.running.take());
            if let Some(running) = running {
                running.end(why);
                ended.push(running);
            }
            if forget {
                sources.remove(&name);
            }
        }
        ended
    }

    fn apply_one(&self, name: &str, new: &SourceConfig) -> (List, Option<oneshot::Receiver<Result<(), String>>>) {
        let mut sources = self.sources();
        let Some(source) = sources.get_mut(name) else {
            let shared = Shared::new(new.clone(), self.inner.ports.clone());
            let mut source = Source { shared, running: None };
            let outcome = new.enabled.then(|| self.start(&mut source));
            sources.insert(name.to_owned(), source);
            return (if new.enabled { List::Started } else { List::Kept }, outcome);
        };
        match (source.running.as_ref().filter(|running| !running.has_ended()), new.enabled) {
            (None, true) => {
                source.shared.set(new);
                (List::Started, Some(self.start(source)))
            }
            (_, false) => {
                let list = if source.shared.config().enabled { List::Stopped } else { List::Kept };
                source.shared.set(new);
                source.shared.enter(SourceState::Disabled, None);
                (list, None)
            }
            // Wanted first, ordered then: an order that finds no room is no loss, since those before it find the table.
            (Some(running), true) => match source.shared.want(new) {
                Change::None => (List::Kept, None),
                Change::Adjust => {
                    running.order(Order::Adjust);
                    (List::Kept, None)
                }
                Change::Restart => {
                    let (done, outcome) = oneshot::channel();
                    running.order(Order::Configure(done));
                    (List::Restarted, Some(outcome))
                }
            },
        }
    }

    fn start(&self, source: &mut Source) -> oneshot::Receiver<Result<(), String>> {
        let (done, outcome) = oneshot::channel();
        let running = Running::start(&self.tasks, &self.inner, &source.shared, done);
        source.running = Some(running);
        outcome
    }

    /// Sends a command to the source that declares it. `answers` is called from the source's task, once per answer; it
    /// must not block.
    pub fn command(
        &self,
        target: &CommandTarget,
        parameters: &RawValue,
        caller: Option<&str>,
        answers: Box<dyn Fn(Answer) + Send + Sync>,
    ) -> Result<Accepted, CommandRefused> {
        let sources = self.sources();
        let able: Vec<&Source> = sources
            .values()
            .filter(|source| target.source.as_ref().is_none_or(|name| **name == *source.shared.name))
            .filter(|source| source.shared.has_command(&target.name))
            .collect();
        let source = match able[..] {
            [source] => source,
            [] => return Err(unknown(target, &sources)),
            _ => {
                let sources = able.iter().map(|source| source.shared.name.to_string()).collect();
                return Err(CommandRefused::Ambiguous { name: target.name.clone(), sources });
            }
        };
        let name = source.shared.name.to_string();
        let (state, reason) = source.shared.state();
        let running = source.running.as_ref().filter(|_| matches!(state, SourceState::Up | SourceState::Starting));
        let Some(running) = running else {
            return Err(CommandRefused::Unavailable { source_name: name, state: state.as_str(), reason });
        };
        let request = self.inner.requests.fetch_add(1, Relaxed);
        let command = Command::new(request, &target.name, parameters, caller, answers)?;
        match running.command(command) {
            Ok(()) => Ok(Accepted { source: name, request }),
            Err(TrySendError::Full(_)) => Err(CommandRefused::Busy { source_name: name, waiting: Running::COMMANDS }),
            Err(TrySendError::Closed(_)) => {
                Err(CommandRefused::Unavailable { source_name: name, state: SourceState::Down.as_str(), reason: None })
            }
        }
    }

    /// Every source of the config, by name.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        self.sources().values().map(|source| source.shared.status()).collect()
    }

    /// The commands that each source declares, by the source's name.
    pub fn commands(&self) -> BTreeMap<String, Vec<CommandInfo>> {
        self.sources().iter().map(|(name, source)| (name.clone(), source.shared.commands())).collect()
    }

    /// Starts a source anew, with the last table that it was given: also the way out of quarantine. Returns when it is up or has failed.
    pub async fn restart(&self, name: &str) -> Result<(), RestartRefused> {
        let outcome = {
            let mut sources = self.sources();
            let Some(source) = sources.get_mut(name) else {
                let suggestion = nearest(name, sources.keys().map(String::as_str));
                return Err(RestartRefused::Unknown { name: name.to_owned(), suggestion });
            };
            let Some(running) = &source.running else { return Err(RestartRefused::Disabled(name.to_owned())) };
            if running.has_ended() && !self.ending.load(Relaxed) {
                source.shared.set(&source.shared.wanted());
                self.start(source)
            } else {
                let (done, outcome) = oneshot::channel();
                source.shared.want_again();
                running.order(Order::Restart(done));
                outcome
            }
        };
        let failed = |reason: String| RestartRefused::Failed { name: name.to_owned(), reason };
        outcome.await.unwrap_or_else(|_| Err("it was stopped meanwhile".into())).map_err(failed)
    }

    /// Stops all sources at once, each with its grace; one that overruns is killed and logged by name. Nothing starts
    /// after this.
    pub async fn shutdown(&self) {
        self.ending.store(true, Relaxed);
        let _one = self.applying.lock().await;
        for running in self.end_those(|_, _| true, "the daemon is stopping", false) {
            running.ended().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}

enum List {
    Started,
    Restarted,
    Stopped,
    Kept,
}

fn unknown(target: &CommandTarget, sources: &BTreeMap<String, Source>) -> CommandRefused {
    let mut known = Vec::new();
    for (name, source) in sources {
        for command in source.shared.commands() {
            known.push(match &target.source {
                Some(_) => format!("{name}/{}", command.name),
                None => command.name,
            });
        }
    }
    let suggestion = nearest(&target.to_string(), known.iter().map(String::as_str));
    CommandRefused::Unknown { target: target.to_string(), suggestion }
}
