//! Turns as emitters tell of them.

use super::*;
use crate::signal::{Done, Step, TaskStep, Wait};

const BEGUN: [&str; 4] = ["task_created", "task_assigned", "task_started", "idle > active"];
const DONE: [&str; 3] = ["task_completed", "agent_performance_updated", "active > idle"];

fn step(done: bool) -> What {
    let done = done.then(|| Done { ok: Some(true), took: Some(Duration::from_millis(5)) });
    What::Step(Step { name: "Bash".into(), id: Some("toolu_1".into()), done })
}

#[test]
fn a_turn_is_a_task_and_its_end_is_told_when_nothing_contradicts_it() {
    let mut world = World::new();
    world.says("s", None, What::Started { resumed: false });
    assert_eq!(world.happened(), ["agent_created"]);
    world.says("s", Some("p1"), prompt());
    assert_eq!(world.happened(), BEGUN);
    world.says("s", Some("p1"), step(false));
    world.says("s", Some("p1"), step(true));
    assert_eq!(world.happened(), ["task_progress", "task_progress"]);
    world.clock += Duration::from_secs(3);
    world.says("s", Some("p1"), STOP);
    assert!(world.happened().is_empty(), "not before the time is over");
    world.pass(Duration::from_millis(749));
    assert!(world.happened().is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.happened(), DONE);
    let performance = world.registry.agent("claude:s").unwrap().performance;
    assert_eq!(
        performance.average_response_time_ms(),
        Some(3_000.0),
        "from the prompt to the stop, not to its telling"
    );
    assert_eq!(performance.success_rate(), Some(1.0));
}

/// A `Stop` hook may send the agent on.
#[test]
fn an_agent_that_goes_on_has_not_stopped() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.happened();
    world.says("s", Some("p1"), STOP);
    world.clock += Duration::from_millis(500);
    world.says("s", Some("p1"), step(false));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.happened(), ["task_progress"]);
    assert_eq!(world.status("claude:s"), Some("active"));
    world.says("s", Some("p1"), STOP);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.happened(), DONE);
}

/// Hooks run side by side: the end of the last tool may be told after the end of the turn.
#[test]
fn the_late_end_of_a_step_contradicts_nothing() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.says("s", Some("p1"), STOP);
    world.happened();
    world.clock += Duration::from_millis(1);
    world.says("s", Some("p1"), step(true));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.happened()[1..], DONE);
    world.says("s", Some("p1"), step(true));
    world.says("s", Some("p1"), prompt());
    world.says("s", Some("p1"), STOP);
    assert!(world.happened().is_empty(), "what is final stays final");
}

#[test]
fn the_next_prompt_settles_the_turn_before_it() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.says("s", Some("p1"), STOP);
    world.happened();
    world.says("s", Some("p2"), prompt());
    assert_eq!(world.happened(), [&DONE[..], &BEGUN[..]].concat());
    world.says("s", Some("p3"), prompt());
    let next = world.happened();
    assert_eq!(next[0], "task_cancelled (inferred)", "nobody said how the second one ended: {next:?}");
    assert_eq!(world.status("claude:s"), Some("active"));
}

#[test]
fn what_was_missed_is_synthesised_and_says_so() {
    let mut world = World::new();
    world.says("s", Some("p1"), step(false));
    let synthesised =
        ["agent_created (inferred)", "task_created (inferred)", "task_assigned (inferred)", "task_started (inferred)"];
    assert_eq!(world.happened(), [&synthesised[..], &["task_progress", "idle > active"]].concat());
    world.says("s", Some("p1"), STOP);
    world.pass(Duration::from_secs(1));
    let changes = world.registry.take();
    let completed = changes.iter().flat_map(crate::emit::events).find(|event| event.kind == "task_completed").unwrap();
    assert!(completed.data.get("execution_time_ms").is_none(), "nobody saw it begin: {}", completed.data);
    let performance = world.registry.agent("claude:s").unwrap().performance;
    assert_eq!(performance.average_response_time_ms(), None);
}

#[test]
fn waiting_for_a_permission_begins_and_ends() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.happened();
    world.says("s", Some("p1"), What::Waiting(Wait::Permission { step: Some("Bash".into()) }));
    let changes = world.registry.take();
    let events: Vec<_> = changes.iter().flat_map(crate::emit::events).collect();
    assert_eq!((&events[0].data["reason"], &events[0].data["step"]), (&"permission".into(), &"Bash".into()));
    world.says("s", Some("p1"), step(true));
    assert_eq!(world.happened(), ["task_progress", "waiting > active"]);
    world.says("s", Some("p1"), STOP);
    world.pass(Duration::from_secs(1));
    world.happened();
    world.says("s", None, What::Waiting(Wait::Prompt));
    world.says("s", None, What::Waiting(Wait::Attention));
    assert!(world.happened().is_empty(), "an idle agent that waits for its next prompt is idle");
}

#[test]
fn a_failed_turn_is_told_at_once_and_the_agent_with_it() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.happened();
    let failed = Ended::Failed { code: Some("rate_limit".into()), message: None };
    world.says("s", Some("p1"), What::Turn(failed));
    assert_eq!(world.happened(), ["task_failed", "agent_performance_updated", "active > failed"]);
    world.says("s", Some("p2"), prompt());
    assert_eq!(world.happened().last().unwrap(), "failed > active");
    world.says("s", Some("p2"), What::Turn(Ended::Interrupted));
    assert_eq!(world.happened(), ["task_cancelled", "agent_performance_updated", "active > idle"]);
}

/// Harm prevented: an agent whose task a client has given up is shown at work until somebody prompts it again.
#[test]
fn an_agent_whose_task_was_given_up_works_until_it_says_so() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    let now = world.now();
    world.registry.cancel_task("claude:s:p1", "manual", "me", now).unwrap();
    world.happened();
    world.clock += Duration::from_secs(1);
    world.says("s", Some("p1"), step(true));
    assert_eq!(world.status("claude:s"), Some("active"), "nobody has stopped it");
    world.says("s", Some("p1"), STOP);
    assert_eq!(world.happened(), ["active > idle"]);
    world.says("s", Some("p2"), prompt());
    world.says("s", Some("p1"), STOP);
    assert_eq!(world.status("claude:s"), Some("active"), "the same end, told again");
}

#[test]
fn log_records_of_the_past_do_not_change_the_present() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.clock += Duration::from_secs(1);
    world.says("s", Some("p1"), What::Waiting(Wait::Permission { step: None }));
    world.happened();
    let past = std::time::SystemTime::from(World::start());
    for what in [What::Working, step(true)] {
        let late = Signal { agent: claude("s"), task: None, what, at: Some(past) };
        world.hears(&late, &Place::default());
    }
    assert_eq!(world.happened(), ["task_progress"]);
    assert_eq!(world.status("claude:s"), Some("waiting"));
}

#[test]
fn a_child_works_for_the_agent_that_started_it_and_goes_with_it() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.happened();
    let child = AgentRef { parent: Some("s".into()), kind: Some("Explore".into()), ..claude("c1") };
    let said = |what| Signal { agent: child.clone(), task: None, what, at: None };
    world.hears(&said(What::Started { resumed: false }), &Place::default());
    assert_eq!(world.happened(), ["agent_created", "idle > active"]);
    let agent = world.registry.agent("claude:c1").unwrap();
    assert_eq!((agent.kind.as_deref(), agent.parent.as_deref()), (Some("Explore"), Some("claude:s")));
    world.hears(&said(step(false)), &Place::default());
    let changes = world.registry.take();
    let progress = changes.iter().flat_map(crate::emit::events).find(|event| event.kind == "task_progress").unwrap();
    assert_eq!((&progress.data["task_id"], &progress.data["child_id"]), (&"claude:s:p1".into(), &"claude:c1".into()));
    world.hears(&said(step(true)), &Place::default());
    assert_eq!(world.status("claude:c1"), Some("active"));
    world.happened();
    world.says("s", None, What::Gone { reason: None });
    let gone = world.happened();
    assert_eq!(gone, ["agent_removed", "task_failed", "agent_performance_updated", "agent_removed"]);
    world.hears(&said(step(true)), &Place::default());
    assert!(world.happened().is_empty(), "a late hook brings nobody back");
}

#[test]
fn a_task_beside_the_turns_has_a_life_of_its_own() {
    let mut world = World::new();
    let said = |step| What::Task(step);
    world.says("s", Some("t"), said(TaskStep::Created { description: Some("tidy up".into()) }));
    assert_eq!(world.happened(), ["agent_created (inferred)", "task_created"]);
    world.says("s", Some("t"), said(TaskStep::Started));
    assert_eq!(world.happened(), ["task_assigned (inferred)", "task_started", "idle > active"]);
    world.says("s", Some("t"), said(TaskStep::Waiting(Wait::Answer)));
    assert_eq!(world.happened(), ["active > waiting"]);
    world.says("s", Some("t"), said(TaskStep::Ended(Ended::Completed)));
    assert_eq!(world.happened(), ["task_completed", "agent_performance_updated", "waiting > idle"]);
}

/// Prompts of two agents may have the same number; ids in events are unique.
#[test]
fn tasks_of_two_agents_do_not_mix() {
    let mut world = World::new();
    world.says("a", Some("1"), prompt());
    world.says("b", Some("1"), prompt());
    let uuid = "8e3436e5-fab0-4ed0-8a20-1ea12f9a3f33";
    world.says("c", Some(uuid), prompt());
    world.says("d", Some(uuid), prompt());
    let ids: Vec<&str> = world.registry.tasks().map(|task| &*task.id).collect();
    let long = format!("claude:d:{uuid}");
    assert_eq!(ids, [uuid, "claude:a:1", "claude:b:1", &long]);
}

/// Harm prevented: people go to an agent and do not know what they are to allow, or read the name of a tool that has ended.
#[test]
fn the_tool_that_waits_to_be_allowed_is_the_one_that_was_named_or_else_the_one_that_has_begun() {
    let wait = |step: Option<&str>| What::Waiting(Wait::Permission { step: step.map(Into::into) });
    let step = |name: &str, done: bool| {
        What::Step(Step { name: name.into(), id: None, done: done.then(crate::signal::Done::default) })
    };
    let waits = |whats: &[What]| {
        let mut world = World::new();
        world.says("s", Some("p"), prompt());
        for what in whats {
            world.says("s", Some("p"), what.clone());
        }
        let agent = world.registry.agent("claude:s").unwrap();
        (agent.reason.clone().unwrap_or_default(), agent.waits_for.clone())
    };
    let is = |reason: &str, tool: Option<&str>| (reason.to_owned(), tool.map(str::to_owned));
    assert_eq!(waits(&[step("Bash", false), wait(None)]), is("permission", Some("Bash")));
    assert_eq!(waits(&[step("Read", false), wait(Some("Bash"))]), is("permission", Some("Bash")));
    assert_eq!(waits(&[wait(Some("Bash"))]), is("permission", Some("Bash")), "a tool of which no step was told");
    assert_eq!(waits(&[step("Read", false), step("Read", true), wait(None)]), is("permission", None));
    assert_eq!(waits(&[wait(None), wait(Some("Bash"))]), is("permission", Some("Bash")), "told twice, in this order");
    let asks = What::Waiting(Wait::Answer);
    assert_eq!(waits(&[step("AskUserQuestion", false), wait(None), asks.clone()]), is("answer", None));
    assert_eq!(waits(&[asks, wait(None)]), is("answer", None), "the question is also told as a permission");
    assert_eq!(waits(&[wait(Some("Bash")), step("Bash", true)]), is("step", None), "allowed");
}
