//! Whatever a pane says in whatever order: what may never happen.

use super::{process, shipped};
use crate::watch::{Change, Evidence, Observation, PaneAgent, Process, Rules, Status, agent_type};
use proptest::prelude::*;
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

fn rules() -> Arc<Rules> {
    static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
    RULES.get_or_init(shipped).clone()
}

#[derive(Clone, Debug)]
enum Step {
    Title(String),
    StandingTitle(String),
    Osc(u16, String),
    Tail(String),
    Output,
    Agent(&'static str, u32),
    Gone,
    Nothing,
}

/// What the real programs say, and anything else.
fn title() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("✳ Claude Code".to_owned()),
        Just("⠂ Claude Code".to_owned()),
        Just("[ ! ] Action Required | project".to_owned()),
        Just("◇  Ready (project)".to_owned()),
        Just("✦  Working… (project)".to_owned()),
        Just(String::new()),
        any::<String>(),
    ]
}

fn osc() -> impl Strategy<Value = (u16, String)> {
    let states =
        prop_oneof![Just("idle"), Just("working"), Just("blocked"), Just("done"), Just("error"), Just("clear")];
    prop_oneof![
        states.prop_map(|state| (7501, format!("state={state}:app=codex"))),
        (0..5_u8).prop_map(|state| (9, format!("4;{state}"))),
        (any::<u16>(), any::<String>()),
    ]
}

fn tail() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(" Do you want to proceed?\n Esc to cancel".to_owned()),
        Just("❯ \n  ? for shortcuts".to_owned()),
        Just("  ┃  △ Permission required\n".to_owned()),
        Just("waiting for your next message\r\n\r\n".to_owned()),
        any::<String>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => title().prop_map(Step::Title),
        1 => title().prop_map(Step::StandingTitle),
        3 => osc().prop_map(|(code, text)| Step::Osc(code, text)),
        3 => tail().prop_map(Step::Tail),
        2 => Just(Step::Output),
        1 => (prop_oneof![Just("claude"), Just("codex"), Just("opencode"), Just("gemini")], 1..3_u32)
            .prop_map(|(name, pid)| Step::Agent(name, pid)),
        1 => Just(Step::Gone),
        2 => Just(Step::Nothing),
    ]
}

/// Steps, each with the milliseconds since the one before.
fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let pause = prop_oneof![0..50_u64, 100..1_500_u64, 2_000..20_000_u64];
    proptest::collection::vec((pause, step()), 0..60)
}

struct Run {
    pane: PaneAgent,
    now: Instant,
}

impl Run {
    fn new() -> Self {
        Self { pane: PaneAgent::new(rules()), now: Instant::now() + Duration::from_hours(1) }
    }

    fn observe(&mut self, step: &Step) -> Option<Change> {
        let agent;
        let observation = match step {
            Step::Title(text) => Observation::Title(text),
            Step::StandingTitle(text) => Observation::StandingTitle(text),
            Step::Osc(code, text) => Observation::Osc(*code, text),
            Step::Tail(text) => Observation::Tail(text),
            Step::Output => Observation::Output,
            Step::Agent(name, pid) => {
                agent = Process { age: Some(Duration::from_secs(1)), ..process(&rules(), *pid, &[name]) };
                Observation::Foreground(Some(&agent))
            }
            Step::Gone => Observation::Foreground(None),
            Step::Nothing => Observation::Nothing,
        };
        self.pane.observe(observation, self.now)
    }

    /// Lets time pass as a source does: it asks again whenever the pane wants to be asked.
    fn pass(&mut self, until: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut asked = 0;
        while let Some(due) = self.pane.due(self.now).filter(|due| *due <= until) {
            self.now = self.now.max(due);
            changes.extend(self.pane.observe(Observation::Nothing, self.now));
            asked += 1;
            assert!(asked < 100, "it wants to be asked for ever");
        }
        self.now = until;
        changes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_status_follows_itself_and_each_follows_the_one_before(steps in steps()) {
        let mut run = Run::new();
        let mut status = Status::Unknown;
        // The agent of which something was said last and that has not gone since.
        let mut there: Option<String> = None;
        for (pause, step) in &steps {
            let mut changes = run.pass(run.now + Duration::from_millis(*pause));
            changes.extend(run.observe(step));
            for change in changes {
                // Only that an agent has come or gone of which nothing tells what it does.
                let alone = change.from == Some(Evidence::Process) && change.status == Status::Unknown;
                prop_assert!(change.status != change.previous || alone, "{change:?}");
                prop_assert!(there.is_none() || there.as_ref() == Some(&change.agent), "{there:?} has not gone: {change:?}");
                prop_assert!(!change.left || there.is_some(), "it was never there: {change:?}");
                there = (!change.left).then(|| change.agent.clone());
                prop_assert_eq!(change.previous, status);
                prop_assert!(!change.agent.is_empty());
                status = change.status;
            }
            prop_assert_eq!(run.pane.status(), status);
            prop_assert!(there.is_none() || run.pane.agent() == there.as_deref(), "{there:?} has gone, and nobody said so");
            prop_assert!(run.pane.agent().is_some() || status == Status::Unknown, "no agent does nothing");
        }
    }

    /// The explanation is made of the same parts: what decides is not contradicted by anything that is trusted more, and
    /// is in the end what is said.
    #[test]
    fn what_is_trusted_less_never_overrides(steps in steps()) {
        let mut run = Run::new();
        for (pause, step) in &steps {
            run.pass(run.now + Duration::from_millis(*pause));
            run.observe(step);
            run.pass(run.now + Duration::from_secs(1));
            let explanation = run.pane.explain(run.now);
            // Time may have made something cease to count just now.
            let said = explanation.pending.as_ref().map_or(explanation.status, |pending| pending.status);
            let seen = explanation.decision.as_ref().map_or(Status::Unknown.as_str(), |decision| decision.status);
            if explanation.agent.is_some() {
                prop_assert_eq!(said, seen, "{}", explanation.summary);
            }
            let Some(decision) = &explanation.decision else { continue };
            // The first region that counts and in which a rule without conditions matches must be what decides, or what is refined.
            let base = decision.refines.as_deref().unwrap_or(decision);
            for heard in &explanation.regions {
                if heard.region == base.region {
                    break;
                }
                let speaks = heard.ignored.is_none() && heard.tried.iter().any(|tried| tried.matched && !tried.expired);
                prop_assert!(!speaks, "{} is overridden: {explanation:?}", heard.region);
            }
            if decision.refines.is_some() {
                let heard = explanation.regions.iter().find(|heard| heard.region == decision.region).unwrap();
                let rule = heard.tried.iter().find(|tried| Some(&tried.rule) == decision.rule.as_ref()).unwrap();
                prop_assert_eq!(rule.refines, Some(base.status));
                prop_assert!(Evidence::Tail.as_str() == decision.region || Evidence::Title.as_str() == decision.region);
            }
        }
    }

    /// Said a second time, nothing is news: what is seen again is not told again.
    #[test]
    fn the_same_thing_said_again_changes_nothing(title in title(), tail in tail()) {
        let mut run = Run::new();
        run.observe(&Step::Agent("claude", 1));
        run.observe(&Step::Title(title.clone()));
        run.observe(&Step::Tail(tail.clone()));
        run.pass(run.now + Duration::from_secs(1));
        for _ in 0..3 {
            prop_assert_eq!(run.observe(&Step::Tail(tail.clone())), None);
        }
        prop_assert_eq!(run.observe(&Step::Title(title)), None);
    }

    #[test]
    fn any_command_line_and_any_name_is_taken(argv in proptest::collection::vec(any::<String>(), 0..6), name in any::<String>()) {
        rules().agent_of(&argv);
        prop_assert!(!agent_type(argv.first().map(String::as_str), &name, &name).is_empty());
    }
}
