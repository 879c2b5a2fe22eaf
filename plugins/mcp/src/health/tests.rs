//! The machine under scripts and under chance.

use super::{
    machine::{CALM, GOOD, SILENT},
    *,
};
use proptest::prelude::*;
use std::time::Duration;

const WINDOW: Duration = Duration::from_mins(5);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A machine, its clock, and what it said.
struct Play {
    machine: Machine,
    at: Duration,
    changes: Vec<(Duration, Change)>,
}

impl Play {
    fn active() -> Self {
        let mut machine = Machine::new(WINDOW);
        assert_eq!(machine.start().unwrap().to, Status::Starting);
        assert_eq!(machine.alive().unwrap().to, Status::Active);
        Self { machine, at: Duration::ZERO, changes: Vec::new() }
    }

    fn sample(&mut self, after: u64, kind: Kind, outcome: Outcome, latency: Option<u64>) -> Option<Change> {
        self.at += ms(after);
        let change = self.machine.sample(&Sample { at: self.at, kind, outcome, latency: latency.map(ms) });
        self.changes.extend(change.clone().map(|change| (self.at, change)));
        change
    }

    fn probe(&mut self, after: u64, latency: u64) -> Option<Change> {
        self.sample(after, Kind::Probe, Outcome::Ok, Some(latency))
    }

    fn timeout(&mut self, after: u64) -> Option<Change> {
        self.sample(after, Kind::Probe, Outcome::Timeout, None)
    }

    /// This many probes, 5 s apart.
    fn probes(&mut self, count: usize, latency: u64) {
        for _ in 0..count {
            self.probe(5_000, latency);
        }
    }

    fn status(&self) -> Status {
        self.machine.status()
    }
}

#[test]
fn three_probes_without_an_answer_are_unhealthy_and_two_are_not() {
    let mut play = Play::active();
    play.probes(3, 1);
    assert_eq!((play.timeout(5_000), play.timeout(5_000)), (None, None));
    play.probe(5_000, 1);
    assert_eq!((play.timeout(5_000), play.timeout(5_000)), (None, None));
    let change = play.timeout(5_000).unwrap();
    assert_eq!((change.from, change.to), (Status::Active, Status::Unhealthy));
    assert_eq!(change.causes, [Cause::Silent { calls: 3 }]);
    assert_eq!(play.timeout(5_000), None, "told once");
    assert_eq!(score(&play.machine), Some(0.0));
}

#[test]
fn it_is_well_again_after_five_good_probes_and_thirty_seconds() {
    let mut play = Play::active();
    for _ in 0..3 {
        play.timeout(5_000);
    }
    let bad = play.at;
    // Five good ones within five seconds: too soon.
    for _ in 0..5 {
        assert_eq!(play.probe(1_000, 1), None);
    }
    assert_eq!(play.status(), Status::Unhealthy);
    assert_eq!(play.probe(24_999, 1), None);
    let change = play.probe(1, 1).unwrap();
    assert_eq!((change.from, change.to), (Status::Unhealthy, Status::Active));
    assert_eq!(play.at, bad + CALM);
    assert_eq!(score(&play.machine), None, "what was before does not count any more");
    // Thirty seconds with four good ones: too few.
    for _ in 0..3 {
        play.timeout(5_000);
    }
    for _ in 0..4 {
        assert_eq!(play.probe(20_000, 1), None);
    }
    assert_eq!(play.probe(1, 1).unwrap().to, Status::Active);
}

#[test]
fn slow_is_what_is_slower_than_a_second_and_than_three_times_the_usual() {
    let mut play = Play::active();
    play.probes(60, 2);
    play.probes(40, 900);
    assert_eq!(play.status(), Status::Active, "900 ms are many times the usual, and not slow");
    // Of the sixty probes in the window, more than one in twenty.
    play.probes(5, 1_500);
    let (_, change) = play.changes.pop().unwrap();
    assert_eq!(change.to, Status::Degraded);
    assert!(matches!(change.causes[..], [Cause::Slow { limit, .. }] if limit >= ms(1_000)), "{change:?}");
    let score = score(&play.machine).unwrap();
    assert!((0.6..0.7).contains(&score), "1 s of 1.5 s: {score}");
    play.probes(8, 2);
    assert_eq!(play.status(), Status::Active);
}

#[test]
fn a_server_that_is_slow_from_the_first_probe_on_is_not_taken_for_usual() {
    let mut play = Play::active();
    play.probes(19, 1_200);
    assert_eq!(play.status(), Status::Active, "too few to tell");
    play.probes(1, 1_200);
    assert_eq!(play.status(), Status::Degraded);
}

#[test]
fn calls_that_always_take_long_are_usual() {
    let mut play = Play::active();
    for _ in 0..60 {
        play.sample(5_000, Kind::Call, Outcome::Ok, Some(4_000));
    }
    assert_eq!(play.status(), Status::Active);
    for _ in 0..60 {
        play.sample(5_000, Kind::Call, Outcome::Ok, Some(13_000));
    }
    assert_eq!(play.status(), Status::Degraded);
}

/// A server that becomes a little slower each minute must not be taken for well for ever.
#[test]
fn what_is_usual_does_not_follow_a_server_that_becomes_slower() {
    let mut play = Play::active();
    play.probes(60, 300);
    for step in 0_i32.. {
        let latency = 300.0 * 1.05_f64.powi(step);
        assert!(latency < 3_000.0, "ten times slower, and still {:?}", play.status());
        play.probes(12, latency as u64);
        if play.status() == Status::Degraded {
            break;
        }
    }
}

#[test]
fn failures_count_by_their_share_of_enough_calls() {
    let call = |play: &mut Play, outcome| play.sample(1_000, Kind::Call, outcome, Some(5));
    let mut play = Play::active();
    for _ in 0..19 {
        assert_eq!(call(&mut play, Outcome::Error), None, "too few to tell");
    }
    assert_eq!(call(&mut play, Outcome::Error).unwrap().to, Status::Unhealthy);

    let mut play = Play::active();
    for _ in 0..38 {
        call(&mut play, Outcome::Ok);
    }
    assert_eq!(call(&mut play, Outcome::Error), None);
    let change = call(&mut play, Outcome::Error).unwrap();
    assert_eq!((change.to, change.causes), (Status::Degraded, vec![Cause::Errors { rate: 0.05 }]));
    for _ in 0..11 {
        call(&mut play, Outcome::Error);
    }
    assert_eq!(play.status(), Status::Unhealthy, "13 of 51");
}

#[test]
fn a_start_begins_anew_and_an_end_is_told_once() {
    let mut play = Play::active();
    for _ in 0..3 {
        play.timeout(5_000);
    }
    let ended = Cause::Ended { reason: "killed".to_owned() };
    assert_eq!(play.machine.stop(ended.clone()).unwrap().from, Status::Unhealthy);
    assert_eq!(play.machine.stop(ended), None);
    assert_eq!(score(&play.machine), Some(0.0));
    assert_eq!(play.machine.start().unwrap().to, Status::Starting);
    assert_eq!(play.machine.not_ready("no answer".to_owned()).unwrap().to, Status::Unhealthy);
    assert_eq!(play.machine.alive().unwrap().to, Status::Active, "it answers now");
    assert_eq!((play.timeout(1), play.timeout(1)), (None, None), "what was before does not count");
}

/// A call, and the pause before it.
fn any_call() -> impl Strategy<Value = (u64, Kind, Outcome, Option<u64>)> {
    let kind = prop_oneof![Just(Kind::Probe), Just(Kind::Call)];
    let ending = prop_oneof![
        6 => (0..50_u64).prop_map(|latency| (Outcome::Ok, Some(latency))),
        2 => (0..6_000_u64).prop_map(|latency| (Outcome::Ok, Some(latency))),
        1 => (0..50_u64).prop_map(|latency| (Outcome::Error, Some(latency))),
        2 => Just((Outcome::Timeout, None)),
    ];
    (0..20_000_u64, kind, ending).prop_map(|(after, kind, (outcome, latency))| (after, kind, outcome, latency))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whoever leaves a bad state had thirty seconds without a bad call and five good ones, whatever came before.
    #[test]
    fn nothing_flaps(calls in prop::collection::vec(any_call(), 0..200)) {
        let mut play = Play::active();
        let (mut good, mut last_failed) = (0, None);
        for (after, kind, outcome, latency) in calls {
            let before = play.status();
            let change = play.sample(after, kind, outcome, latency);
            if outcome == Outcome::Ok { good += 1 } else { good = 0; last_failed = Some(play.at) }
            match change {
                Some(change) if change.to == Status::Active => {
                    prop_assert!(good >= GOOD);
                    prop_assert!(last_failed.is_none_or(|at| play.at >= at + CALM));
                    prop_assert!(change.causes.is_empty());
                    good = 0;
                    last_failed = None;
                }
                Some(change) => {
                    prop_assert!(change.to > before, "only downwards: {change:?}");
                    prop_assert!(!change.causes.is_empty());
                }
                None => prop_assert_eq!(play.status(), before),
            }
        }
        // Between a recovery and the one before it lies at least the calm.
        let recoveries: Vec<Duration> =
            play.changes.iter().filter(|(_, change)| change.to == Status::Active).map(|(at, _)| *at).collect();
        prop_assert!(recoveries.windows(2).all(|pair| pair[1] >= pair[0] + CALM));
    }

    /// A server that answers fast and never fails is active for ever.
    #[test]
    fn a_good_server_is_left_alone(calls in prop::collection::vec((0..60_000_u64, 0..1_000_u64), 0..150)) {
        let mut play = Play::active();
        for (after, latency) in calls {
            prop_assert_eq!(play.probe(after, latency), None);
        }
    }

    /// However it was before, it is unhealthy after three calls without an answer.
    #[test]
    fn silence_is_always_noticed(calls in prop::collection::vec(any_call(), 0..100)) {
        let mut play = Play::active();
        for (after, kind, outcome, latency) in calls {
            play.sample(after, kind, outcome, latency);
        }
        for _ in 0..SILENT {
            play.timeout(1_000);
        }
        prop_assert_eq!(play.status(), Status::Unhealthy);
    }

    #[test]
    fn a_score_is_a_share(calls in prop::collection::vec(any_call(), 1..100)) {
        let mut play = Play::active();
        for (after, kind, outcome, latency) in calls {
            play.sample(after, kind, outcome, latency);
            if let Some(score) = score(&play.machine) {
                prop_assert!((0.0..=1.0).contains(&score));
            }
        }
    }
}
