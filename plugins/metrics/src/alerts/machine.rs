//! When an alert fires and when it is resolved: pure, one value and one time after the other.
//!
//! It fires when every value of `hold` was past the threshold, and is resolved when every value of `clear_for` had come back
//! to `clear`. A value that is not known is none of both: it ends a beginning, of either kind, and begins nothing. Where
//! nothing happened that a value could be of, all stays as it is for a while: who answers once in five seconds, and each
//! time wrong, is not well in between.

use crate::metric::Reading;
use std::time::Duration;

/// An alert that has heard nothing for so long is resolved: nobody knows any more whether it is true.
pub(crate) const NO_DATA: Duration = Duration::from_mins(10);

/// What has begun is over when nothing has happened for so long, or for as long as the alert takes to fire: two failures
/// an hour apart are no hour of failures.
const SPARSE: Duration = Duration::from_mins(1);

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Whether values above the threshold are past it, or those below.
    pub(crate) above: bool,
    pub(crate) threshold: f64,
    pub(crate) hold: Duration,
    pub(crate) clear: f64,
    pub(crate) clear_for: Duration,
}

/// What a value has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It fires; the values are past the threshold since then.
    Fired { since: Duration },
    /// It is resolved.
    Resolved(Why),
}

/// Why it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The values have come back.
    Cleared,
    /// There have been none for [`NO_DATA`].
    NoData,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Machine {
    #[default]
    Quiet,
    /// Past the threshold since then, but not for long enough. `heard` is when the last value came.
    Pending { since: Duration, heard: Duration },
    /// It fires. `back` is since when the values have come back, `heard` when the last one came.
    Firing { back: Option<Duration>, heard: Duration },
}

impl Rule {
    fn is_past(&self, value: f64) -> bool {
        if self.above { value > self.threshold } else { value < self.threshold }
    }

    fn is_back(&self, value: f64) -> bool {
        if self.above { value <= self.clear } else { value >= self.clear }
    }
}

impl Machine {
    /// It fires already: it did so before the source was started anew.
    pub(crate) fn firing(now: Duration) -> Self {
        Self::Firing { back: None, heard: now }
    }

    #[cfg(test)]
    fn is_firing(&self) -> bool {
        matches!(self, Self::Firing { .. })
    }

    /// A look, at `now`. Times never go back.
    pub(crate) fn observe(&mut self, rule: &Rule, reading: Reading, now: Duration) -> Option<Change> {
        use Reading::{Nothing, Unknown, Value};
        let reading = match reading {
            Value(value) if value.is_nan() => Unknown,
            known => known,
        };
        let (next, change) = match (*self, reading) {
            (Self::Pending { heard, .. }, Nothing) if now.saturating_sub(heard) < rule.hold.max(SPARSE) => {
                (*self, None)
            }
            (Self::Quiet | Self::Pending { .. }, Unknown | Nothing) => (Self::Quiet, None),
            (Self::Quiet | Self::Pending { .. }, Value(value)) if !rule.is_past(value) => (Self::Quiet, None),
            (Self::Quiet, Value(_)) => Self::begun(rule, now, now),
            (Self::Pending { since, .. }, Value(_)) => Self::begun(rule, since, now),
            (Self::Firing { heard, .. }, Unknown | Nothing) if now.saturating_sub(heard) >= NO_DATA => {
                (Self::Quiet, Some(Change::Resolved(Why::NoData)))
            }
            (Self::Firing { .. }, Nothing) => (*self, None),
            (Self::Firing { heard, .. }, Unknown) => (Self::Firing { back: None, heard }, None),
            (Self::Firing { back, .. }, Value(value)) if rule.is_back(value) => {
                let since = back.unwrap_or(now);
                if now.saturating_sub(since) >= rule.clear_for {
                    (Self::Quiet, Some(Change::Resolved(Why::Cleared)))
                } else {
                    (Self::Firing { back: Some(since), heard: now }, None)
                }
            }
            (Self::Firing { .. }, Value(_)) => (Self::Firing { back: None, heard: now }, None),
        };
        *self = next;
        change
    }

    /// Somebody has watched all the time since `since`, and says that the threshold was passed.
    pub(crate) fn pushed(&mut self, rule: &Rule, since: Duration, now: Duration) -> Option<Change> {
        let since = match *self {
            Self::Pending { since: earlier, .. } => earlier.min(since),
            Self::Quiet => since,
            Self::Firing { .. } => {
                *self = Self::firing(now);
                return None;
            }
        };
        let (next, change) = Self::begun(rule, since, now);
        *self = next;
        change
    }

    fn begun(rule: &Rule, since: Duration, now: Duration) -> (Self, Option<Change>) {
        if now.saturating_sub(since) >= rule.hold {
            (Self::firing(now), Some(Change::Fired { since }))
        } else {
            (Self::Pending { since, heard: now }, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: Rule = Rule {
        above: true,
        threshold: 90.0,
        hold: Duration::from_secs(30),
        clear: 70.0,
        clear_for: Duration::from_secs(20),
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What changes when a value comes each second.
    fn story(rule: &Rule, values: impl IntoIterator<Item = Option<f64>>) -> Vec<(u64, Change)> {
        let mut machine = Machine::default();
        let look =
            |(second, value)| machine.observe(rule, reading(value), seconds(second)).map(|change| (second, change));
        (0..).zip(values).filter_map(look).collect()
    }

    fn reading(value: Option<f64>) -> Reading {
        value.map_or(Reading::Unknown, Reading::Value)
    }

    /// The same where a value comes only now and then, and nothing happens in between.
    fn sparse(rule: &Rule, every: u64, until: u64, value: impl Fn(u64) -> f64) -> Vec<(u64, Change)> {
        let mut machine = Machine::default();
        let look = |second: u64| {
            let reading = if second.is_multiple_of(every) { Reading::Value(value(second)) } else { Reading::Nothing };
            machine.observe(rule, reading, seconds(second)).map(|change| (second, change))
        };
        (0..until).filter_map(look).collect()
    }

    /// Harm prevented: a daemon that is asked once in five seconds, and answers with nothing but faults, is never told.
    #[test]
    fn who_is_seldom_asked_and_always_wrong_fires_and_who_is_well_again_is_resolved() {
        let told = sparse(&RULE, 5, 200, |second| if second < 100 { 95.0 } else { 20.0 });
        assert_eq!(told, [(30, Change::Fired { since: seconds(0) }), (120, Change::Resolved(Why::Cleared))]);
        let told = sparse(&RULE, 50, 400, |second| if second < 100 { 95.0 } else { 20.0 });
        assert_eq!(told, [(50, Change::Fired { since: seconds(0) }), (150, Change::Resolved(Why::Cleared))]);
    }

    #[test]
    fn few_failures_far_apart_are_no_alert_and_who_is_asked_no_more_is_resolved_in_the_end() {
        assert_eq!(sparse(&RULE, 61, 3_600, |_| 95.0), []);
        assert_eq!(sparse(&RULE, 5, 3_600, |second| if second == 600 { 99.0 } else { 20.0 }), []);
        let mut machine = Machine::firing(seconds(0));
        assert_eq!(machine.observe(&RULE, Reading::Nothing, seconds(599)), None);
        let resolved = Some(Change::Resolved(Why::NoData));
        assert_eq!(machine.observe(&RULE, Reading::Nothing, seconds(600)), resolved);
    }

    fn values(parts: &[(u64, f64)]) -> Vec<Option<f64>> {
        parts.iter().flat_map(|(count, value)| (0..*count).map(|_| Some(*value))).collect()
    }

    #[test]
    fn it_fires_once_and_is_resolved_once() {
        let told = story(&RULE, values(&[(10, 20.0), (60, 95.0), (60, 20.0)]));
        let expected = [(40, Change::Fired { since: seconds(10) }), (90, Change::Resolved(Why::Cleared))];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_goes_up_and_down_around_the_threshold_does_not_flap() {
        let around: Vec<_> = (0..600).map(|n| Some(if n % 3 == 0 { 85.0 } else { 96.0 })).collect();
        assert_eq!(story(&RULE, around.clone()), [], "never past it for long enough");
        let told = story(&RULE, values(&[(40, 95.0)]).into_iter().chain(around));
        assert_eq!(told, [(30, Change::Fired { since: seconds(0) })], "and never back for long enough");
    }

    #[test]
    fn a_peak_is_no_alert_and_a_dip_resolves_none() {
        assert_eq!(story(&RULE, values(&[(10, 20.0), (30, 99.0), (10, 20.0)])), []);
        let told = story(&RULE, values(&[(31, 99.0), (20, 10.0), (1, 80.0), (20, 10.0), (1, 99.0)]));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    /// Nothing is known for an hour: nothing is said.
    #[test]
    fn an_hour_without_data_is_silent() {
        assert_eq!(story(&RULE, vec![None; 3_600]), []);
        let gaps = (0..3_600).map(|second| (second % 20 != 0).then_some(99.0));
        assert_eq!(story(&RULE, gaps), [], "`for` is a time in which it was known");
    }

    #[test]
    fn what_fires_stays_so_without_data_but_not_for_ever() {
        let mut all = values(&[(31, 99.0)]);
        all.extend(vec![None; 700]);
        let expected = [(30, Change::Fired { since: seconds(0) }), (630, Change::Resolved(Why::NoData))];
        assert_eq!(story(&RULE, all), expected);
    }

    #[test]
    fn below_is_the_other_way_round() {
        let rule = Rule { above: false, threshold: 1.0, clear: 2.0, hold: seconds(0), ..RULE };
        let told = story(&rule, values(&[(3, 5.0), (3, 0.5), (40, 3.0)]));
        assert_eq!(told, [(3, Change::Fired { since: seconds(3) }), (26, Change::Resolved(Why::Cleared))]);
    }

    #[test]
    fn the_kernels_word_counts_for_the_time_it_has_watched() {
        let rule = Rule { hold: seconds(4), ..RULE };
        let mut machine = Machine::default();
        assert_eq!(machine.pushed(&rule, seconds(96), seconds(100)), Some(Change::Fired { since: seconds(96) }));
        assert_eq!(machine.pushed(&rule, seconds(98), seconds(102)), None, "once");
        machine.observe(&rule, Reading::Value(10.0), seconds(103));
        machine.pushed(&rule, seconds(100), seconds(110));
        assert_eq!(machine.observe(&rule, Reading::Value(10.0), seconds(124)), None, "it begins to come back anew");
        assert!(machine.observe(&rule, Reading::Value(10.0), seconds(144)).is_some());
    }

    proptest! {
        /// Whatever comes: firing and resolved take turns, and each is earned.
        #[test]
        fn they_take_turns_and_each_is_earned(
            steps in prop::collection::vec((1_u64..15, prop::option::weighted(0.9, 0.0_f64..120.0)), 1..300),
        ) {
            let mut machine = Machine::default();
            let (mut now, mut firing) = (0, false);
            let mut past: Vec<(u64, Option<f64>)> = Vec::new();
            for (step, value) in steps {
                now += step;
                past.push((now, value));
                let within = |span: Duration| {
                    past.iter().rev().take_while(move |(at, _)| seconds(now - at) <= span).map(|(_, value)| *value)
                };
                let long_enough = |span: Duration| seconds(now - past[0].0) >= span;
                match machine.observe(&RULE, reading(value), seconds(now)) {
                    Some(Change::Fired { since }) => {
                        prop_assert!(!firing && seconds(now) >= since + RULE.hold);
                        prop_assert!(within(RULE.hold).all(|value| value.is_some_and(|value| value > 90.0)));
                        prop_assert!(long_enough(RULE.hold));
                        firing = true;
                    }
                    Some(Change::Resolved(Why::Cleared)) => {
                        prop_assert!(firing && long_enough(RULE.clear_for));
                        prop_assert!(within(RULE.clear_for).all(|value| value.is_some_and(|value| value <= 70.0)));
                        firing = false;
                    }
                    Some(Change::Resolved(Why::NoData)) => {
                        prop_assert!(firing && within(NO_DATA.saturating_sub(seconds(15))).all(|value| value.is_none()));
                        firing = false;
                    }
                    None => {}
                }
                prop_assert_eq!(machine.is_firing(), firing);
            }
        }
    }
}
