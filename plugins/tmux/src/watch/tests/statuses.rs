//! When which status is said: trust, rest that must last, what is left over from before, and what is explained.

use super::{process, shipped};
use crate::watch::{Change, Evidence, Explanation, Observation, PaneAgent, Process, Rules, Settings, Status};
use headwater_plugin::serde_json::{self, Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A pane, and a clock that the test moves.
struct World {
    pane: PaneAgent,
    rules: Arc<Rules>,
    start: Instant,
}

impl World {
    fn new(rules: Arc<Rules>) -> Self {
        // Later than the first start of the clock: a process may be older than the test.
        let start = Instant::now() + Duration::from_hours(1);
        Self { pane: PaneAgent::new(rules.clone()), rules, start }
    }

    fn with(program: &str) -> Self {
        let mut world = Self::new(shipped());
        let process = process(&world.rules, 7, &[program]);
        assert_eq!(world.see(0, Observation::Foreground(Some(&process))), None);
        world
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn see(&mut self, milliseconds: u64, observation: Observation<'_>) -> Option<Change> {
        self.pane.observe(observation, self.at(milliseconds))
    }

    /// What is said then: the status and the rule.
    fn said(&mut self, milliseconds: u64, observation: Observation<'_>) -> Option<(Status, String)> {
        let change = self.see(milliseconds, observation)?;
        let by = change.rule.or(change.from.map(|from| from.as_str().to_owned()));
        Some((change.status, by.unwrap_or_else(|| "nothing".to_owned())))
    }

    /// What is said of this when it has stayed so for long enough.
    fn settled(&mut self, milliseconds: u64, observation: Observation<'_>) -> Option<(Status, String)> {
        assert_eq!(self.see(milliseconds, observation), None, "at once");
        let due = self.due(milliseconds)?;
        self.said(milliseconds + u64::try_from(due).unwrap(), Observation::Nothing)
    }

    /// In how many milliseconds the pane wants to be asked.
    fn due(&self, milliseconds: u64) -> Option<u128> {
        let now = self.at(milliseconds);
        self.pane.due(now).map(|due| due.saturating_duration_since(now).as_millis())
    }

    fn explain(&self, milliseconds: u64) -> Explanation {
        self.pane.explain(self.at(milliseconds))
    }
}

/// To compare with what a pane says.
#[expect(clippy::unnecessary_wraps, reason = "what a pane says is optional")]
fn said(status: Status, rule: &str) -> Option<(Status, String)> {
    Some((status, rule.to_owned()))
}

#[test]
fn a_change_says_all_that_events_need() {
    let mut world = World::with("claude");
    assert_eq!(
        world.see(10, Observation::Title("✳ Claude Code")),
        Some(Change {
            agent: "claude".into(),
            left: false,
            status: Status::Idle,
            previous: Status::Unknown,
            from: Some(Evidence::Title),
            rule: Some("claude-title-idle".into()),
        })
    );
    assert_eq!(world.pane.status(), Status::Idle);
    assert_eq!(world.pane.agent(), Some("claude"));
}

#[test]
fn a_spinner_that_turns_is_one_status() {
    let mut world = World::with("claude");
    world.see(0, Observation::Title("✳ Claude Code"));
    assert_eq!(world.settled(1_000, Observation::Title("⠂ Claude Code")), said(Status::Busy, "claude-title-busy"));
    for turn in 2..60 {
        let title = if turn % 2 == 0 { "⠐ Claude Code" } else { "⠂ Claude Code" };
        assert_eq!(world.see(turn * 960, Observation::Title(title)), None);
    }
}

/// After Esc with a prompt that waits in the queue, Claude Code's title is idle for eleven milliseconds.
#[test]
fn rest_between_two_turns_is_not_said() {
    let mut world = World::with("claude");
    world.settled(0, Observation::Title("⠂ Claude Code"));
    assert_eq!(world.see(1_000, Observation::Title("✳ Claude Code")), None);
    assert_eq!(world.due(1_000), Some(300));
    assert_eq!(world.see(1_011, Observation::Title("⠂ Claude Code")), None);
    assert_eq!(world.see(1_400, Observation::Nothing), None);
    assert_eq!(world.see(2_000, Observation::Title("✳ Claude Code")), None);
    assert_eq!(world.see(2_299, Observation::Nothing), None);
    assert_eq!(world.said(2_300, Observation::Nothing), said(Status::Idle, "claude-title-idle"));
    assert_eq!(world.due(2_300), None, "nothing to wait for");
}

#[test]
fn the_screen_says_more_exactly_what_the_title_says() {
    let mut world = World::with("claude");
    world.settled(0, Observation::Title("⠂ Claude Code"));
    assert_eq!(world.pane.wants_tail(world.at(1)), None, "nothing on the screen makes a busy title another");
    world.see(1_000, Observation::Title("✳ Claude Code"));
    assert_eq!(world.pane.wants_tail(world.at(1_001)), Some(12), "what the rule sees that sees most");
    let asks = " Do you want to proceed?\n ❯ 1. Yes\n   2. No\n\n Esc to cancel · Tab to amend\n\n";
    assert_eq!(world.said(1_010, Observation::Tail(asks)), said(Status::Waiting, "claude-asks"));
    assert_eq!(world.pane.wants_tail(world.at(1_020)), None, "it is known");
    // Answered: the agent works on, and the old screen says nothing any more.
    assert_eq!(world.see(5_000, Observation::Title("⠂ Claude Code")), None, "it may still give up");
    assert_eq!(world.said(5_300, Observation::Nothing), said(Status::Busy, "claude-title-busy"));
    assert_eq!(world.see(6_000, Observation::Title("✳ Claude Code")), None);
    assert_eq!(world.said(6_300, Observation::Nothing), said(Status::Idle, "claude-title-idle"));
}

#[test]
fn less_trusted_regions_do_not_override() {
    let mut world = World::with("codex");
    assert_eq!(world.said(0, Observation::Osc(7501, "state=idle:app=codex")), said(Status::Idle, "codex-state-idle"));
    assert_eq!(world.see(10, Observation::Title("⠋ project")), None);
    assert_eq!(world.see(20, Observation::Tail("› 1. Yes\n  Press enter to confirm or esc to cancel")), None);
    assert_eq!(world.see(2_000, Observation::Nothing), None);
    assert_eq!(
        world.said(2_100, Observation::Osc(7501, "state=blocked:app=codex:kind=permission")),
        said(Status::Waiting, "codex-state-blocked")
    );
    // It takes its word back: then the title counts.
    assert_eq!(world.see(3_000, Observation::Osc(7501, "state=clear")), None);
    assert_eq!(world.settled(3_100, Observation::Title("⠙ project")), said(Status::Busy, "codex-title-busy"));
}

#[test]
fn a_rule_refines_only_what_a_more_trusted_region_says() {
    let rules = json!([
        { "name": "rest", "region": "title", "regex": "^A", "state": "idle", "priority": 1 },
        { "name": "finer", "region": "title", "regex": "^A", "state": "waiting", "refines": "idle" },
    ]);
    let settings: Settings = serde_json::from_value(json!({ "rules": rules })).unwrap();
    let mut world = World::new(Arc::new(Rules::new(&settings).unwrap()));
    let claude = process(&world.rules, 7, &["claude"]);
    world.see(0, Observation::Foreground(Some(&claude)));
    assert_eq!(world.said(1, Observation::Title("A")), said(Status::Idle, "rest"), "the priority decides in a region");
    assert_eq!(
        world.said(2, Observation::Osc(9, "4;0")),
        said(Status::Waiting, "finer"),
        "now the title is less trusted"
    );
}

#[test]
fn progress_is_understood_from_every_agent_and_messages_do_not_hide_it() {
    let mut world = World::with("opencode");
    assert_eq!(world.settled(0, Observation::Osc(9, "4;3;0")), said(Status::Busy, "progress-running"));
    assert_eq!(world.see(110, Observation::Osc(9, "Turn complete")), None);
    assert_eq!(world.see(2_000, Observation::Nothing), None);
    assert_eq!(world.see(2_001, Observation::Osc(9, "4;0")), None);
    assert_eq!(world.said(2_301, Observation::Nothing), said(Status::Idle, "progress-none"));
    assert_eq!(world.said(2_400, Observation::Osc(9, "4;2;40")), said(Status::Error, "progress-failed"));
}

/// A spinner that stands still is left over: from an agent that was killed, or one that hangs.
#[test]
fn a_spinner_that_stands_still_counts_no_longer() {
    let mut world = World::with("claude");
    world.settled(0, Observation::Title("⠂ Claude Code"));
    assert_eq!(world.due(100), Some(9_900));
    assert_eq!(world.see(10_000, Observation::Nothing), None);
    assert_eq!(world.due(10_000), Some(300));
    assert_eq!(world.said(10_300, Observation::Nothing), said(Status::Unknown, "nothing"));
    let explained = world.explain(10_300);
    assert_eq!(explained.summary, "claude is unknown; nothing says what it does");
    let title = explained.regions.iter().find(|heard| heard.region == "title").unwrap();
    assert!(title.tried.iter().any(|tried| tried.rule == "claude-title-busy" && tried.matched && tried.expired));
}

/// Harm prevented: after a restart of the daemon, an agent that was killed or that waits with its last title is shown as
/// working for ten seconds.
#[test]
fn a_spinner_that_stood_there_at_the_first_look_is_no_work_until_it_turns() {
    let mut world = World::with("claude");
    assert_eq!(world.see(0, Observation::StandingTitle("⠂ Claude Code")), None);
    assert_eq!(world.see(1, Observation::Tail("Do you want to proceed?\n 1. Yes")), None);
    assert_eq!(world.see(4_000, Observation::Nothing), None);
    assert_eq!(world.settled(4_500, Observation::Title("⠐ Claude Code")), said(Status::Busy, "claude-title-busy"));
    // A mark that needs not turn counts at once.
    let mut world = World::with("claude");
    assert_eq!(world.said(0, Observation::StandingTitle("✳ Claude Code")), said(Status::Idle, "claude-title-idle"));
}

/// Harm prevented: nobody who lists agents knows of one that draws no screen, such as `claude -p`.
#[test]
fn an_agent_of_which_nothing_tells_what_it_does_is_told_of_and_so_is_its_end() {
    let mut world = World::with("claude");
    assert_eq!(world.due(0), Some(5_000));
    let claude = |left| Change {
        agent: "claude".into(),
        left,
        status: Status::Unknown,
        previous: Status::Unknown,
        from: Some(Evidence::Process),
        rule: None,
    };
    assert_eq!(world.see(5_000, Observation::Nothing), Some(claude(false)));
    assert_eq!(world.due(5_000), None);
    assert_eq!(world.see(9_000, Observation::Output), None, "it is told of once");
    let codex = process(&world.rules, 8, &["codex"]);
    assert_eq!(
        world.see(20_000, Observation::Foreground(Some(&codex))),
        Some(claude(true)),
        "and the next one is another"
    );
    // One that goes before anything was said of it was never there.
    assert_eq!(world.see(21_000, Observation::Foreground(None)), None);
}

#[test]
fn what_was_said_before_the_agent_was_started_says_nothing_of_it() {
    let mut world = World::new(shipped());
    world.see(0, Observation::Title("⠂ Claude Code"));
    let young = Process { age: Some(Duration::from_secs(1)), ..process(&world.rules, 8, &["claude"]) };
    assert_eq!(world.see(5_000, Observation::Foreground(Some(&young))), None);
    assert_eq!(world.explain(5_000).regions[1].ignored, Some("said before the agent was started"));
    // The foreground is looked at now and then: the title may have come between the start and the look.
    let mut world = World::new(shipped());
    world.see(0, Observation::Title("⠂ Claude Code"));
    let older = Process { age: Some(Duration::from_secs(6)), ..process(&world.rules, 8, &["claude"]) };
    assert_eq!(world.settled(5_000, Observation::Foreground(Some(&older))), said(Status::Busy, "claude-title-busy"));
}

#[test]
fn an_agent_that_has_gone_does_nothing_known() {
    let mut world = World::with("claude");
    world.settled(0, Observation::Title("⠂ Claude Code"));
    let shell = process(&world.rules, 2, &["bash"]);
    assert_eq!(
        world.see(1_000, Observation::Foreground(Some(&shell))),
        Some(Change {
            agent: "claude".into(),
            left: true,
            status: Status::Unknown,
            previous: Status::Busy,
            from: Some(Evidence::Process),
            rule: None
        })
    );
    assert_eq!((world.pane.agent(), world.due(1_000)), (None, None));
    assert_eq!(world.see(2_000, Observation::Title("⠂ Claude Code")), None, "a shell is not busy");
    assert_eq!(world.explain(2_000).summary, "the program in the foreground, process 2, is no agent");
    assert_eq!(world.see(3_000, Observation::Foreground(None)), None);
    assert_eq!(world.explain(3_000).summary, "no program is known to be in the foreground");
}

#[test]
fn another_agent_in_the_same_pane_begins_anew() {
    let mut world = World::with("claude");
    world.settled(0, Observation::Title("⠂ Claude Code"));
    let again = Process { age: Some(Duration::ZERO), started: 2_000, ..process(&world.rules, 7, &["claude"]) };
    assert_eq!(world.said(1_000, Observation::Foreground(Some(&again))), said(Status::Unknown, "process"));
    assert_eq!(world.due(1_000), Some(0), "what it does is to be looked at");
    assert_eq!(world.said(1_100, Observation::Title("✳ Claude Code")), said(Status::Idle, "claude-title-idle"));
    assert_eq!(world.see(1_200, Observation::Foreground(Some(&again))), None, "the same one");
}

/// An agent of the settings, of which nothing is known but its program.
#[test]
fn output_that_goes_on_is_work_until_it_pauses() {
    let agent = json!({ "name": "mine", "programs": ["mine"] });
    let settings: Settings = serde_json::from_value(json!({ "agents": [agent] })).unwrap();
    let mut world = World::new(Arc::new(Rules::new(&settings).unwrap()));
    let mine = process(&world.rules, 7, &["mine"]);
    world.see(0, Observation::Foreground(Some(&mine)));
    for at in [0, 400, 800] {
        assert_eq!(world.see(at, Observation::Output), None, "an echo is not work");
    }
    assert_eq!(world.settled(1_200, Observation::Output), said(Status::Busy, "output"));
    // The screen is less trusted than output that goes on.
    assert_eq!(world.see(1_300, Observation::Tail("Waiting for your next message")), None);
    assert_eq!(world.due(1_300), Some(1_900));
    assert_eq!(world.see(3_200, Observation::Nothing), None);
    assert_eq!(world.said(3_500, Observation::Nothing), said(Status::Idle, "orchestrator-ready"));
    assert_eq!(world.see(9_000, Observation::Output), None, "a single one is not work");
}

#[test]
fn the_words_of_the_orchestrator_count_where_nothing_better_is_known() {
    for (tail, status, rule) in [
        ("Waiting for your next message", Status::Idle, "orchestrator-ready"),
        ("Executing step 2", Status::Busy, "orchestrator-busy"),
        ("An Error happened\n> ", Status::Error, "orchestrator-error"),
        ("an error\nwaiting for your next message", Status::Idle, "orchestrator-ready"),
    ] {
        let mut world = World::with("gemini");
        let at_once = world.said(0, Observation::Tail(tail));
        assert_eq!(at_once.or_else(|| world.said(50, Observation::Nothing)), said(status, rule), "{tail}");
    }
    let mut world = World::with("gemini");
    assert_eq!(world.see(0, Observation::Tail("error\n1\n2\n3\n4\n5")), None, "only the last five lines");
}

#[test]
fn an_explanation_says_what_was_held_what_was_tried_and_what_decided() {
    let mut world = World::with("claude");
    world.see(0, Observation::Title("✳ Fix the tests"));
    world.see(100, Observation::Tail("Do you want to proceed?\n Esc to cancel"));
    world.see(5_000, Observation::Title("⠂ Fix the tests"));
    let value: Value = serde_json::to_value(world.explain(5_100)).unwrap();
    assert_eq!(
        value["summary"],
        "claude is waiting; rule `claude-title-busy` says busy by the title; busy is said in 200 ms if that stays"
    );
    assert_eq!((&value["agent"], &value["pid"], &value["status"]), (&json!("claude"), &json!(7), &json!("waiting")));
    assert_eq!(value["status_age_ms"], 5_000);
    assert_eq!(value["pending"], json!({ "status": "busy", "in_ms": 200 }));
    let regions: Vec<&str> =
        value["regions"].as_array().unwrap().iter().map(|r| r["region"].as_str().unwrap()).collect();
    assert_eq!(regions, ["osc", "title", "output", "tail"]);
    let title = &value["regions"][1];
    assert_eq!((&title["text"], &title["age_ms"]), (&json!("⠂ Fix the tests"), &json!(100)));
    assert_eq!(
        title["tried"][0],
        json!({ "rule": "claude-title-idle", "state": "idle", "priority": 0, "matched": false, "expired": false })
    );
    assert_eq!(title["tried"][1]["matched"], true);
    assert_eq!(value["regions"][2]["ignored"], "this agent prints while it waits, too (`output_means_busy`)");
    let tail = &value["regions"][3];
    assert_eq!(tail["text"], "Do you want to proceed?\n Esc to cancel");
    assert_eq!(tail["ignored"], "something was said since, and the screen was not read again");
    assert_eq!(tail["tried"][0]["refines"], "idle");

    world.see(6_000, Observation::Title("✳ Fix the tests"));
    world.see(6_001, Observation::Tail(" Esc to cancel"));
    let explained = world.explain(6_002);
    assert_eq!(
        explained.summary,
        "claude is waiting; rule `claude-asks` says waiting by the tail; that is more exact than: rule \
         `claude-title-idle` says idle by the title"
    );
}

#[test]
fn nothing_is_kept_without_bound() {
    let mut world = World::with("claude");
    let long = "✳".repeat(100_000);
    world.see(0, Observation::Title(&long));
    for code in 0..1_000 {
        world.see(1, Observation::Osc(code, &long));
    }
    world.see(2, Observation::Tail(&"line of text\n".repeat(100_000)));
    let bytes: usize = world.explain(3).regions.iter().filter_map(|heard| heard.text.as_ref()).map(String::len).sum();
    assert!(bytes < 32 * 1024, "{bytes}");
}
