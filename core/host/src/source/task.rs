//! The task of one source: brings it up, keeps it up, brings it down. One state machine, read from top to bottom in
//! [`Task::run`]; [`super::pump`] deals with what the source says, [`super::switch`] puts a new generation in place.

use super::{
    backoff::{Backoff, Next},
    command::Command,
    file::{Unread, read},
    generation::{Generation, NotLoaded, PluginFile, in_words},
    pump::{End, Refusals, Turn},
    shared::{News, Shared},
    switch::Coming,
};
use crate::{
    host::Inner,
    plugin::{discovery::NotFound, image::Stamp},
    records::Records,
    status::SourceState,
};
use headwater_config::{Program, SourceConfig};
use serde_json::json;
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How often a plugin that is nowhere is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Who waits to hear whether the source came up.
pub(crate) type Done = oneshot::Sender<Result<(), String>>;

/// What the host tells the task. An order carries no table: the one that is wanted when it is carried out is the newest.
#[derive(Debug)]
pub(crate) enum Order {
    /// Run with the table that is wanted.
    Configure(Done),
    /// Take the table over that is wanted; as far as is known it needs no restart.
    Adjust,
    /// Start anew, with the table that is wanted.
    Restart(Done),
}

/// How a source's life, or one try at it, ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was told to.
    Stopped,
    /// It had no more to do.
    Finished(String),
    /// It cannot run until its file or its table changes.
    Useless(String),
    /// It failed, after it had been up for so long.
    Failed(String, Duration),
}

/// What the task does while the source does not run.
enum Rest {
    UntilChange,
    Until(Instant),
}

/// The task of one source.
pub(crate) struct Task {
    pub(crate) inner: Arc<Inner>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: SourceConfig,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Commands that no instance has yet: they wait here while one generation follows another.
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) stop: CancellationToken,
    /// Why it is told to stop, set before it is.
    pub(crate) why: Arc<OnceLock<&'static str>>,
    pub(crate) records: Arc<Records>,
    pub(crate) refusals: Refusals,
    pub(crate) file: Option<PluginFile>,
    /// A file that could not be read or was refused, so that its next version is noticed.
    pub(crate) tried: Option<(PathBuf, Option<Stamp>)>,
    pub(crate) backoff: Backoff,
    pub(crate) waiting: Vec<Done>,
    /// Who waits for what was being prepared when the source ended by itself.
    pub(crate) unplaced: Vec<Done>,
    /// The state of the plugin's file that was refused, while another one runs.
    pub(crate) refused_file: Option<Stamp>,
    pub(crate) after_failure: bool,
}

impl Task {
    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self) {
        loop {
            let ended = match self.bring_up().await {
                Ok(generation) => self.live(generation).await,
                Err(ended) => ended,
            };
            // What was not told for the sake of quiet would not be told at all.
            self.refusals.forget_when_told();
            self.tell_dropped();
            let rest = match &ended {
                Ended::Stopped => break,
                Ended::Finished(reason) => {
                    self.shared.enter(SourceState::Down, Some(reason.clone()));
                    self.shared.tell(News::Down, Some(reason), &[]);
                    Rest::UntilChange
                }
                Ended::Useless(reason) => {
                    self.shared.enter(SourceState::Down, Some(reason.clone()));
                    self.shared.tell(News::Failed, Some(reason), &[]);
                    Rest::UntilChange
                }
                Ended::Failed(reason, up) => self.failed(reason, *up),
            };
            if let Ended::Finished(reason) | Ended::Useless(reason) | Ended::Failed(reason, _) = ended {
                self.waiting.drain(..).for_each(|done| drop(done.send(Err(reason.clone()))));
            }
            if self.rest(rest).await.is_err() {
                break;
            }
        }
        let why = *self.why.get_or_init(|| "stopped");
        self.shared.enter(SourceState::Down, Some(why.into()));
        self.shared.tell(News::Down, Some(why), &[]);
        self.commands.close();
        self.refuse_commands();
        self.waiting.drain(..).for_each(|done| drop(done.send(Err(why.into()))));
    }

    /// Decides on the next try.
    fn failed(&mut self, reason: &str, up: Duration) -> Rest {
        self.after_failure = true;
        let (state, wait) = match self.backoff.failed(&self.inner.supervision, std::time::Instant::now(), up) {
            Next::Retry(wait) => (SourceState::Backoff, wait),
            Next::Quarantine(wait) => (SourceState::Quarantined, wait),
        };
        self.shared.enter(state, Some(reason.to_owned()));
        let retry = json!(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.shared.tell(News::Failed, Some(reason), &[("retry_in_ms", retry.clone())]);
        if state == SourceState::Quarantined {
            let said = format!(
                "failed too often; it rests for {}. `headwater source restart {}` starts it now. The last failure: {reason}",
                in_words(wait),
                self.shared.name
            );
            self.shared.tell(News::Quarantined, Some(&said), &[("retry_in_ms", retry)]);
        }
        Rest::Until(Instant::now() + wait)
    }

    async fn bring_up(&mut self) -> Result<Generation, Ended> {
        self.shared.enter(SourceState::Starting, None);
        let file = self.current_file().await?;
        let config = self.config.clone();
        let generation = self.load(config, file).await?;
        let generation = self.start(generation).await?;
        self.shared.tell(News::Up, None, &[]);
        self.waiting.drain(..).for_each(|done| drop(done.send(Ok(()))));
        Ok(generation)
    }

    /// The plugin's file as it is now. One that became unreadable while the source was down is passed over for what ran
    /// before: it may be half written.
    async fn current_file(&mut self) -> Result<Option<PluginFile>, Ended> {
        let Program::Plugin(name) = &self.config.program else { return Ok(None) };
        let path = match &self.file {
            Some(file) => file.path.clone(),
            None => self.inner.discovery.find(name).map(|plugin| plugin.path).map_err(|error| {
                if let NotFound::Unfit { path, .. } | NotFound::File { path, .. } = &error {
                    self.tried = Some((path.clone(), Stamp::of(path)));
                }
                Ended::Useless(error.to_string())
            })?,
        };
        let stamp = Stamp::of(&path);
        let known = |file: &PluginFile| stamp == Some(file.stamp) || (stamp.is_some() && stamp == self.refused_file);
        if !self.file.as_ref().is_some_and(|file| known(file) && file.image.is_there()) {
            match read(&self.inner, &path, self.config.sha256.clone()).await {
                Ok(file) => (self.file, self.refused_file) = (Some(file), None),
                Err(Unread { reason, passing: true }) if self.file.is_none() => {
                    return Err(Ended::Failed(reason, Duration::ZERO));
                }
                Err(Unread { reason, .. }) if self.file.is_none() => {
                    self.tried = Some((path, stamp));
                    return Err(Ended::Useless(reason));
                }
                Err(Unread { reason, .. }) => {
                    tracing::warn!(source = &*self.shared.name, "{reason}; what ran before is started again");
                }
            }
        }
        self.tried = None;
        Ok(self.file.clone())
    }

    pub(crate) async fn load(&self, config: SourceConfig, file: Option<PluginFile>) -> Result<Generation, Ended> {
        if let Some(file) = &file {
            self.shared.declared(&file.image.manifest);
        }
        tokio::select! {
            generation = Generation::load(&self.inner, config, file, self.records.clone()) => {
                generation.map_err(|NotLoaded { reason, for_good }| {
                    if for_good { Ended::Useless(reason) } else { Ended::Failed(reason, Duration::ZERO) }
                })
            }
            () = self.stop.cancelled() => Err(Ended::Stopped),
        }
    }

    /// Begins a generation and waits until it runs.
    pub(crate) async fn start(&mut self, mut generation: Generation) -> Result<Generation, Ended> {
        self.shared.begin(std::mem::take(&mut self.after_failure));
        generation.begin(self.inner.supervision.queue);
        let deadline = Instant::now() + Generation::patience();
        loop {
            let said = tokio::select! {
                said = timeout_at(deadline, generation.next()) => said,
                () = self.stop.cancelled() => {
                    // It may have said something already.
                    let why = *self.why.get_or_init(|| "stopped");
                    self.retire(&mut generation, why).await;
                    return Err(Ended::Stopped);
                }
            };
            let turn = if let Ok(said) = said {
                self.heed(&mut generation, said)
            } else {
                let what = if generation.is_program() { "said no hello" } else { "did not start" };
                Turn::End(End::Kill(format!("{what} within {}", in_words(Generation::patience()))))
            };
            match turn {
                Turn::Go => {}
                Turn::Runs => break,
                // A program may be mended where it is; a plugin that does not take its settings stays as it is.
                Turn::End(End::Refused(reason)) if generation.is_program() => {
                    return Err(self.finish(generation, End::Kill(reason)).await);
                }
                Turn::End(End::Refused(reason)) => return Err(Ended::Useless(reason)),
                Turn::End(end @ (End::Finished | End::Failed(_))) => generation.early = Some(end),
                Turn::End(end) => return Err(self.finish(generation, end).await),
            }
        }
        self.shared.enter(SourceState::Up, None);
        self.shared.running(generation.pid());
        Ok(generation)
    }

    /// As long as it runs.
    async fn live(&mut self, mut generation: Generation) -> Ended {
        let mut tick = ticker(&self.config);
        let mut coming = Coming::file(self, &generation);
        let ended = loop {
            if let Some(end) = generation.early.take() {
                break self.finish(generation, end).await;
            }
            tokio::select! {
                said = generation.next() => {
                    if let Turn::End(end) = self.heed(&mut generation, said) {
                        break self.finish(generation, end).await;
                    }
                }
                Some(command) = self.commands.recv(), if generation.has_room() => generation.command(command),
                Some(order) = self.orders.recv() => coming.order(self, order, &mut generation),
                arrival = coming.arrives() => {
                    match self.switch(generation, arrival, coming).await {
                        Ok(now) => {
                            generation = now;
                            coming = Coming::file(self, &generation);
                            tick = ticker(&self.config);
                        }
                        Err(ended) => return ended,
                    }
                }
                _ = tick.tick() => {
                    self.tell_dropped();
                    if !generation.check(self.inner.requests.fetch_add(1, Relaxed)) {
                        let reason = format!("no heartbeat for {}", in_words(self.config.heartbeat));
                        break self.finish(generation, End::Kill(reason)).await;
                    }
                }
                () = self.stop.cancelled() => {
                    let why = *self.why.get_or_init(|| "stopped");
                    self.retire(&mut generation, why).await;
                    break Ended::Stopped;
                }
            }
        };
        self.unplaced = coming.waiting();
        ended
    }

    /// Until there is a reason to try again; `Err`: told to stop.
    async fn rest(&mut self, rest: Rest) -> Result<(), ()> {
        if let Some(wanted) = self.shared.ordered()
            && self.config.needs_restart(&wanted)
        {
            // It was being prepared when the source ended.
            self.take_over(wanted);
            self.waiting.append(&mut self.unplaced);
            self.backoff = Backoff::default();
            return Ok(());
        }
        for done in self.unplaced.drain(..) {
            drop(done.send(Err("it ended before it was started anew".into())));
        }
        let known = self.file.as_ref().map(|file| (file.path.clone(), Some(file.stamp))).or_else(|| self.tried.clone());
        let interest = known.as_ref().map(|(path, _)| self.inner.watch.on(path));
        let changed = async {
            match (&interest, &known) {
                (Some(interest), Some((_, stamp))) => drop(interest.changed(*stamp).await),
                _ => std::future::pending().await,
            }
        };
        let mut changed = std::pin::pin!(changed);
        self.refuse_commands();
        loop {
            let wake = match &rest {
                Rest::Until(instant) => *instant,
                Rest::UntilChange => Instant::now() + Duration::from_hours(24),
            };
            tokio::select! {
                () = self.stop.cancelled() => return Err(()),
                Some(order) = self.orders.recv() => {
                    let wanted = self.shared.wanted();
                    let restart = self.config.needs_restart(&wanted);
                    self.take_over(wanted);
                    match order {
                        Order::Adjust if !restart => continue,
                        Order::Adjust => {}
                        Order::Configure(done) | Order::Restart(done) => self.waiting.push(done),
                    }
                    self.backoff = Backoff::default();
                    return Ok(());
                }
                Some(command) = self.commands.recv() => self.refuse(&command),
                () = sleep_until(wake) => return Ok(()),
                () = &mut changed => {
                    self.backoff = Backoff::default();
                    return Ok(());
                }
                () = sleep(LOOK_AGAIN), if known.is_none() && matches!(rest, Rest::UntilChange) => {
                    if let Program::Plugin(name) = &self.config.program
                        && self.inner.discovery.find(name).is_ok()
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Another table is in force.
    pub(crate) fn take_over(&mut self, config: SourceConfig) {
        if self.config.program != config.program || self.config.sha256 != config.sha256 {
            (self.file, self.tried, self.refused_file) = (None, None, None);
        }
        self.shared.configured(&config);
        self.config = config;
    }

    fn refuse_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.refuse(&command);
        }
    }

    fn refuse(&self, command: &Command) {
        let (state, reason) = self.shared.state();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        command.refuse("SYSTEM_UNAVAILABLE", &format!("the source `{}` is {state}{reason}", self.shared.name));
    }
}

fn ticker(config: &SourceConfig) -> Interval {
    let mut tick = interval((config.heartbeat / 4).max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
