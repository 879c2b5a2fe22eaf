//! What a running source has in its hands.

use crate::{
    Command, EmitError, Emitter, EventBuilder, Period, Subscription, command::Failure, link::Link, source::Error,
};
use serde::Serialize;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

/// The shortest interval: tokio's timers tick at 1 ms.
const SHORTEST: Duration = Duration::from_millis(1);

/// A source's way to the bus: events out, commands in, subscriptions, and the wish of the host that it stops.
#[derive(Debug)]
pub struct Context {
    emitter: Emitter,
    link: Arc<Link>,
    commands: mpsc::Receiver<Command>,
    stop: watch::Receiver<bool>,
    clock: Option<Interval>,
}

/// What [`Context::every`] waited for.
#[derive(Debug)]
pub enum Turn {
    /// The time has come.
    Tick,
    /// A client asks.
    Command(Command),
}

impl Turn {
    /// Completes the command with this result, where it was one.
    pub fn complete(self, result: impl Serialize) {
        if let Self::Command(command) = self {
            command.complete(result);
        }
    }

    /// Fails the command, where it was one.
    pub fn fail(self, failure: impl Into<Failure>) {
        if let Self::Command(command) = self {
            command.fail(failure);
        }
    }

    /// The command, where it was one.
    pub fn command(self) -> Option<Command> {
        match self {
            Self::Tick => None,
            Self::Command(command) => Some(command),
        }
    }
}

impl Context {
    pub(crate) fn new(link: Arc<Link>, commands: mpsc::Receiver<Command>) -> Self {
        let stop = link.stop.subscribe();
        Self { emitter: Emitter::new(Arc::clone(&link)), link, commands, stop, clock: None }
    }

    /// Emits an event, and waits while the host's queue is full. Dropped before it is ready, it has emitted nothing.
    pub async fn emit(&mut self, channel: &str, kind: &str, data: &(impl Serialize + ?Sized)) -> Result<(), EmitError> {
        self.emitter.emit(channel, kind, data).await
    }

    /// Emits an event if the host's queue has room: see [`Emitter::try_emit`].
    pub fn try_emit(&mut self, channel: &str, kind: &str, data: &(impl Serialize + ?Sized)) -> Result<bool, EmitError> {
        self.emitter.try_emit(channel, kind, data)
    }

    /// Emits an event that stays as the snapshot of its channel and key: late subscribers get the last one.
    pub async fn retain(
        &mut self,
        channel: &str,
        kind: &str,
        key: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), EmitError> {
        self.emitter.retain(channel, kind, key, data).await
    }

    /// Emits an event that takes the snapshot of its channel and key away.
    pub async fn forget(&mut self, channel: &str, kind: &str, key: &str) -> Result<(), EmitError> {
        self.emitter.forget(channel, kind, key).await
    }

    /// Begins an event with severity, attributes, evidence, a time or a key.
    pub fn event<'a>(&'a mut self, channel: &'a str, kind: &'a str) -> EventBuilder<'a> {
        self.emitter.event(channel, kind)
    }

    /// A further emitter, for a task of the source.
    pub fn emitter(&self) -> Emitter {
        self.emitter.clone()
    }

    /// How many events `try_emit` has dropped since the source started.
    pub fn dropped(&self) -> u64 {
        self.emitter.dropped()
    }

    /// The next command of a client; `None` once the host asks the source to stop. Cancel-safe: in a `select!` no
    /// command is lost.
    pub async fn command(&mut self) -> Option<Command> {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => None,
            command = self.commands.recv() => command.map(Command::taken),
        }
    }

    /// Waits for the next tick of this period or for a command, whichever comes first; `None` once the host asks the
    /// source to stop. The first tick comes at once. With another period than before, the next tick comes one such
    /// period from now. Cancel-safe.
    pub async fn every(&mut self, period: impl Into<Period>) -> Option<Turn> {
        let period = period.into().duration().max(SHORTEST);
        let started = self.clock.is_some();
        let clock = match self.clock.take() {
            Some(clock) if clock.period() == period => clock,
            _ => ticking(if started { Instant::now() + period } else { Instant::now() }, period),
        };
        let clock = self.clock.insert(clock);
        if self.link.is_stopping() {
            return None;
        }
        tokio::select! {
            () = stopped(&mut self.stop) => None,
            command = self.commands.recv() => command.map(|command| Turn::Command(command.taken())),
            _ = clock.tick() => Some(Turn::Tick),
        }
    }

    /// Ticks at once and then every `period` (a [`Period`], a `Duration`, or milliseconds). After a delay it goes on
    /// from there, without catching up.
    #[allow(clippy::unused_self)] // it belongs to the running source: outside of one there is no timer
    pub fn interval(&self, period: impl Into<Period>) -> Interval {
        ticking(Instant::now(), period.into().duration().max(SHORTEST))
    }

    /// Whether the host has asked the source to stop: for a loop that emits without waiting for anything else.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until the host asks the source to stop.
    pub async fn stopped(&mut self) {
        stopped(&mut self.stop).await;
    }

    /// Reads the bus: events of these channels (names or patterns). `request` is what else a native subscribe message
    /// takes, as an object: `filter`, `from`, `options`; `json!({})` for new events without a filter. With `"snapshots": true`
    /// what the channels have retained comes first.
    ///
    /// ```
    /// # use headwater_plugin::prelude::*;
    /// # async fn example(ctx: &mut Context) -> Result<()> {
    /// let mut panes = ctx.subscribe(&["tmux"], json!({ "filter": { "types": ["pane.*"] }, "from": "earliest" }))?;
    /// while let Some(delivery) = panes.next().await {
    ///     if let Delivery::Event(event) = delivery {
    ///         info!(kind = event.kind, offset = event.position.offset, "seen");
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self, channels: &[&str], request: Value) -> Result<Subscription, Error> {
        Subscription::open(Arc::clone(&self.link), channels, request)
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender lives in the link that the context holds: waiting does not fail.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn ticking(first: Instant, period: Duration) -> Interval {
    let mut interval = interval_at(first, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
