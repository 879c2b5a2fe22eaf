//! Which way the server is watched, from the best one down: control clients, hooks, looking again and again.

use super::{Done, SHORTEST_POLL, SHORTEST_RECONCILE, Watching};
use crate::{
    config::Ceiling,
    events::place::Place,
    hooks::{self, Hooks, Needs, fifo::Fifo},
    ladder::Mode,
    server::ask::AskError,
    source::tell_mode,
};
use headwater_plugin::prelude::*;
use std::{sync::Arc, time::Instant};

impl Watching<'_> {
    /// Sets the hooks. They come before the first look: what changes between the two would be missed.
    pub(super) async fn hook(&mut self, ctx: &mut Context) -> Result<()> {
        if self.config.mode == Ceiling::Poll {
            self.unhooked = Some("the settings say so".into());
            return Ok(());
        }
        let (program, needs) = (self.program.patient(), self.needs());
        self.work.spawn_blocking(move || {
            let fifo = Fifo::create().map_err(AskError::Io);
            Done::Hooked(fifo.and_then(|fifo| Hooks::install(&program, fifo, needs)))
        });
        if let Some(done) = self.work.join_next().await {
            self.done(ctx, done?).await?;
        }
        Ok(())
    }

    /// The hooks are set, or cannot be.
    pub(super) fn hooked(&mut self, hooks: Result<Hooks, AskError>) -> Result<()> {
        match hooks {
            Ok(hooks) => {
                let reader = hooks.reader()?;
                let inbox = Arc::clone(&self.inbox);
                self.readers.spawn_blocking(move || hooks::news::read(reader, &inbox));
                self.hooks = Some(Arc::new(hooks));
            }
            Err(error) => self.unhooked = Some(error.to_string()),
        }
        Ok(())
    }

    /// What control clients do not bring.
    fn needs(&self) -> Needs {
        let now = Instant::now();
        let reads_all = self.may_control() && self.selection.takes_all() && self.clients.resting(now).is_none();
        Needs { changes: !self.clients.any_tells(&self.inbox, now), titles: !reads_all }
    }

    /// Has the hooks looked at when others are needed than before.
    pub(super) fn mind_hooks(&mut self) {
        let needs = self.needs();
        if self.hooks.as_ref().is_some_and(|hooks| hooks.need(needs)) {
            self.schedule.check_hooks();
        }
    }

    /// Tells the mode, if it is another than before.
    pub(super) async fn step(&mut self, ctx: &mut Context) -> Result<()> {
        let now = Instant::now();
        let resting = self.clients.resting(now).is_some();
        let (mode, reason) = match (&self.hooks, &self.unhooked) {
            _ if self.clients.any_attached() => {
                (Mode::Control, self.unhooked.as_ref().map(|why| format!("no hooks: {why}")))
            }
            // Clients have been started and are not attached yet: it is not known which it is.
            _ if self.wants_clients && !resting => return Ok(()),
            (Some(_), _) => (Mode::Hooks, self.uncontrolled(resting)),
            (None, why) => (Mode::Poll, why.clone()),
        };
        let every = match self.hooks {
            None => self.config.poll.duration().max(SHORTEST_POLL),
            Some(_) => self.config.reconcile.duration().max(SHORTEST_RECONCILE),
        };
        self.schedule.every(every, now);
        if self.ladder.moves_to(mode, reason.as_deref()) {
            let place = Place::server(&self.server);
            tell_mode(ctx, self.program, place, mode, reason.as_deref()).await?;
        }
        Ok(())
    }

    /// Why there is no control client, where the settings do not say so.
    fn uncontrolled(&self, resting: bool) -> Option<String> {
        let reason = if self.config.mode != Ceiling::Control {
            return None;
        } else if resting {
            "control clients end as soon as they start"
        } else if self.exits_unattached {
            "the server is to exit when nobody is attached"
        } else {
            "no session is to be read"
        };
        Some(reason.to_owned())
    }
}
