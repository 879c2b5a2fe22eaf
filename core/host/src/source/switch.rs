//! One generation follows another: a rebuilt plugin, a changed table, or a restart that was asked for.
//!
//! The new one is loaded while the old one runs, so that a file that does not load costs nothing. Then the old one is
//! stopped and everything that it still says is taken; only then the new one is begun. So no event is lost or doubled, and
//! no command is known to both. When the new one does not come up the old one is brought back, from the copy of its file.

use super::{
    generation::{Generation, NotLoaded, PluginFile},
    shared::News,
    task::{Done, Ended, Task, read},
};
use crate::{host::Inner, plugin::image::Stamp, records::Records, status::SourceState};
use headwater_config::{Program, SourceConfig};
use std::{future::Future, pin::Pin, sync::Arc};

/// What is being prepared while the source runs.
pub(crate) struct Coming {
    why: Why,
    arrives: Pin<Box<dyn Future<Output = Arrival> + Send>>,
}

enum Why {
    /// The plugin's file changed.
    File,
    /// The table changed.
    Table(Box<SourceConfig>, Done),
    /// Somebody asked.
    Asked(Done),
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
    /// Waits for another file of the plugin that runs.
    pub(crate) fn file(task: &Task, generation: &Generation) -> Self {
        Self::file_after(task, generation, None)
    }

    /// The same, for another one than was last seen.
    pub(crate) fn file_after(task: &Task, generation: &Generation, seen: Option<Stamp>) -> Self {
        let Some(file) = generation.file.clone() else {
            return Self { why: Why::File, arrives: Box::pin(std::future::pending()) };
        };
        let interest = task.inner.watch.on(&file.path);
        let (inner, config, records) = (task.inner.clone(), task.config.clone(), task.records.clone());
        let arrives = async move {
            let mut known = seen.unwrap_or(file.stamp);
            loop {
                known = interest.changed(Some(known)).await;
                let ready = match read(&inner, &file.path, config.sha256.clone()).await {
                    // Touched, or built again to the same bytes.
                    Ok(new) if new.image.sha256 == file.image.sha256 => continue,
                    Ok(new) => loaded(&inner, config, new, records).await,
                    Err(reason) => Err(reason),
                };
                return Arrival { stamp: Some(known), ready };
            }
        };
        Self { why: Why::File, arrives: Box::pin(arrives) }
    }

    /// Prepares another table.
    pub(crate) fn table(task: &Task, config: SourceConfig, done: Done) -> Self {
        let same = task.config.program == config.program && task.config.sha256 == config.sha256;
        let file = task.file.clone().filter(|_| same);
        let arrives = prepare(task, config.clone(), file);
        Self { why: Why::Table(Box::new(config), done), arrives }
    }

    /// Prepares the same table again.
    pub(crate) fn asked(task: &Task, done: Done) -> Self {
        Self { why: Why::Asked(done), arrives: prepare(task, task.config.clone(), task.file.clone()) }
    }

    /// Prepares something else instead; whoever waited for this hears so.
    pub(crate) fn replace(&mut self, other: Self) {
        let before = std::mem::replace(self, other);
        before.why.done(Err("another change came before this one was in place".into()));
    }

    pub(crate) async fn arrives(&mut self) -> Arrival {
        self.arrives.as_mut().await
    }
}

impl Why {
    fn done(self, result: Result<(), String>) {
        if let Self::Table(_, done) | Self::Asked(done) = self {
            // Nobody may wait any more.
            let _ = done.send(result);
        }
    }
}

fn prepare(
    task: &Task,
    config: SourceConfig,
    file: Option<PluginFile>,
) -> Pin<Box<dyn Future<Output = Arrival> + Send>> {
    let (inner, records) = (task.inner.clone(), task.records.clone());
    Box::pin(async move {
        let Program::Plugin(name) = &config.program else {
            return Arrival { stamp: None, ready: Ok(Ready::Program) };
        };
        let path = match file {
            Some(file) => Ok(file.path),
            None => inner.discovery.find(name).map(|plugin| plugin.path).map_err(|error| error.to_string()),
        };
        let ready = match path {
            Ok(path) => match read(&inner, &path, config.sha256.clone()).await {
                Ok(file) => loaded(&inner, config, file, records).await,
                Err(reason) => Err(reason),
            },
            Err(reason) => Err(reason),
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
    /// Puts what has arrived in the place of what runs. Says what runs now, and which state of the file was seen.
    pub(crate) async fn switch(
        &mut self,
        mut old: Generation,
        arrival: Arrival,
        coming: Coming,
    ) -> Result<(Generation, Option<Stamp>), Ended> {
        let (why, seen) = (coming.why, arrival.stamp);
        let ready = match arrival.ready {
            Ok(ready) => ready,
            Err(reason) => {
                self.refused(why, &reason);
                return Ok((old, seen));
            }
        };
        self.retire(&mut old, "it was replaced by a new generation").await;
        let (old_config, old_file) = (old.config.clone(), old.file.clone());
        drop(old);
        let config = match &why {
            Why::Table(config, _) => (**config).clone(),
            Why::File | Why::Asked(_) => self.config.clone(),
        };
        let started = match ready {
            Ready::Loaded(new) => {
                if let Some(file) = &new.file {
                    self.shared.declared(&file.image.manifest);
                }
                self.start(*new).await
            }
            Ready::Program => match self.load(config.clone(), None).await {
                Ok(new) => self.start(new).await,
                Err(ended) => Err(ended),
            },
        };
        let reason = match started {
            Ok(new) => {
                self.take_over(config);
                self.file.clone_from(&new.file);
                self.shared.tell(News::Reloaded, Some(why.words()), &[]);
                why.done(Ok(()));
                return Ok((new, seen));
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
                self.refused(why, &reason);
                Ok((old, seen))
            }
            Err(ended) => {
                let said = format!("{} was refused, and what ran before did not come back: {reason}", why.noun());
                self.shared.tell(News::ReloadRefused, Some(&said), &[]);
                why.done(Err(reason));
                Err(ended)
            }
        }
    }

    /// What ran before runs on. Says why the new one does not.
    fn refused(&self, why: Why, reason: &str) {
        let said = format!("{} was refused, what ran before runs on: {reason}", why.noun());
        self.shared.enter(SourceState::Up, Some(said.clone()));
        self.shared.tell(News::ReloadRefused, Some(&said), &[]);
        why.done(Err(reason.to_owned()));
    }
}

impl Why {
    fn words(&self) -> &'static str {
        match self {
            Self::File => "its plugin was rebuilt",
            Self::Table(..) => "its table in the config changed",
            Self::Asked(_) => "a restart was asked for",
        }
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::File => "the new plugin file",
            Self::Table(..) => "the new table",
            Self::Asked(_) => "the restart",
        }
    }
}
