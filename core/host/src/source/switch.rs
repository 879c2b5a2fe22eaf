//! One generation follows another: a rebuilt plugin, a changed table, or a restart that was asked for.
//!
//! The new one is loaded while the old one runs, so that a file that does not load costs nothing. Then the old one is
//! stopped and everything that it still says is taken; only then the new one is begun. So no event is lost or doubled, and
//! no command is known to both. When the new one does not come up the old one is brought back, from the copy of its file.

use super::{
    file::{Unread, read},
    generation::{Generation, NotLoaded, PluginFile},
    shared::News,
    task::{Done, Ended, Order, Task},
};
use crate::{host::Inner, plugin::image::Stamp, records::Records, status::SourceState};
use headwater_config::{Program, SourceConfig};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long after a new file could not be read, through no fault of its own, it is read again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is being prepared while the source runs.
pub(crate) struct Coming {
    why: Why,
    /// The table that it is prepared with. A file is: with the one in force.
    config: SourceConfig,
    /// Who waits for it.
    waiting: Vec<Done>,
    arrives: Pin<Box<dyn Future<Output = Arrival> + Send>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The plugin's file changed.
    File,
    /// The table changed.
    Table,
    /// Somebody asked.
    Asked,
}

/// What is ready, or why it is not.
pub(crate) struct Arrival {
    /// The state of the file that this was made of, for a file.
    stamp: Option<Stamp>,
    ready: Result<Ready, String>,
}

enum Ready {
    /// A loaded generation.
    Loaded(Box<Generation>),
    /// A program: it cannot be loaded before the old one has ended, because loading it would run it.
    Program,
}

impl Coming {
    /// Waits for another file of the plugin than the one that runs, or was refused last.
    pub(crate) fn file(task: &Task, generation: &Generation) -> Self {
        let (inner, config, records) = (task.inner.clone(), task.config.clone(), task.records.clone());
        let coming = |arrives| Self { why: Why::File, config: task.config.clone(), waiting: Vec::new(), arrives };
        let Some(file) = generation.file.clone() else { return coming(Box::pin(std::future::pending())) };
        let interest = task.inner.watch.on(&file.path);
        let mut known = task.refused_file.unwrap_or(file.stamp);
        coming(Box::pin(async move {
            loop {
                let now = interest.changed(Some(known)).await;
                let ready = match read(&inner, &file.path, config.sha256.clone()).await {
                    // Touched, or built again to the same bytes.
                    Ok(new) if new.image.sha256 == file.image.sha256 => {
                        known = now;
                        continue;
                    }
                    Ok(new) => loaded(&inner, config, new, records).await,
                    Err(Unread { reason, passing: true }) => {
                        tracing::warn!(source = config.name, "{reason}; it is tried again");
                        sleep(AGAIN).await;
                        continue;
                    }
                    Err(Unread { reason, .. }) => Err(reason),
                };
                return Arrival { stamp: Some(now), ready };
            }
        }))
    }

    /// Carries an order out, or prepares what it takes.
    pub(crate) fn order(&mut self, task: &mut Task, order: Order, generation: &mut Generation) {
        let wanted = task.shared.wanted();
        let asked = self.why == Why::Asked || matches!(order, Order::Restart(_));
        let mut waiting: Vec<Done> = match order {
            Order::Configure(done) | Order::Restart(done) => vec![done],
            Order::Adjust => Vec::new(),
        };
        // Who asked for a restart gets it, be it with a newer table.
        let joins = self.why == Why::Asked || self.config == wanted;
        let before = std::mem::take(&mut self.waiting);
        if joins {
            waiting.extend(before);
        } else {
            answer(before, &Err("another change came before this one was in place".into()));
        }
        if asked || task.config.needs_restart(&wanted) {
            *self = Self::table(task, wanted, if asked { Why::Asked } else { Why::Table });
            self.waiting = waiting;
        } else {
            task.shared.configured(&wanted);
            generation.log_level(wanted.log_level.clone());
            task.config = wanted;
            *self = Self::file(task, generation);
            answer(waiting, &Ok(()));
        }
    }

    /// Prepares a table: another one, or the same again.
    fn table(task: &Task, config: SourceConfig, why: Why) -> Self {
        let same = task.config.program == config.program && task.config.sha256 == config.sha256;
        let file = task.file.clone().filter(|_| same);
        Self { why, arrives: prepare(task, config.clone(), file, why), config, waiting: Vec::new() }
    }

    pub(crate) async fn arrives(&mut self) -> Arrival {
        self.arrives.as_mut().await
    }

    /// Gives it up; who waited for it waits for something else now.
    pub(crate) fn waiting(self) -> Vec<Done> {
        self.waiting
    }
}

fn answer(waiting: Vec<Done>, outcome: &Result<(), String>) {
    for done in waiting {
        // Nobody may wait any more.
        let _ = done.send(outcome.clone());
    }
}

fn prepare(
    task: &Task,
    config: SourceConfig,
    file: Option<PluginFile>,
    why: Why,
) -> Pin<Box<dyn Future<Output = Arrival> + Send>> {
    let (inner, records) = (task.inner.clone(), task.records.clone());
    Box::pin(async move {
        let Program::Plugin(name) = &config.program else {
            return Arrival { stamp: None, ready: Ok(Ready::Program) };
        };
        let path = match &file {
            Some(file) => Ok(file.path.clone()),
            None => inner.discovery.find(name).map(|plugin| plugin.path).map_err(|error| error.to_string()),
        };
        let new = match path {
            Ok(path) => match read(&inner, &path, config.sha256.clone()).await {
                Ok(file) => loaded(&inner, config.clone(), file, records.clone()).await,
                Err(Unread { reason, .. }) => Err(reason),
            },
            Err(reason) => Err(reason),
        };
        let ready = match (new, file) {
            // The table has nothing to do with a file that became bad meanwhile, which is told for itself.
            (Err(_), Some(file)) if why == Why::Table => loaded(&inner, config, file, records).await,
            (new, _) => new,
        };
        Arrival { stamp: None, ready }
    })
}

async fn loaded(
    inner: &Arc<Inner>,
    config: SourceConfig,
    file: PluginFile,
    records: Arc<Records>,
) -> Result<Ready, String> {
    match Generation::load(inner, config, Some(file), records).await {
        Ok(generation) => Ok(Ready::Loaded(Box::new(generation))),
        Err(NotLoaded { reason, .. }) => Err(reason),
    }
}

impl Task {
    /// Puts what has arrived in the place of what runs, and says what runs now.
    pub(crate) async fn switch(
        &mut self,
        mut old: Generation,
        arrival: Arrival,
        coming: Coming,
    ) -> Result<Generation, Ended> {
        let ready = match arrival.ready {
            Ok(ready) => ready,
            Err(reason) => {
                self.refused(coming, arrival.stamp, reason);
                return Ok(old);
            }
        };
        self.retire(&mut old, "it was replaced by a new generation").await;
        let (old_config, old_file) = (old.config.clone(), old.file.clone());
        drop(old);
        let started = match ready {
            Ready::Loaded(new) => {
                if let Some(file) = &new.file {
                    self.shared.declared(&file.image.manifest);
                }
                self.start(*new).await
            }
            Ready::Program => match self.load(coming.config.clone(), None).await {
                Ok(new) => self.start(new).await,
                Err(ended) => Err(ended),
            },
        };
        let reason = match started {
            Ok(new) => {
                self.take_over(coming.config);
                let stamp = |file: &Option<PluginFile>| file.as_ref().map(|file| file.stamp);
                if stamp(&new.file) != stamp(&old_file) {
                    self.refused_file = None;
                }
                self.file.clone_from(&new.file);
                self.shared.tell(News::Reloaded, Some(coming.why.words()), &[]);
                answer(coming.waiting, &Ok(()));
                return Ok(new);
            }
            Err(Ended::Stopped) => return Err(Ended::Stopped),
            Err(Ended::Finished(reason) | Ended::Useless(reason) | Ended::Failed(reason, _)) => reason,
        };
        let back = match self.load(old_config, old_file).await {
            Ok(old) => self.start(old).await,
            Err(ended) => Err(ended),
        };
        match back {
            Ok(old) => {
                self.refused(coming, arrival.stamp, reason);
                Ok(old)
            }
            Err(ended) => {
                let said =
                    format!("{} was refused, and what ran before did not come back: {reason}", coming.why.noun());
                self.shared.refused(&coming.config, &reason);
                self.shared.tell(News::ReloadRefused, Some(&said), &[]);
                answer(coming.waiting, &Err(reason));
                Err(ended)
            }
        }
    }

    /// What ran before runs on. Says why the new one does not.
    fn refused(&mut self, coming: Coming, stamp: Option<Stamp>, reason: String) {
        if coming.why == Why::File {
            self.refused_file = stamp;
        }
        let said = format!("{} was refused, what ran before runs on: {reason}", coming.why.noun());
        // A table that is refused is remembered as such, and what is remembered shows in the reason.
        let remembered = self.shared.refused(&coming.config, &reason);
        self.shared.enter(SourceState::Up, (!remembered).then(|| said.clone()));
        self.shared.tell(News::ReloadRefused, Some(&said), &[]);
        answer(coming.waiting, &Err(reason));
    }
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::File => "its plugin was rebuilt",
            Self::Table => "its table in the config changed",
            Self::Asked => "a restart was asked for",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::File => "the new plugin file",
            Self::Table => "the new table",
            Self::Asked => "the restart",
        }
    }
}
