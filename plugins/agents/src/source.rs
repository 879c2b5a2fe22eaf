//! The source: waits for whatever tells of agents, gives it to the registry, and emits what became of it.

use crate::{
    Config,
    adapters::{
        self, Unknown,
        opencode::{Follower, Heard, ServerUrl},
    },
    commands,
    emit::{self, Event, Keep},
    hive::{self, Pace},
    life::{self, Life},
    rebuild::rebuild,
    registry::{Agent, Happened, Now, Options, Registry, Sight},
    sight::{self, Early},
    signal::{Place, Signal},
};
use headwater_plugin::{
    prelude::*,
    tokio::{
        sync::mpsc,
        task::JoinSet,
        time::{Duration, Instant, interval_at, sleep_until},
    },
};
use jiff::Timestamp;

/// How often every agent's snapshot is written anew. The history lets old events go, and what is not in it any more a
/// restart would lose.
const REFRESH: Duration = Duration::from_hours(1);

/// What opencode's servers said and the source has not taken yet. While it is full, the rest stays with the servers.
const HEARD: usize = 256;

/// With nothing of an earlier life on the bus, hooks of this long ago count as well: they may have come while the source
/// was being started.
const HEAD_START: &str = "10s";

/// The source.
#[derive(Debug)]
pub struct Agents;

impl Source for Agents {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        let mut desk = Desk::new(&config);
        let newest = rebuild(&mut desk.registry, &mut ctx).await?;
        desk.registry.restored(desk.now());
        desk.close_panes();
        // What was published while the source was away comes first. It may contain what was already handled: the
        // machines pass that over.
        let since = newest.map_or_else(|| HEAD_START.to_owned(), |at| at.min(Timestamp::now()).to_string());
        let mut hooks = ctx.subscribe(&["agent_hooks"], json!({ "from": { "time": since } }))?;
        let panes = json!({ "from": "earliest", "filter": { "types": sight::TYPES } });
        let mut panes = ctx.subscribe(&["tmux"], panes)?;
        let (mut followers, mut opencode) = follow(&config, &desk.unknown)?;
        let mut refresh = interval_at(Instant::now() + REFRESH, REFRESH);
        loop {
            desk.tell(&mut ctx).await?;
            let due = desk.due();
            tokio::select! {
                command = ctx.command() => match command {
                    Some(command) => {
                        let now = desk.now();
                        commands::run(command, &mut desk.registry, &desk.unknown, now);
                    }
                    None => break,
                },
                delivery = hooks.next() => match delivery {
                    Some(delivery) => desk.hook(delivery),
                    None => break,
                },
                delivery = panes.next() => match delivery {
                    Some(delivery) => desk.pane(delivery),
                    None => break,
                },
                Some(heard) = opencode.recv() => desk.opencode(heard),
                Some(ended) = followers.join_next() => ended?,
                exit = desk.life.next() => {
                    let now = desk.now();
                    desk.registry.exited(&exit.agent, exit.process, exit.evidence, now);
                }
                () = sleep_until(due) => desk.tick(),
                _ = refresh.tick() => desk.registry.refresh(),
            }
        }
        Ok(())
    }
}

/// Begins to read the servers of opencode.
fn follow(config: &Config, unknown: &Unknown) -> Result<(JoinSet<()>, mpsc::Receiver<Heard>)> {
    let (sender, heard) = mpsc::channel(HEARD);
    let mut followers = JoinSet::new();
    for url in &config.opencode {
        let url: ServerUrl = url.parse()?;
        followers.spawn(Follower::new(url, unknown.clone(), sender.clone()).run());
    }
    Ok((followers, heard))
}

/// All that the source has before it.
struct Desk {
    registry: Registry,
    life: Life,
    pace: Pace,
    /// What was seen in panes before the source began; the last sight of each.
    early: Early,
    unknown: Unknown,
    started: Instant,
    began: Timestamp,
}

impl Desk {
    fn new(config: &Config) -> Self {
        let options = Options {
            settle: config.settle.duration(),
            heartbeat_deadline: config.heartbeat_deadline.duration(),
            silence_deadline: config.silence_deadline.duration(),
            remember: config.remember.duration(),
            assign: config.assign,
        };
        let began = Timestamp::now();
        Self {
            registry: Registry::new(options, Now { at: began, clock: Duration::ZERO }),
            life: Life::default(),
            pace: Pace::new(config.status_interval.duration()),
            early: Early::default(),
            unknown: Unknown::default(),
            started: Instant::now(),
            began,
        }
    }

    fn now(&self) -> Now {
        Now { at: Timestamp::now(), clock: self.started.elapsed() }
    }

    /// Something on `agent_hooks`.
    fn hook(&mut self, delivery: Delivery) {
        let Some(event) = event_of(delivery) else { return };
        let Some(emitter) = event.kind.strip_prefix("hook.") else { return };
        let Ok(data) = event.data::<Value>() else { return };
        let signals = adapters::read(emitter, &data, &self.unknown);
        self.signals(&signals, &life::here(Place::of(&data)), Timestamp::try_from(event.time).ok());
    }

    /// Something of an opencode server.
    fn opencode(&mut self, heard: Heard) {
        match heard {
            Heard::Connected => info!("an opencode server answers"),
            Heard::Lost(reason) => info!(reason, "an opencode server does not answer"),
            Heard::Signals(signals) => self.signals(&signals, &Place::default(), None),
        }
    }

    fn signals(&mut self, signals: &[Signal], place: &Place, at: Option<Timestamp>) {
        let now = self.now();
        for signal in signals {
            self.registry.signal(signal, place, at.unwrap_or(now.at), now);
        }
    }

    /// Something on `tmux`.
    fn pane(&mut self, delivery: Delivery) {
        let Some(event) = event_of(delivery) else { return };
        let Some(sight) = event.data::<Value>().ok().and_then(|data| sight::read(&event.kind, &data)) else { return };
        let at = Timestamp::try_from(event.time).unwrap_or_else(|_| Timestamp::now());
        let now = self.now();
        if at < self.began {
            if let Some(sight) = self.early.keep(sight, at, self.started.elapsed()) {
                self.registry.sight(sight, at, now);
            }
        } else {
            self.early_sights();
            let sight = Self::with_process(sight);
            self.registry.sight(sight, at, now);
        }
    }

    /// An agent that is seen in a pane has a process: who is watched need not be seen to go.
    fn with_process(mut sight: Sight) -> Sight {
        if let Sight::Status { process, .. } = &mut sight {
            *process = process.take().and_then(|seen| life::living(seen.process));
        }
        sight
    }

    fn early_sights(&mut self) {
        let now = self.now();
        for (sight, at) in self.early.take() {
            // A server that ended while nobody was there has not told of the end of its panes, nor has an agent of its own.
            let sight = Self::with_process(sight);
            let there = match &sight {
                Sight::Status { pane, program, process, .. } => {
                    pane.server_pid.is_some_and(life::is_tmux) && (program.is_none() || process.is_some())
                }
                _ => true,
            };
            if there {
                self.registry.sight(sight, at, now);
            }
        }
    }

    /// Gives up the agents whose pane ended with its server while nobody was there.
    fn close_panes(&mut self) {
        let now = self.now();
        let ended =
            |agent: &Agent| agent.pane.clone().filter(|pane| pane.server_pid.is_some_and(|pid| !life::is_tmux(pid)));
        for pane in self.registry.agents().filter_map(ended).collect::<Vec<_>>() {
            self.registry.sight(Sight::Gone { pane }, now.at, now);
        }
    }

    /// When something is to be done though nothing is heard.
    fn due(&self) -> Instant {
        let own = [self.registry.next_due(), self.early.due()].into_iter().flatten().map(|due| self.started + due);
        own.chain([self.pace.due()]).min().expect("invariant: the pace is always due at some time")
    }

    fn tick(&mut self) {
        if self.early.due().is_some_and(|due| due <= self.started.elapsed()) {
            self.early_sights();
        }
        let now = self.now();
        self.registry.tick(now);
    }

    /// Emits what has happened, and watches what is to be watched.
    async fn tell(&mut self, ctx: &mut Context) -> Result<()> {
        let changes = self.registry.take();
        for (agent, process) in self.registry.take_watches() {
            self.life.watch(agent, process);
        }
        if changes.iter().any(|change| matches!(change.what, Happened::AgentRemoved { .. })) {
            self.life.keep(|id| self.registry.agent(id).is_some());
        }
        for change in &changes {
            if counts(&change.what) {
                self.pace.change();
            }
            for event in emit::events(change) {
                send(ctx, &event).await?;
            }
        }
        if self.pace.take(Instant::now()) {
            send(ctx, &emit::hive(&self.registry, hive::system_load(), Timestamp::now())).await?;
        }
        Ok(())
    }
}

/// Whether a change is one that `hive_status_update` tells.
fn counts(what: &Happened) -> bool {
    match what {
        Happened::AgentCreated(_)
        | Happened::AgentStatus { .. }
        | Happened::AgentRemoved { .. }
        | Happened::TaskCreated { .. }
        | Happened::Alert(_) => true,
        Happened::TaskMoved { act, .. } => !matches!(act, crate::registry::Act::Progress { .. }),
        _ => false,
    }
}

fn event_of(delivery: Delivery) -> Option<BusEvent> {
    match delivery {
        Delivery::Event(event) => Some(event),
        Delivery::Gap(gap) => {
            warn!(
                channel = gap.channel,
                lost = gap.to.saturating_sub(gap.from) + 1,
                reason = gap.reason,
                "events missed"
            );
            None
        }
        Delivery::Notice(notice) => {
            warn!(%notice, "a subscription was not taken");
            None
        }
    }
}

async fn send(ctx: &mut Context, event: &Event) -> Result<()> {
    if let Keep::Forget(key) = &event.keep {
        return Ok(ctx.forget(event.channel, event.kind, key).await?);
    }
    let mut builder = ctx.event(event.channel, event.kind).severity(event.severity).evidence(event.evidence);
    builder = builder.time(event.at.into());
    for (name, value) in &event.attributes {
        builder = builder.attribute(name, value);
    }
    if let Keep::As(key) = &event.keep {
        builder = builder.key(key);
    }
    Ok(builder.emit(&event.data).await?)
}
