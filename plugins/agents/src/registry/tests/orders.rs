//! What clients command and report.

use super::*;
use crate::matching::{Capability, Requirement};
use serde_json::{Value, json};

fn able(name: &str, proficiency: f64) -> Vec<Capability> {
    vec![Capability { name: name.into(), proficiency: Some(proficiency), learning_rate: None }]
}

fn agent(world: &mut World, id: &str, proficiency: f64) -> AgentId {
    let new = NewAgent { id: Some(id.into()), capabilities: able("sql", proficiency), ..NewAgent::default() };
    let now = world.now();
    world.registry.create_agent(new, now).unwrap()
}

fn task(world: &mut World, id: &str, least: f64) -> usize {
    let requires = vec![Requirement { name: "sql".into(), min_proficiency: Some(least) }];
    let now = world.now();
    let new = NewTask { id: Some(id.into()), requires, ..NewTask::default() };
    world.registry.create_task(new, now).unwrap().1
}

fn report(world: &mut World, kind: &str, data: &Value) -> Result<(), Refusal> {
    let now = world.now();
    world.registry.report_strictly(kind, data.as_object().cloned().unwrap(), now)
}

fn by_hook(world: &mut World, kind: &str, data: &Value) {
    let data = data.as_object().cloned().unwrap();
    let what = What::Report { kind: kind.into(), data };
    world.hears(&Signal { agent: claude("report"), task: None, what, at: None }, &Place::default());
}

#[test]
fn a_task_goes_to_the_idle_agent_that_is_best_at_it() {
    let mut world = World::new();
    agent(&mut world, "good", 0.7);
    agent(&mut world, "better", 0.9);
    world.happened();
    assert_eq!(task(&mut world, "one", 0.6), 2);
    assert_eq!(world.happened(), ["task_created", "task_assigned"]);
    assert_eq!(world.registry.task("one").unwrap().agent.as_deref(), Some("better"));
    assert_eq!(task(&mut world, "two", 0.8), 1, "how many could, not how many are free");
    assert_eq!(world.happened(), ["task_created"]);
    report(&mut world, "task_started", &json!({ "task_id": "one" })).unwrap();
    report(&mut world, "task_completed", &json!({ "task_id": "one", "result": { "rows": 3 } })).unwrap();
    let happened = world.happened();
    assert_eq!(happened[..2], ["task_started", "idle > active"]);
    assert_eq!(happened.last().unwrap(), "task_assigned", "the next one, as soon as it is free: {happened:?}");
}

#[test]
fn an_invalid_move_is_refused_with_the_allowed_ones_and_changes_nothing() {
    let mut world = World::new();
    task(&mut world, "one", 0.5);
    world.happened();
    let refused = report(&mut world, "task_completed", &json!({ "task_id": "one" })).unwrap_err();
    let Refusal::Impossible(refused) = refused else { panic!("{refused:?}") };
    assert_eq!((refused.from, refused.allowed), ("pending", vec!["task_assigned", "task_cancelled"]));
    assert!(world.happened().is_empty());
    let unknown = report(&mut world, "task_started", &json!({ "task_id": "two" })).unwrap_err();
    assert_eq!(unknown, Refusal::Unknown("task", "two".into()));
    let Refusal::Unlisted { allowed, .. } = report(&mut world, "task_paused", &json!({})).unwrap_err() else {
        panic!()
    };
    assert!(allowed.contains(&"task_started") && allowed.contains(&"learning_cycle_started"));
    let refused = report(&mut world, "hive_status_update", &json!({})).unwrap_err();
    assert!(matches!(refused, Refusal::Invalid(_)), "two truths: {refused:?}");
}

#[test]
fn a_retry_that_was_announced_starts_again_and_no_other() {
    let mut world = World::new();
    agent(&mut world, "a", 0.9);
    task(&mut world, "one", 0.5);
    world.registry.take();
    let started = json!({ "task_id": "one" });
    let failed = |retry: bool| json!({ "task_id": "one", "error": { "code": "X" }, "retry_scheduled": retry });
    report(&mut world, "task_started", &started).unwrap();
    report(&mut world, "task_failed", &failed(true)).unwrap();
    assert_eq!((world.registry.counts().open(), world.registry.counts().failed), (1, 0));
    report(&mut world, "task_started", &started).unwrap();
    assert_eq!(world.registry.task("one").unwrap().attempt, 2);
    report(&mut world, "task_failed", &failed(false)).unwrap();
    assert_eq!((world.registry.counts().open(), world.registry.counts().failed), (0, 1));
    report(&mut world, "task_started", &started).unwrap_err();
}

#[test]
fn a_removed_agent_passes_on_what_it_had_not_begun() {
    let mut world = World::new();
    agent(&mut world, "a", 0.9);
    task(&mut world, "one", 0.5);
    world.registry.take();
    agent(&mut world, "b", 0.6);
    let now = world.now();
    world.registry.take();
    world.registry.remove_agent("a", "manual_removal", "me", now).unwrap();
    let changes = world.registry.take();
    let events: Vec<_> = changes.iter().flat_map(crate::emit::events).collect();
    assert_eq!((events[0].kind, &events[0].data["agent_id"]), ("task_assigned", &json!("b")));
    assert_eq!(events[1].data["cleanup_summary"]["tasks_reassigned"], 1);
    world.registry.remove_agent("b", "manual_removal", "me", now).unwrap();
    let changes = world.registry.take();
    let cancelled = changes.iter().flat_map(crate::emit::events).next().unwrap();
    assert_eq!((cancelled.kind, &cancelled.data["cancelled_by"]), ("task_cancelled", &json!("me")));
}

#[test]
fn by_hook_a_report_is_taken_as_far_as_it_can_be() {
    let mut world = World::new();
    by_hook(&mut world, "task_progress", &json!({ "task_id": "t", "agent_id": "a", "progress": 0.5 }));
    let expected = [
        "task_created (inferred)",
        "agent_created (inferred)",
        "task_assigned (inferred)",
        "task_started (inferred)",
        "task_progress",
        "idle > active",
    ];
    assert_eq!(world.happened(), expected);
    by_hook(&mut world, "task_completed", &json!({ "task_id": "t", "agent_id": "a" }));
    assert_eq!(world.happened(), ["task_completed", "agent_performance_updated", "active > idle"]);
    by_hook(&mut world, "task_failed", &json!({ "task_id": "t", "agent_id": "a" }));
    assert!(world.happened().is_empty(), "what is final stays final");
    by_hook(&mut world, "no_such_thing", &json!({}));
    by_hook(&mut world, "task_progress", &json!({}));
    assert_eq!(world.registry.unused(), 2);
}

#[test]
fn what_changes_nothing_here_is_passed_on_in_its_shape() {
    let mut world = World::new();
    let cycle = json!({
        "cycle_id": "c", "agent_id": "a", "improvements": { "sql_proficiency": { "old_value": 0.5, "new_value": 0.75, "improvement": 0.25 } },
        "duration_ms": 5, "timestamp": "2026-11-20T11:00:00Z",
    });
    agent(&mut world, "a", 0.5);
    world.happened();
    report(&mut world, "learning_cycle_completed", &cycle).unwrap();
    let changes = world.registry.take();
    let event = changes.iter().flat_map(crate::emit::events).next().unwrap();
    assert_eq!((event.channel, event.kind), ("learning", "learning_cycle_completed"));
    assert_eq!(event.data["timestamp"], "2026-11-20T11:00:00.000000Z");
    assert_eq!(event.data["duration_ms"], 5);
    let learned = world.registry.agent("a").unwrap();
    assert_eq!((learned.capabilities[0].proficiency, learned.performance.improvements), (Some(0.75), Some(1)));
    let refused = report(&mut world, "error_occurred", &json!({ "error_id": "e" })).unwrap_err();
    assert_eq!(refused, Refusal::Invalid("`component` is a text that must be there".into()));
    let alert = json!({ "level": "critical", "title": "t", "message": "m", "details": { "x": 1 } });
    report(&mut world, "system_alert", &alert).unwrap();
    assert_eq!(world.registry.alerts().count(), 1);
    world.pass(Duration::from_mins(10));
    assert_eq!(world.registry.alerts().count(), 0);
}
