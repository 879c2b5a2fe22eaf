//! When everything is looked at: at once when something was told, and every now and then whatever was told.

use headwater_plugin::prelude::*;
use std::time::{Duration, Instant};

/// Why it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// To know what is there at the beginning.
    First,
    /// A hook or a control client said that something changed.
    Told,
    /// It was time; what is found now, nobody told.
    Time,
}

/// A look to take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) cause: Cause,
    /// Whether the hooks are looked at as well.
    pub(crate) hooks: bool,
}

/// What is due, and what is under way. One look at a time: what is told meanwhile leads to another one.
#[derive(Debug)]
pub(crate) struct Schedule {
    every: Duration,
    next: Instant,
    wanted: Option<Cause>,
    hooks: bool,
    /// What was told is not looked at before this.
    not_before: Option<Instant>,
    /// Since when it is put off.
    put_off: Option<Instant>,
    running: bool,
}

/// Things that are told one after the other put a look off no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// After a look that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Schedule {
    pub(crate) fn new(every: Duration, now: Instant) -> Self {
        Self {
            every,
            next: now + every,
            wanted: Some(Cause::First),
            hooks: false,
            not_before: None,
            put_off: None,
            running: false,
        }
    }

    /// From now on it is looked this often.
    pub(crate) fn every(&mut self, every: Duration, now: Instant) {
        if every != self.every {
            (self.every, self.next) = (every, now + every);
        }
    }

    /// Something was told.
    pub(crate) fn told(&mut self) {
        self.wanted.get_or_insert(Cause::Told);
    }

    /// Something was told, which is not to be looked at for a moment.
    pub(crate) fn told_with_pause(&mut self, pause: Duration, now: Instant) {
        self.told();
        let longest = *self.put_off.get_or_insert(now) + LONGEST_PAUSE;
        self.not_before = Some((now + pause).min(longest));
    }

    /// The hooks are to be looked at now.
    pub(crate) fn check_hooks(&mut self) {
        self.hooks = true;
        self.told();
    }

    /// The look to take now, if any.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Look> {
        if self.running {
            return None;
        }
        let on_time = self.next <= now;
        if self.not_before.is_some_and(|time| time > now) {
            return None;
        }
        (self.not_before, self.put_off) = (None, None);
        let cause = self.wanted.or(on_time.then_some(Cause::Time))?;
        if on_time {
            self.next = now + self.every;
        }
        self.wanted = None;
        self.running = true;
        let hooks = std::mem::take(&mut self.hooks) || on_time;
        Some(Look { cause, hooks })
    }

    /// The look is over.
    pub(crate) fn done(&mut self) {
        self.running = false;
    }

    /// The look is over and has found nothing out: what it was for is still wanted. Forgotten, what was told would be found by
    /// time and count as not told, and what was there at first as new.
    pub(crate) fn failed(&mut self, look: Look, now: Instant) {
        self.running = false;
        match look.cause {
            Cause::First => self.wanted = Some(Cause::First),
            Cause::Told => self.told(),
            Cause::Time => {}
        }
        self.hooks |= look.hooks;
        self.not_before = Some(now + PAUSE_AFTER_FAILURE);
    }

    /// When the next look is due by time.
    pub(crate) fn due(&self) -> Option<Instant> {
        let time = self.not_before.or(Some(self.next));
        time.filter(|_| !self.running)
    }
}

impl Cause {
    /// How what is found is known; `polling`: nobody tells anything.
    pub(crate) fn evidence(self, polling: bool) -> Evidence {
        match self {
            Self::First => Evidence::Polled,
            Self::Told => Evidence::Observed,
            Self::Time if polling => Evidence::Polled,
            Self::Time => Evidence::Inferred,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that is slow for a moment must not make all that it holds new.
    #[test]
    fn what_a_failed_look_was_for_is_looked_at_again() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(10), start);
        let first = schedule.begin(start).unwrap();
        schedule.told();
        schedule.failed(first, start);
        assert_eq!((schedule.begin(start), schedule.due()), (None, Some(start + PAUSE_AFTER_FAILURE)));
        let again = start + PAUSE_AFTER_FAILURE;
        assert_eq!(schedule.begin(again), Some(first));
        schedule.done();
        schedule.check_hooks();
        let told = schedule.begin(again).unwrap();
        schedule.failed(told, again);
        assert_eq!(schedule.begin(again + PAUSE_AFTER_FAILURE), Some(Look { cause: Cause::Told, hooks: true }));
    }

    #[test]
    fn what_is_told_during_a_look_leads_to_another_one() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(10), start);
        assert_eq!(schedule.begin(start), Some(Look { cause: Cause::First, hooks: false }));
        schedule.told();
        schedule.told();
        assert_eq!(schedule.begin(start), None, "one at a time");
        schedule.done();
        assert_eq!(schedule.begin(start), Some(Look { cause: Cause::Told, hooks: false }));
        schedule.done();
        assert_eq!(schedule.begin(start), None);
        assert_eq!(schedule.due(), Some(start + Duration::from_secs(10)));
        let later = start + Duration::from_secs(10);
        assert_eq!(schedule.begin(later), Some(Look { cause: Cause::Time, hooks: true }));
        schedule.done();
        schedule.told_with_pause(Duration::from_millis(30), later);
        assert_eq!((schedule.begin(later), schedule.due()), (None, Some(later + Duration::from_millis(30))));
        assert_eq!(schedule.begin(later + Duration::from_millis(30)).map(|look| look.cause), Some(Cause::Told));
        schedule.done();
        // Somebody tells something all the time.
        for ms in 0..50 {
            schedule.told_with_pause(Duration::from_millis(50), later + Duration::from_millis(20 * ms));
        }
        assert!(schedule.begin(later + LONGEST_PAUSE).is_some(), "it is put off, not given up");
        schedule.done();
        schedule.every(Duration::from_secs(1), later);
        assert_eq!(schedule.due(), Some(later + Duration::from_secs(1)));
    }
}
