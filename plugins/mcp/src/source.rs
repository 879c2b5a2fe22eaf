//! The source: waits for whatever tells of servers, gives it to the fleet, and emits what became of it.

use crate::{
    Config,
    commands::Commands,
    discovery::{Pins, Watch},
    emit,
    evidence::{hooks::Hooks, traffic},
    fleet::{Crew, Fleet, Moment, Options},
    past::Past,
    probe::Report,
    process::{
        Process,
        exits::Exits,
        sweep::{Found, sweep},
    },
};
use headwater_plugin::{
    prelude::*,
    tokio::{
        sync::mpsc,
        task::JoinSet,
        time::{Instant, MissedTickBehavior, interval, sleep_until},
    },
};
use jiff::Timestamp;
use std::{collections::HashMap, time::Duration};

/// Reports that the source has not taken yet. While it is full, the runners wait.
const REPORTS: usize = 256;

/// How often states are brought up to date at most: with many servers, more often would be a flood.
const SELDOM: Duration = Duration::from_secs(1);

/// How long the files may take to be read before others are listened to all the same: a home directory may be far away.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// The source.
#[derive(Debug)]
pub struct Mcp;

impl Source for Mcp {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        let mut hooks =
            ctx.subscribe(&["agent_hooks"], json!({ "filter": { "types": ["hook.claude", "hook.codex"] } }))?;
        // Sessions that began while the source was away run on.
        let sessions = json!({ "from": "earliest", "filter": { "types": [traffic::SESSION] } });
        let mut sessions = ctx.subscribe(&["mcp_traffic"], sessions)?;
        let mut calls = ctx.subscribe(&["mcp_traffic"], json!({ "filter": { "types": [traffic::CALLS] } }))?;
        let mut past = Past::open(&ctx)?;
        let mut watch = Watch::new(config.discovery().places()?)?;
        let (reports, mut reported) = mpsc::channel(REPORTS);
        let mut desk = Desk::new(&config, reports);
        for (name, own) in &config.servers {
            let launch = own.launch(name, |variable| std::env::var(variable).ok());
            let moment = desk.moment(Evidence::Observed);
            desk.fleet.own(name, launch, moment);
        }
        past.mark(&mut ctx).await?;
        let mut tick = interval(config.interval.duration().max(SELDOM));
        let mut sweeps = interval(config.sweep.duration().max(Duration::from_millis(100)));
        for timer in [&mut tick, &mut sweeps] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        // Which servers the files name is known first: whoever tells of one means that.
        let mut read = false;
        loop {
            desk.tell(&mut ctx).await?;
            read |= desk.began.elapsed() >= FIRST_LOOK;
            let closes = desk.fleet.closes().map(|clock| desk.began + clock);
            tokio::select! {
                command = ctx.command() => match command {
                    Some(command) => desk.commands.run(command, &desk.fleet),
                    None => break,
                },
                Some(report) = reported.recv() => desk.report(report),
                (process, evidence) = desk.exits.next() => {
                    let moment = desk.moment(evidence);
                    desk.fleet.exited(process, moment);
                }
                delivery = hooks.next(), if read => match delivery {
                    Some(delivery) => desk.hook(delivery),
                    None => break,
                },
                delivery = sessions.next(), if read => match delivery {
                    Some(delivery) => desk.session(delivery),
                    None => break,
                },
                delivery = calls.next(), if read => match delivery {
                    Some(delivery) => desk.calls(delivery),
                    None => break,
                },
                changes = watch.next() => {
                    let moment = desk.moment(Evidence::Observed);
                    desk.fleet.read(changes, moment);
                    desk.fleet.snapshots(moment);
                    desk.commands.tidy(&desk.fleet);
                    past.present();
                    desk.sweep();
                    read = true;
                }
                () = at(closes) => {
                    let moment = desk.moment(Evidence::Observed);
                    desk.fleet.close(moment);
                }
                left = past.next() => desk.clear(&mut ctx, left).await?,
                Some(swept) = desk.sweeping.join_next() => {
                    let moment = desk.moment(Evidence::Polled);
                    desk.fleet.swept(swept?, moment);
                }
                ended = desk.fleet.crew.ended() => ended?,
                _ = sweeps.tick() => desk.sweep(),
                _ = tick.tick() => {
                    let moment = desk.moment(Evidence::Polled);
                    desk.fleet.tick(moment);
                }
            }
        }
        Ok(())
    }
}

/// All that the source has before it.
struct Desk {
    fleet: Fleet,
    commands: Commands,
    hooks: Hooks,
    exits: Exits,
    /// At most one at a time: a machine on which a look takes long is not looked at more often.
    sweeping: JoinSet<HashMap<String, Vec<Found>>>,
    patience: Duration,
    began: Instant,
    started: Timestamp,
}

impl Desk {
    fn new(config: &Config, reports: mpsc::Sender<Report>) -> Self {
        let options = Options { window: config.window(), remember: config.remember.duration() };
        let crew = Crew::new(reports, config.timing());
        let patience = crew.timing().deadline;
        Self {
            fleet: Fleet::new(crew, Pins::new(config.spawn.clone()), options),
            commands: Commands::default(),
            hooks: Hooks::default(),
            exits: Exits::default(),
            sweeping: JoinSet::new(),
            patience,
            began: Instant::now(),
            started: Timestamp::now(),
        }
    }

    fn moment(&self, evidence: Evidence) -> Moment {
        Moment { clock: self.began.elapsed(), at: Timestamp::now(), evidence }
    }

    /// A runner tells of its server.
    fn report(&mut self, report: Report) {
        let mut moment = self.moment(Evidence::Observed);
        moment.clock = report.at.saturating_duration_since(self.began);
        let outcome = Commands::outcome(&report);
        if self.fleet.report(report, moment)
            && let Some((server, outcome)) = outcome
        {
            self.commands.settle(&server, &outcome, &self.fleet);
        }
    }

    /// Something on `agent_hooks`.
    fn hook(&mut self, delivery: Delivery) {
        let Some(event) = event_of(delivery) else { return };
        let Ok(data) = event.data::<Value>() else { return };
        if let Some(observed) = self.hooks.read(&data["payload"], event.time) {
            let moment = self.moment(Evidence::Observed);
            self.fleet.observed(&observed, moment);
        }
    }

    /// A wrapper tells of its server, now or before the source began.
    fn session(&mut self, delivery: Delivery) {
        let Some(event) = event_of(delivery) else { return };
        let Some(session) = traffic::session(&event) else { return };
        let is_past = Timestamp::try_from(event.time).is_ok_and(|at| at < self.started);
        // What ended then is nobody's concern now.
        if !(is_past && session.ended()) {
            let moment = self.moment(if is_past { Evidence::Inferred } else { Evidence::Observed });
            self.fleet.session(&session, moment);
        }
    }

    /// A wrapper tells of calls.
    fn calls(&mut self, delivery: Delivery) {
        let Some(event) = event_of(delivery) else { return };
        if let Some(calls) = traffic::calls(&event, self.patience) {
            let moment = self.moment(Evidence::Observed);
            self.fleet.calls(&calls, moment);
        }
    }

    /// Begins to look at all processes, unless that is being done.
    fn sweep(&mut self) {
        let wanted = self.fleet.wanted();
        if self.sweeping.is_empty() && !wanted.is_empty() {
            let ours: Vec<Process> = self.fleet.ours();
            self.sweeping.spawn_blocking(move || sweep(&wanted, &ours));
        }
    }

    /// Takes away the states of servers that an earlier life of this source has left and that are not there any more.
    async fn clear(&self, ctx: &mut Context, left: Vec<String>) -> Result<()> {
        let moment = self.moment(Evidence::Inferred);
        for server in left.iter().filter(|server| !self.fleet.has(server)) {
            emit::send(ctx, &emit::forget(server, moment)).await?;
        }
        Ok(())
    }

    /// Emits what has happened, and watches what is to be watched.
    async fn tell(&mut self, ctx: &mut Context) -> Result<()> {
        for process in self.fleet.take_watches() {
            self.exits.watch(process);
        }
        for event in self.fleet.take() {
            emit::send(ctx, &event).await?;
        }
        let fleet = &self.fleet;
        self.exits.keep(|process| fleet.knows(process));
        Ok(())
    }
}

/// Waits until then, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn event_of(delivery: Delivery) -> Option<BusEvent> {
    match delivery {
        Delivery::Event(event) => Some(event),
        Delivery::Gap(gap) => {
            let lost = gap.to.saturating_sub(gap.from) + 1;
            warn!(channel = gap.channel, lost, reason = gap.reason, "events missed");
            None
        }
        Delivery::Notice(notice) => {
            warn!(%notice, "a subscription was not taken");
            None
        }
    }
}
