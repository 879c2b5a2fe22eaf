//! One life of a server: from its start or the first call to its end, with all that belongs to it.

use super::{
    dialogue::Dialogue,
    http::Http,
    message::{self, Era, Outgoing},
    pipes::Pipes,
    runner::{Order, PINGS, Target, Timing},
    seen::{Ended, Greeting, Way},
    wire::Wire,
};
use crate::{
    discovery::Launch,
    process::{
        child::{Ending, Owned},
        redactor::Redactor,
        stderr::{self, Shared},
    },
};
use headwater_plugin::tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, timeout},
};
use std::time::Duration;

/// What an ending server gets for each step of its end: its input is closed, it is asked to end, it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What a server whose output has ended gets to end itself: how it ended is worth waiting for. One that is killed closes its
/// output an instant before it is gone; on a busy machine that is long.
const LAST_BREATH: Duration = Duration::from_millis(250);

/// What an ended server's last words get to be read: they are there at once, and others may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(30);

/// Why a life ended.
pub(super) enum Why {
    /// Somebody asked for it; without an order, for good.
    Asked(Option<Order>),
    Exited,
    Lost(String),
    NotReady(String),
    TooLate,
    Hung,
}

/// A server that runs.
pub(super) struct Life {
    pub(super) wire: Wire,
    pub(super) dialogue: Dialogue,
    pub(super) owned: Option<Owned>,
    pub(super) stderr: Shared,
    draining: JoinSet<()>,
    pub(super) began: Instant,
    pub(super) phase: Phase,
    pub(super) has_tools: bool,
    /// A ping was answered.
    pub(super) ponged: bool,
    /// Its answer to the greeting, until it is told with what else it says at once.
    pub(super) greeting: Option<Box<Greeting>>,
    pub(super) round: Option<Round>,
    pub(super) next_round: Instant,
    pub(super) relist: Option<Instant>,
    /// When it is asked again to tell of its changes.
    pub(super) listen: Option<Instant>,
    pub(super) silent_since: Option<Instant>,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not answered.
    Greeting {
        /// It was greeted then.
        since: Instant,
        /// It was greeted both ways.
        insisted: bool,
    },
    /// It answers.
    Ready,
    /// It answers that it does not answer us.
    Locked,
}

pub(super) struct Round {
    pub(super) began: Instant,
    pub(super) sent: u32,
    /// We were held up in it, and its time was made longer.
    pub(super) prolonged: bool,
}

impl Life {
    /// Starts or calls a server, and greets it.
    pub(super) fn start(target: &Target, era: Option<Era>, began: Instant) -> Result<Self, String> {
        let stderr = Shared::default();
        let mut draining = JoinSet::new();
        let (wire, owned) = match &target.launch {
            Launch::Stdio(launch) => {
                let (owned, pipes) = Owned::spawn(launch).map_err(|error| match &target.text {
                    Launch::Stdio(text) => error.told(text),
                    Launch::Http(_) => error.to_string(),
                })?;
                let secrets = launch.env.values().map(String::as_str).chain(Redactor::secret_arguments(&launch.args));
                draining.spawn(stderr::drain(pipes.stderr, Redactor::new(secrets), Shared::clone(&stderr)));
                (Wire::Pipes(Box::new(Pipes::new(pipes.stdin, pipes.stdout))), Some(owned))
            }
            Launch::Http(launch) => {
                let patience = target.timing.handshake.max(target.timing.deadline);
                (Wire::Http(Box::new(Http::new(launch, patience).map_err(|error| error.to_string())?)), None)
            }
        };
        let (dialogue, hello) = Dialogue::begin(era);
        let mut life = Self {
            wire,
            dialogue,
            owned,
            stderr,
            draining,
            began,
            phase: Phase::Greeting { since: began, insisted: false },
            has_tools: false,
            ponged: false,
            greeting: None,
            round: None,
            next_round: began,
            relist: None,
            listen: None,
            silent_since: None,
        };
        life.wire.send(&hello);
        Ok(life)
    }

    /// Why it ended, where its output ended first: that is how it ended itself, if it did.
    pub(super) async fn cause(&self, why: Why) -> Why {
        match (&why, &self.owned) {
            (Why::Lost(_), Some(owned)) if timeout(LAST_BREATH, owned.exited()).await.is_ok() => Why::Exited,
            _ => why,
        }
    }

    /// Ends what is left of it, and says how it was.
    pub(super) async fn bury(self, why: &Why, timing: Timing) -> Ended {
        let is_greeted = self.is_greeted();
        let Self { wire, owned, stderr, mut draining, .. } = self;
        let noise = wire.noise();
        let mut ended = Ended {
            was_ready: is_greeted,
            way: match why {
                Why::Asked(_) => Way::Asked,
                Why::Exited | Why::Lost(_) => Way::ByItself,
                Why::NotReady(_) | Why::TooLate | Why::Hung => Way::GivenUp,
            },
            ..Ended::default()
        };
        let graceful = match why {
            Why::Asked(Some(Order::Stop { graceful } | Order::Restart { graceful })) => *graceful,
            _ => false,
        };
        if let Some(owned) = owned {
            if graceful {
                // Its input is closed with the wire.
                drop(wire);
                if timeout(GRACE, owned.exited()).await.is_err() {
                    owned.ask_to_end();
                    let _ = timeout(GRACE, owned.exited()).await;
                }
            }
            // Not here: to look for what is left of it takes long where there are many processes, and so may its end.
            ended.ending = spawn_blocking(move || owned.end()).await.ok();
            let _ = timeout(LAST_WORDS, draining.join_next()).await;
            ended.written = Some(stderr::copy(&stderr));
        }
        let how = ended.ending.as_ref().map(Ending::told);
        let noisy = if noise > 0 { format!("; {noise} lines of its output are no messages") } else { String::new() };
        ended.reason = match why {
            Why::Asked(_) => "somebody asked for it".to_owned(),
            Why::Exited => how.unwrap_or_default(),
            Why::Lost(reason) => how.filter(|how| how != "signal 9").unwrap_or_else(|| reason.clone()),
            Why::NotReady(reason) => reason.clone(),
            Why::TooLate => {
                ended.timeout = Some(timing.handshake);
                format!("no answer to the greeting within {} ms{noisy}", timing.handshake.as_millis())
            }
            Why::Hung => {
                ended.timeout = Some(timing.hung);
                format!("no answer for {} ms: killed", timing.hung.as_millis())
            }
        };
        ended
    }

    /// Says something.
    pub(super) fn say(&mut self, what: impl FnOnce(&mut Dialogue) -> Option<Outgoing>) {
        if let Some(message) = what(&mut self.dialogue) {
            self.wire.send(&message);
        }
    }

    /// Whether it has answered the greeting, be it by a refusal.
    pub(super) fn is_greeted(&self) -> bool {
        !matches!(self.phase, Phase::Greeting { .. })
    }

    /// It has answered the greeting: how long that took.
    pub(super) fn greeted(&mut self) -> Duration {
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Greeting { since, .. } => since.elapsed(),
            Phase::Ready | Phase::Locked => Duration::ZERO,
        }
    }

    /// Gives the round more time if its hour was passed by so much that we were held up ourselves: answers may be there that
    /// nobody has read. Once a round.
    pub(super) fn prolong(&mut self, late: Duration, more: Duration) -> bool {
        let Some(round) = self.round.as_mut().filter(|round| !round.prolonged && late >= more) else { return false };
        round.prolonged = true;
        round.began += late + more;
        true
    }

    /// Greets it anew: it answers, after it had told that it does not answer us.
    pub(super) fn greet(&mut self, era: Option<Era>) {
        let hello = self.dialogue.anew(era);
        self.phase = Phase::Greeting { since: Instant::now(), insisted: false };
        (self.round, self.relist, self.listen, self.greeting) = (None, None, None, None);
        self.ponged = false;
        self.wire.send(&hello);
    }

    /// Pings it, as a part of the round.
    pub(super) fn ping(&mut self) {
        let now = self.began.elapsed();
        // A server that wants an authorization is asked for anything: its refusal is an answer.
        let ping = if self.phase == Phase::Locked { Some(message::discover(0)) } else { self.dialogue.ping(now) };
        if let (Some(ping), Some(round)) = (ping, &mut self.round) {
            round.sent += 1;
            self.wire.send(&ping);
        }
    }

    /// Pings it once more at once: the last ping has got lost.
    pub(super) fn ping_again(&mut self) {
        if self.round.as_ref().is_some_and(|round| round.sent < PINGS) {
            self.ping();
        }
    }
}

/// Waits for the end of a process, where there is one.
pub(super) async fn exited(owned: Option<&Owned>) {
    match owned {
        Some(owned) => owned.exited().await,
        None => std::future::pending().await,
    }
}
