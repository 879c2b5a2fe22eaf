//! One pane's agent: what it was last said to do, and when something else may be said.

use super::{
    heard::{Listener, Regions},
    process::Process,
    rules::Rules,
    settings::{Evidence, Status},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long work must be seen when it begins: Codex says for a dozen milliseconds that it works while it starts.
const BEGINS: Duration = Duration::from_millis(50);

/// How long nothing must tell what an agent does before it is said that it is there: it has just been started, or its spinner
/// stood still for a moment. What it does is said at once.
const SILENT: Duration = Duration::from_secs(5);

/// What the source has seen of a pane.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// Its title is this now, and was another before.
    Title(&'a str),
    /// Its title is this, and nobody knows since when: say it at the beginning.
    StandingTitle(&'a str),
    /// Its program has sent this operating system command, with what follows the code and its semicolon.
    Osc(u16, &'a str),
    /// Its screen ends with these lines. Say it after the other observations of the same moment.
    Tail(&'a str),
    /// Its program has printed something.
    Output,
    /// This process has its terminal; none when it is not known.
    Foreground(Option<&'a Process>),
    /// Nothing; but time has passed. See [`PaneAgent::due`].
    Nothing,
}

/// A new status of the agent in a pane. Two that follow each other never have the same status, unless an agent of which
/// nothing tells what it does comes or goes: that it is there, and that it has gone, is told all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The agent; when it has gone, the one that has gone.
    pub agent: String,
    /// It has gone. Another one may be there already.
    pub left: bool,
    /// What it does now.
    pub status: Status,
    /// What it did.
    pub previous: Status,
    /// What told so; none when nothing says anything any more.
    pub from: Option<Evidence>,
    /// The rule that told so; output and processes need none.
    pub rule: Option<String>,
}

/// What is known of the agent in one pane.
#[derive(Debug)]
pub struct PaneAgent {
    pub(super) rules: Arc<Rules>,
    pub(super) regions: Regions,
    pub(super) process: Option<Process>,
    /// When the agent was started, if there is an agent and that is known.
    pub(super) since: Option<Instant>,
    pub(super) status: Status,
    pub(super) changed: Option<Instant>,
    /// Seen, but not yet for long enough, since when.
    pub(super) pending: Option<(Status, Instant)>,
    /// The agent is another than before, and what it does is not looked at yet.
    fresh: bool,
    /// Something was said of this agent.
    told: bool,
    /// When time alone may change something. Known since the last observation: sources ask for it all the time.
    next: Option<Instant>,
}

impl PaneAgent {
    /// A pane of which nothing is known.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            regions: Regions::default(),
            process: None,
            since: None,
            status: Status::Unknown,
            changed: None,
            pending: None,
            fresh: false,
            told: false,
            next: None,
        }
    }

    /// The agent in the foreground of the pane.
    pub fn agent(&self) -> Option<&str> {
        self.process.as_ref()?.agent.as_deref()
    }

    /// What it does.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Takes in what was seen, and says what is new. `now` never goes backwards.
    pub fn observe(&mut self, observation: Observation<'_>, now: Instant) -> Option<Change> {
        match observation {
            Observation::Title(text) => self.regions.hear_title(text, now, false),
            Observation::StandingTitle(text) => self.regions.hear_title(text, now, true),
            Observation::Osc(code, text) => self.regions.hear_command(code, text, now),
            Observation::Tail(text) => self.regions.hear_tail(text, now),
            Observation::Output => self.regions.hear_output(now, self.rules.quiet_after),
            Observation::Foreground(process) => {
                if let Some(change) = self.meet(process, now) {
                    self.next = None;
                    return Some(change);
                }
            }
            Observation::Nothing => {}
        }
        let change = self.settle(now);
        self.next = self.listener(now).and_then(|listener| {
            let settled = self.pending.and_then(|(next, since)| since.checked_add(self.delay(next)));
            settled.into_iter().chain(self.regions.ends(listener)).min()
        });
        change
    }

    /// When [`PaneAgent::observe`] must be called at the latest, with [`Observation::Nothing`] if nothing else was seen.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.fresh.then_some(now).or(self.next)
    }

    /// How many lines of the screen are of use now, if any: the tail may decide, and none is known that was read after all
    /// that was said. The lines are then worth an [`Observation::Tail`].
    pub fn wants_tail(&self, now: Instant) -> Option<usize> {
        let listener = self.listener(now)?;
        if self.regions.tail.is_some() && !self.regions.tail_is_old {
            return None;
        }
        match self.regions.decide(listener) {
            None => self.rules.lines(listener.agent, None),
            Some((word, _)) => self.rules.lines(listener.agent, Some(word.status)),
        }
    }

    pub(super) fn listener(&self, now: Instant) -> Option<Listener<'_>> {
        Some(Listener { rules: &self.rules, agent: self.agent()?, since: self.since, now })
    }

    /// Takes in which process is in the foreground.
    fn meet(&mut self, process: Option<&Process>, now: Instant) -> Option<Change> {
        let same = match (&self.process, process) {
            (Some(old), Some(new)) => old.is(new) && old.agent == new.agent,
            (None, None) => true,
            _ => false,
        };
        if same {
            return None;
        }
        let gone = self.agent().filter(|_| self.told).map(str::to_owned);
        self.process = process.cloned();
        self.since = process.and_then(|process| process.started_at(now));
        self.pending = None;
        self.fresh = self.agent().is_some();
        self.told = false;
        let previous = std::mem::replace(&mut self.status, Status::Unknown);
        let agent = gone?;
        self.changed = Some(now);
        Some(Change { agent, left: true, status: Status::Unknown, previous, from: Some(Evidence::Process), rule: None })
    }

    /// Says what the agent does if it is something else than before, and has been for long enough.
    fn settle(&mut self, now: Instant) -> Option<Change> {
        self.fresh = false;
        let listener = self.listener(now)?;
        let word = self.regions.decide(listener).map(|(word, _)| word);
        let status = word.map_or(Status::Unknown, |word| word.status);
        if status == self.status && self.told {
            self.pending = None;
            return None;
        }
        let since = match self.pending {
            Some((pending, since)) if pending == status => since,
            _ => now,
        };
        if now.saturating_duration_since(since) < self.delay(status) {
            self.pending = Some((status, since));
            return None;
        }
        self.pending = None;
        self.changed = Some(now);
        let change = Change {
            agent: self.agent().unwrap_or_default().to_owned(),
            left: false,
            status,
            previous: std::mem::replace(&mut self.status, status),
            // That nothing says what it does is told by its process alone.
            from: word.map(|word| word.evidence).or((!self.told).then_some(Evidence::Process)),
            rule: word.and_then(|word| word.rule).map(|rule| self.rules.at(rule).name.clone()),
        };
        self.told = true;
        Some(change)
    }

    /// How long a status must be seen before it is said. A question and a failure are told at once, and work that begins
    /// nearly so; rest may be the moment between two turns, and work after a question the moment before the agent gives up.
    pub(super) fn delay(&self, next: Status) -> Duration {
        match (self.status, next) {
            (Status::Idle | Status::Unknown, Status::Busy) => BEGINS.min(self.rules.settle),
            (Status::Unknown, Status::Unknown) => SILENT,
            (Status::Unknown, _) | (_, Status::Waiting | Status::Error) => Duration::ZERO,
            _ => self.rules.settle,
        }
    }
}
