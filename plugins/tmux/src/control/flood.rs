//! Panes that print faster than anybody reads.
//!
//! Copying a pane's output to a control client costs the tmux server as much as showing it: measured, a pane that prints
//! without end prints half as fast. So a pane that floods is paused for a while, which costs nothing, and then looked at once.

use crate::tree::id::PaneId;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// More than this within [`WINDOW`] is a flood. A full screen that is drawn anew has about 10 KiB.
const LIMIT: u64 = 128 * 1024;

/// The time over which output is counted.
const WINDOW: Duration = Duration::from_millis(250);

/// How long a flood is not looked at. With the limit above, some 20 ms of each half second are slower than without us.
const REST: Duration = Duration::from_millis(500);

/// Counts what panes print.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    panes: BTreeMap<PaneId, Meter>,
}

#[derive(Debug)]
struct Meter {
    since: Instant,
    bytes: u64,
    paused: Option<Instant>,
}

impl Floods {
    /// A pane printed so much. `true`: it is to be paused now.
    pub(crate) fn count(&mut self, pane: PaneId, bytes: u64, now: Instant) -> bool {
        let meter = self.panes.entry(pane).or_insert(Meter { since: now, bytes: 0, paused: None });
        if now.duration_since(meter.since) > WINDOW {
            (meter.since, meter.bytes) = (now, 0);
        }
        meter.bytes += bytes;
        let flooding = meter.paused.is_none() && meter.bytes > LIMIT;
        if flooding {
            meter.paused = Some(now);
        }
        flooding
    }

    /// Whether we asked for its pause.
    pub(crate) fn is_paused(&self, pane: PaneId) -> bool {
        self.panes.get(&pane).is_some_and(|meter| meter.paused.is_some())
    }

    /// When the next pause ends.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.panes.values().filter_map(|meter| meter.paused).min().map(|paused| paused + REST)
    }

    /// The panes whose pause is over, each with its length.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(PaneId, Duration)> {
        let mut due = Vec::new();
        for (pane, meter) in &mut self.panes {
            let Some(paused) = meter.paused.filter(|paused| *paused + REST <= now) else { continue };
            *meter = Meter { since: now, bytes: 0, paused: None };
            due.push((*pane, now.duration_since(paused)));
        }
        due
    }

    /// Forgets panes that are gone.
    pub(crate) fn retain(&mut self, is_there: impl Fn(PaneId) -> bool) {
        self.panes.retain(|pane, _| is_there(*pane));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::id::Id;

    #[test]
    fn a_flood_is_paused_for_a_while_and_nothing_else_is() {
        let (mut floods, start) = (Floods::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for turn in 0..20 {
            assert!(!floods.count(Id(1), 60 * 1024, at(turn * 300)), "fast, but not that fast");
        }
        assert!(!floods.count(Id(2), LIMIT, at(0)));
        assert!(floods.count(Id(2), 1, at(250)) && floods.is_paused(Id(2)) && !floods.is_paused(Id(1)));
        assert!(!floods.count(Id(2), LIMIT * 2, at(260)), "what was on its way already");
        assert_eq!((floods.due(), floods.take_due(at(749)).len()), (Some(at(750)), 0));
        assert_eq!(floods.take_due(at(800)), [(Id(2), Duration::from_millis(550))]);
        assert!(!floods.is_paused(Id(2)) && floods.due().is_none());
        floods.retain(|_| false);
        assert!(floods.panes.is_empty());
    }
}
