//! One server that is ours to ask: it is started or called, greeted, pinged, and started again when it ends.
//!
//! A round of asking is a ping, and two more in its deadline as long as none is answered. So a server that hangs is known to
//! after one interval and one deadline, by three pings in a row, while one answer, however late in the deadline, counts.

#[cfg(test)]
mod tests;

use super::{
    dialogue::{Dialogue, Heard},
    life::{Life, Phase, Round, Why, exited},
    message::{Era, Incoming},
    seen::{Ended, Greeting, Report, Seen},
    wire::WireError,
};
use crate::{
    discovery::Launch,
    health::Outcome,
    process::{child::Owned, stderr},
    restart::Restarts,
};
use headwater_plugin::tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use std::time::Duration;

/// Pings of a round.
pub(super) const PINGS: u32 = 3;

/// A server that has said nothing for so long is greeted the other way too.
const INSIST: Duration = Duration::from_secs(2);

/// The pause before a server is asked again to tell of its changes, when it has ceased to.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// The list of tools is asked for at most so often.
const RELIST: Duration = Duration::from_millis(200);

/// What is to be done with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start it.
    Start,
    /// End it, and leave it so.
    Stop {
        /// It gets time to end by itself.
        graceful: bool,
    },
    /// End it and start it again.
    Restart {
        /// It gets time to end by itself.
        graceful: bool,
    },
}

/// The times of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// From one round to the next.
    pub(crate) interval: Duration,
    /// What a round may take.
    pub(crate) deadline: Duration,
    /// What the greeting may take.
    pub(crate) handshake: Duration,
    /// How long a server of ours may be silent before it is killed and started again.
    pub(crate) hung: Duration,
}

/// A server that is ours to ask.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its id.
    pub(crate) server: String,
    /// Which runner of it this is.
    pub(crate) run: u64,
    /// How it is started or reached.
    pub(crate) launch: Launch,
    /// The same as it is written where it is named: what variables in it stand for is not told.
    pub(crate) text: Launch,
    /// The times.
    pub(crate) timing: Timing,
}

/// The task of a server.
#[derive(Debug)]
pub(crate) struct Runner {
    target: Target,
    orders: mpsc::Receiver<Order>,
    /// While it is full, the runner waits: nothing of what it sees is lost.
    reports: mpsc::Sender<Report>,
    restarts: Restarts,
    began: Instant,
    era: Option<Era>,
}

impl Runner {
    pub(crate) fn new(target: Target, orders: mpsc::Receiver<Order>, reports: mpsc::Sender<Report>) -> Self {
        Self { target, orders, reports, restarts: Restarts::default(), began: Instant::now(), era: None }
    }

    /// Runs the server until nobody gives orders any more.
    pub(crate) async fn run(mut self) {
        loop {
            let began = Instant::now();
            let (why, mut ended) = self.live(began).await;
            let (pause, order) = if let Why::Asked(order) = why {
                (None, Some(order))
            } else {
                let pause = self.restarts.ended(self.began.elapsed(), began.elapsed());
                (Some(pause), None)
            };
            ended.again = pause;
            ended.restarts = self.restarts.total();
            ended.flapping = self.restarts.flapping(self.began.elapsed());
            self.report(Seen::Ended(Box::new(ended))).await;
            let next = match (order, pause) {
                (Some(order), _) => order,
                (None, Some(pause)) => {
                    let until = Instant::now() + pause;
                    headwater_plugin::tokio::select! {
                        () = sleep_until(until) => continue,
                        order = self.orders.recv() => order,
                    }
                }
                (None, None) => None,
            };
            if !self.obey(next).await {
                return;
            }
        }
    }

    /// Waits until it is to be started. `false`: nobody gives orders any more.
    async fn obey(&mut self, mut order: Option<Order>) -> bool {
        loop {
            match order {
                None => return false,
                Some(Order::Start | Order::Restart { .. }) => {
                    self.restarts.forgive();
                    return true;
                }
                Some(Order::Stop { .. }) => order = self.orders.recv().await,
            }
        }
    }

    async fn report(&self, seen: Seen) {
        let Target { server, run, .. } = &self.target;
        // Nobody listens any more: the source is ending, and so is this task.
        let _ = self.reports.send(Report { server: server.clone(), run: *run, at: Instant::now(), seen }).await;
    }

    /// One life of the server, from its start to its end.
    async fn live(&mut self, began: Instant) -> (Why, Ended) {
        let mut life = match Life::start(&self.target, self.era, began) {
            Ok(life) => life,
            Err(reason) => {
                self.report(Seen::Started { process: None }).await;
                return (Why::NotReady(reason.clone()), Ended { reason, ..Ended::default() });
            }
        };
        self.report(Seen::Started { process: life.owned.as_ref().map(Owned::process) }).await;
        let why = self.attend(&mut life).await;
        let why = life.cause(why).await;
        // There are servers that end upon a question that they do not know: the next life begins with the other one.
        if !matches!(why, Why::Asked(_)) {
            self.era = life.dialogue.untried().or(self.era);
        }
        if let Why::Exited = why
            && let Some(reason) = life.owned.as_ref().and_then(Owned::how)
        {
            self.report(Seen::Gone { reason }).await;
        }
        let ended = life.bury(&why, self.target.timing).await;
        (why, ended)
    }

    /// Listens and asks, until it ends.
    async fn attend(&mut self, life: &mut Life) -> Why {
        loop {
            let due = self.due(life);
            // Time and orders before messages: a server that never stops talking must not have the last word.
            headwater_plugin::tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Start) => {}
                    order => return Why::Asked(order),
                },
                () = exited(life.owned.as_ref()) => return Why::Exited,
                () = sleep_until(due) => if let Some(why) = self.tick(life, due).await {
                    return why;
                },
                received = life.wire.receive() => match received {
                    Ok(incoming) => if let Some(why) = self.hear(life, incoming).await {
                        return why;
                    },
                    Err(WireError::Locked) => self.locked(life).await,
                    Err(WireError::Mute) => life.listen = Some(Instant::now() + LISTEN_AGAIN),
                    Err(WireError::Unanswered(_)) if life.is_greeted() => life.ping_again(),
                    Err(error) => return Why::Lost(error.to_string()),
                },
            }
        }
    }

    /// When something is to be done though nothing is heard.
    fn due(&self, life: &Life) -> Instant {
        let Timing { deadline, handshake, .. } = self.target.timing;
        if let Phase::Greeting { since, insisted } = life.phase {
            let late = since + handshake;
            return if insisted { late } else { late.min(since + INSIST) };
        }
        let round = life.round.as_ref().map_or(life.next_round, |round| round.began + deadline * round.sent / PINGS);
        [life.relist, life.listen].into_iter().flatten().fold(round, Instant::min)
    }

    async fn tick(&mut self, life: &mut Life, due: Instant) -> Option<Why> {
        let Timing { interval, deadline, handshake, hung } = self.target.timing;
        let now = Instant::now();
        if let Phase::Greeting { since, insisted } = &mut life.phase {
            if now >= *since + handshake {
                return Some(Why::TooLate);
            }
            *insisted = true;
            if let Some(hello) = life.dialogue.insist() {
                life.wire.send(&hello);
            }
            return None;
        }
        if life.relist.is_some_and(|at| at <= now) {
            life.relist = None;
            life.say(Dialogue::list_tools);
        }
        if life.listen.is_some_and(|at| at <= now) {
            life.listen = None;
            life.say(Dialogue::listen);
            // Nobody has told what changed meanwhile.
            life.relist = life.relist.or(life.has_tools.then(|| now + RELIST));
        }
        if life.prolong(now.saturating_duration_since(due), deadline / PINGS) {
            return None;
        }
        match &life.round {
            None if now >= life.next_round => {
                if let Some(owned) = &mut life.owned {
                    owned.look();
                }
                life.round = Some(Round { began: now, sent: 0, prolonged: false });
                life.ping();
            }
            Some(round) if now >= round.began + deadline && round.sent >= PINGS => {
                let waited = now - round.began;
                life.next_round = (round.began + interval).max(now);
                life.round = None;
                life.dialogue.give_up_pings();
                let since = *life.silent_since.get_or_insert(now);
                self.ready(life).await;
                self.report(Seen::Silent { calls: PINGS, waited }).await;
                if life.owned.is_some() && now - since >= hung {
                    return Some(Why::Hung);
                }
            }
            Some(round) if round.sent < PINGS && now >= round.began + deadline * round.sent / PINGS => life.ping(),
            _ => {}
        }
        None
    }

    async fn hear(&mut self, life: &mut Life, incoming: Incoming) -> Option<Why> {
        if life.phase == Phase::Locked && matches!(incoming, Incoming::Answer { .. }) {
            // It was a refusal before that, whatever it is now.
            life.greet(self.era);
            return None;
        }
        let now = life.began.elapsed();
        let (heard, answer) = life.dialogue.hear(incoming, now);
        if let Some(answer) = answer {
            life.wire.send(&answer);
        }
        match heard {
            Heard::Greeted(era, info) => {
                self.era = Some(era);
                let took = life.greeted();
                life.next_round = Instant::now();
                let tools = info.capabilities.tools.clone();
                let greeting = Greeting { era: era.name(), info: *info, took, tools: None };
                life.greeting = Some(Box::new(greeting));
                life.has_tools = tools.is_some();
                if let Some(tools) = tools {
                    // Before the first ping, whose answer comes after this one's.
                    life.say(Dialogue::list_tools);
                    if tools.list_changed == Some(true) {
                        life.wire.listen();
                        life.say(Dialogue::listen);
                    }
                }
            }
            Heard::Refused(reason) => return Some(Why::NotReady(reason)),
            Heard::Echo => {
                return Some(Why::NotReady("it sends back what it gets: it is no MCP server".to_owned()));
            }
            Heard::Pong { outcome, latency } => self.pong(life, outcome, latency).await,
            Heard::Tools(count) => match &mut life.greeting {
                Some(greeting) => {
                    greeting.tools = Some(count);
                    self.ready(life).await;
                }
                None => self.report(Seen::Tools(count)).await,
            },
            Heard::ToolsChanged if life.has_tools => {
                life.relist.get_or_insert(Instant::now() + RELIST);
            }
            Heard::ToolsChanged | Heard::Other => {}
        }
        None
    }

    /// Tells that it has answered the greeting, once.
    async fn ready(&self, life: &mut Life) {
        if let Some(greeting) = life.greeting.take() {
            self.report(Seen::Ready(greeting)).await;
        }
    }

    async fn pong(&mut self, life: &mut Life, outcome: Outcome, latency: Duration) {
        let Some(round) = life.round.take() else { return };
        life.next_round = (round.began + self.target.timing.interval).max(Instant::now());
        life.silent_since = None;
        // The others of the round may be answered too; one is enough.
        life.dialogue.give_up_pings();
        // What it has is told with its first answer, and that may still be on its way.
        if !life.has_tools || life.ponged {
            self.ready(life).await;
        }
        life.ponged = true;
        let written = stderr::copy(&life.stderr);
        let written = (written.bytes, written.lines);
        self.report(Seen::Pong { outcome, latency, written, noise: life.wire.noise() }).await;
    }

    /// It lives, and says nothing to us. That it says so is all that can be asked.
    async fn locked(&mut self, life: &mut Life) {
        if life.phase != Phase::Locked {
            life.phase = Phase::Locked;
            life.next_round = Instant::now() + self.target.timing.interval;
            self.report(Seen::Locked).await;
        }
        if let Some(round) = &life.round {
            let latency = round.began.elapsed();
            self.pong(life, Outcome::Ok, latency).await;
        }
    }
}
