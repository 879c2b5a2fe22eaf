//! The registry by its inputs and what it says has happened.

mod lives;
mod orders;
mod panes;
mod random;
#[path = "../../../tests/source/schema.rs"]
mod schema;
mod turns;

use super::*;
use crate::signal::{AgentRef, Ended, Place, Signal, What};

/// A registry with a clock that a test sets.
pub(super) struct World {
    pub(super) registry: Registry,
    pub(super) clock: Duration,
}

impl World {
    pub(super) fn new() -> Self {
        let options = Options {
            settle: Duration::from_millis(750),
            heartbeat_deadline: Duration::from_secs(30),
            silence_deadline: Duration::from_hours(24),
            remember: Duration::from_mins(10),
            assign: true,
        };
        let mut world = Self {
            registry: Registry::new(options, Now { at: Self::start(), clock: Duration::ZERO }),
            clock: Duration::ZERO,
        };
        world.registry.begin(world.now());
        world
    }

    pub(super) fn start() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    pub(super) fn now(&self) -> Now {
        Now { at: Self::start() + self.clock, clock: self.clock }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.clock += time;
        let now = self.now();
        self.registry.tick(now);
    }

    /// Claude's session `session` says something about `task`.
    pub(super) fn says(&mut self, session: &str, task: Option<&str>, what: What) {
        let signal = Signal { agent: claude(session), task: task.map(Into::into), what, at: None };
        self.hears(&signal, &Place::default());
    }

    pub(super) fn hears(&mut self, signal: &Signal, place: &Place) {
        let now = self.now();
        self.registry.signal(signal, place, now.at, now);
    }

    /// The types of what has happened since the last time, with the evidence where it was not observed; without snapshots.
    pub(super) fn happened(&mut self) -> Vec<String> {
        let told = |change: &Change| {
            let event = crate::emit::events(change).remove(0);
            let kind = match &change.what {
                Happened::AgentState(_) | Happened::TaskState(_) | Happened::TaskForgotten(_) => return None,
                Happened::AgentStatus { from, to, .. } => format!("{} > {}", from.name(), to.name()),
                _ => event.kind.to_owned(),
            };
            Some(match change.evidence {
                Evidence::Observed => kind,
                other => format!("{kind} ({})", format!("{other:?}").to_lowercase()),
            })
        };
        self.registry.take().iter().filter_map(told).collect()
    }

    pub(super) fn status(&self, id: &str) -> Option<&'static str> {
        self.registry.agent(id).map(|agent| agent.status.name())
    }
}

pub(super) fn claude(session: &str) -> AgentRef {
    AgentRef { program: "claude".into(), session: Some(session.into()), ..AgentRef::default() }
}

pub(super) fn prompt() -> What {
    What::Prompt { text: None, bytes: None }
}

pub(super) const STOP: What = What::Turn(Ended::Completed);
