//! Watching one server, from when it is found until it is gone.
//!
//! The loop waits for commands, for what the reading threads leave in the inbox, for its own work in threads, and for time.
//! Whatever was told, the tree is looked at again as a whole ([`looking`]); what differs is emitted.

mod agents;
mod answers;
mod clients;
mod lives;
mod looking;
mod mourning;
mod output;
mod rungs;
mod schedule;

use crate::{
    Config,
    agents::Agents,
    commands,
    control::{flood::Floods, set::Clients, unrest::Unrest},
    events::{
        place::Place,
        snapshots::{Extras, Snapshots},
        told::Told,
    },
    exits::Exits,
    hooks::{Hooks, Needs},
    inbox::{Alert, Inbox},
    ladder::Ladder,
    panes::Panes,
    selection::Selection,
    server::{
        ask::{AskError, Program},
        identity::Server,
    },
    text::Redaction,
    tree::{Tree, id::SessionId},
    watch::Rules,
};
use headwater_plugin::prelude::*;
use lives::{Exit, Lives};
use mourning::Mourning;
use schedule::Schedule;
use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep_until};

/// How long nothing is asked after something was told, while there are sessions that end when nobody is attached.
const PAUSE_FOR_FLEETING: Duration = Duration::from_millis(50);

/// A shorter `reconcile` is raised to this.
const SHORTEST_RECONCILE: Duration = Duration::from_secs(1);

/// A shorter `poll` is raised to this.
const SHORTEST_POLL: Duration = Duration::from_millis(100);

/// Why the watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The source is to stop.
    Stopped,
    /// The server is gone.
    Gone,
}

/// What was done in a thread.
pub(crate) enum Done {
    /// Everything was looked at.
    Looked(looking::Looked),
    /// The hooks were set, or could not be.
    Hooked(Result<Hooks, AskError>),
    /// A command was answered.
    Answered,
    /// Hooks are set as they were needed then, and so many were missing.
    Repaired(Result<(usize, Needs), AskError>),
}

/// All that is known of a server while it lives.
pub(crate) struct Watching<'a> {
    config: &'a Config,
    program: &'a Program,
    pub(crate) server: Server,
    ladder: &'a mut Ladder,
    pub(crate) tree: Tree,
    snapshots: Snapshots,
    extras: Extras,
    /// Everything in the server came after us.
    newborn: bool,
    inbox: Arc<Inbox>,
    hooks: Option<Arc<Hooks>>,
    /// Why there are no hooks.
    unhooked: Option<String>,
    clients: Clients,
    /// When each session was last used by somebody, in seconds since 1970.
    used: BTreeMap<SessionId, u32>,
    /// When a session or somebody at one last came, went or changed, as far as it is known.
    unrest: Unrest,
    /// When the next client may be started.
    next_client: Option<Instant>,
    selection: Selection,
    /// Sessions are there that are to have a client.
    wants_clients: bool,
    /// The server ends when nobody is attached.
    exits_unattached: bool,
    floods: Floods,
    panes: Panes,
    agents: Agents,
    /// Bytes of output that came and were not seen.
    missed_bytes: u64,
    /// Commands that are answered in threads.
    answering: usize,
    /// Closes when the last one that was given a turn is over.
    last_turn: Option<Receiver<()>>,
    lives: Lives,
    schedule: Schedule,
    /// Jobs in threads, at most a few: one look, one repair, and the commands under way.
    pub(crate) work: JoinSet<Done>,
    /// Threads that read until the watching ends.
    readers: JoinSet<()>,
}

impl<'a> Watching<'a> {
    pub(crate) fn new(
        config: &'a Config,
        program: &'a Program,
        server: Server,
        newborn: bool,
        ladder: &'a mut Ladder,
        (redaction, rules): (&Arc<Redaction>, &Arc<Rules>),
    ) -> Result<Self> {
        let inbox = Arc::new(Inbox::default());
        let (exits, watch) = Exits::new()?;
        let mut readers = JoinSet::new();
        let told = Arc::clone(&inbox);
        readers.spawn_blocking(move || watch.run(&told));
        let reconcile = config.reconcile.duration().max(SHORTEST_RECONCILE);
        Ok(Self {
            config,
            program,
            lives: Lives::new(exits, &server),
            server,
            ladder,
            tree: Tree::default(),
            snapshots: Snapshots::default(),
            extras: Extras::new(),
            newborn,
            inbox,
            hooks: None,
            unhooked: None,
            clients: Clients::default(),
            used: BTreeMap::new(),
            unrest: Unrest::new(Instant::now()),
            next_client: None,
            selection: Selection::new(config.sessions.clone()),
            wants_clients: false,
            exits_unattached: false,
            floods: Floods::default(),
            panes: Panes::new(config.text(), Arc::clone(redaction)),
            agents: Agents::new(Arc::clone(rules)),
            missed_bytes: 0,
            answering: 0,
            last_turn: None,
            schedule: Schedule::new(reconcile, Instant::now()),
            work: JoinSet::new(),
            readers,
        })
    }

    /// Watches until the server is gone, and gives what is still to be heard of it; `None`: the source is to stop.
    pub(crate) async fn run(mut self, ctx: &mut Context) -> Result<Option<Mourning>> {
        info!(pid = self.server.pid, version = self.server.version, "watching a server");
        self.hook(ctx).await?;
        let end = self.watch(ctx).await?;
        if end == End::Gone {
            self.mourn(ctx).await?;
        }
        Ok(self.leave(end).await)
    }

    async fn watch(&mut self, ctx: &mut Context) -> Result<End> {
        let inbox = Arc::clone(&self.inbox);
        loop {
            self.mind_hooks();
            self.look();
            let due = self.due().unwrap_or_else(|| Instant::now() + SHORTEST_RECONCILE);
            tokio::select! {
                command = ctx.command() => match command {
                    Some(command) => commands::answer(self, command),
                    None => return Ok(End::Stopped),
                },
                () = inbox.rung() => {
                    if self.news(ctx).await? == Some(End::Gone) {
                        return Ok(End::Gone);
                    }
                }
                Some(done) = self.work.join_next() => {
                    if self.done(ctx, done?).await? == Some(End::Gone) {
                        return Ok(End::Gone);
                    }
                }
                () = sleep_until(due.into()) => self.on_time(ctx).await?,
            }
        }
    }

    /// When the loop has something to do by time.
    fn due(&self) -> Option<Instant> {
        let given_up = self.lives.due();
        let rest = self.clients.resting(Instant::now());
        let output = self.panes.due(&self.tree);
        let agents = self.agents.due(Instant::now());
        let silent = Clients::silent_at(&self.inbox, Instant::now());
        let others = [self.schedule.due(), self.floods.due(), self.next_client, silent];
        [given_up, rest, output, agents].into_iter().chain(others).flatten().min()
    }

    /// Does what is due by time.
    async fn on_time(&mut self, ctx: &mut Context) -> Result<()> {
        self.tell_output(ctx).await?;
        self.end_pauses(ctx).await?;
        self.mind_agents(ctx).await?;
        let now = Instant::now();
        if self.next_client.is_some_and(|at| at <= now) {
            self.follow_sessions();
        }
        for told in self.lives.give_up(&self.server, &self.tree, now) {
            told.emit(ctx, Evidence::Observed, None).await?;
        }
        Ok(())
    }

    /// Takes what the threads have left.
    async fn news(&mut self, ctx: &mut Context) -> Result<Option<End>> {
        let news = self.inbox.take();
        if news.changed {
            self.told();
        }
        let mut gone = false;
        for exit in news.exits {
            match self.lives.ended(&self.server, &self.tree, exit, Instant::now()) {
                Exit::Server => gone = true,
                Exit::Pane(told) => told.emit(ctx, Evidence::Observed, None).await?,
                Exit::Unknown => {}
                Exit::Nothing => continue,
            }
            self.told();
        }
        self.printed(ctx, news.output).await?;
        self.tell_output(ctx).await?;
        for client in news.attached {
            if self.clients.attached(client) {
                self.follow_sessions();
                self.step(ctx).await?;
            }
        }
        self.kept_back(ctx, news.paused).await?;
        for client in news.ended {
            self.clients.ended(client, Instant::now());
            self.told();
        }
        for (alert, session, window) in news.alerts {
            if alert == Alert::Bell && self.hears(window) {
                continue;
            }
            let kind = match alert {
                Alert::Bell => "pane.bell",
                Alert::Activity => "pane.activity",
                Alert::Silence => "pane.silence",
            };
            // tmux tells the window. Where it has one pane, it was that one.
            let place = match self.tree.panes_of(window)[..] {
                [pane] => Place::pane(&self.server, &self.tree, pane),
                _ => Place::window(&self.server, &self.tree, session, window),
            };
            Told::new(kind, place, json!({})).emit(ctx, Evidence::Observed, None).await?;
        }
        Ok(gone.then_some(End::Gone))
    }

    /// Something was told: it is looked at now. tmux 3.3a crashes if any command comes while it ends a session that must end
    /// without clients, and what was told may be that somebody has just left such a one.
    fn told(&mut self) {
        if self.tree.sessions.values().any(|session| session.fleeting) {
            self.schedule.told_with_pause(PAUSE_FOR_FLEETING, Instant::now());
        } else {
            self.schedule.told();
        }
    }

    async fn done(&mut self, ctx: &mut Context, done: Done) -> Result<Option<End>> {
        match done {
            Done::Looked(looked) => return self.looked(ctx, looked).await,
            Done::Hooked(hooks) => self.hooked(hooks)?,
            Done::Repaired(Ok((missing, needs))) => {
                if missing > 0 {
                    info!(missing, "hooks that were missing are set again");
                    self.told();
                }
                // What is found of hooks while they are repaired may be what they were before.
                if self.hooks.as_ref().is_some_and(|hooks| !hooks.are_needed(needs)) {
                    self.schedule.check_hooks();
                }
            }
            Done::Answered => self.answering -= 1,
            Done::Repaired(Err(error)) => warn!("the hooks cannot be set again: {error}"),
        }
        Ok(None)
    }

    /// The server is gone, and with it all that it held. What ran in it may end later, which [`Mourning`] tells.
    async fn mourn(&mut self, ctx: &mut Context) -> Result<()> {
        info!(pid = self.server.pid, "the server is gone");
        self.become_tree(ctx, Tree::default(), Evidence::Inferred).await
    }

    /// Takes our traces away, and, unless a server is mourned, waits for the threads.
    async fn leave(mut self, end: End) -> Option<Mourning> {
        self.inbox.close();
        if let Some(hooks) = self.hooks.take() {
            hooks.wake();
            if end == End::Stopped {
                let program = self.program.clone();
                let removal = tokio::task::spawn_blocking(move || hooks.uninstall(&program));
                if let Ok(Err(error)) = removal.await {
                    warn!("the hooks cannot be removed: {error}");
                }
            }
        }
        drop(self.clients);
        let rest = Mourning { server: self.server, lives: self.lives, inbox: self.inbox, readers: self.readers };
        match end {
            End::Gone => Some(rest),
            End::Stopped => {
                rest.end().await;
                None
            }
        }
    }
}
