//! What clients command and report.

use super::{schema, *};
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

/// Every place within a value, with another value there.
fn with_another(value: &Value, other: &Value) -> Vec<Value> {
    let within = value.as_object().into_iter().flatten().flat_map(|(key, inner)| {
        let replace = |inner: Value| {
            let mut whole = value.clone();
            whole[key] = inner;
            whole
        };
        with_another(inner, other).into_iter().map(replace).collect::<Vec<_>>()
    });
    within.chain([other.clone()]).collect()
}

/// Harm prevented: whoever reads a documented event meets a text where a number stands.
#[test]
fn what_is_passed_on_has_its_documented_kinds_whatever_is_reported() {
    let examples = schema::examples();
    assert!(examples.as_object().is_some_and(|examples| examples.len() >= 8), "{examples}");
    for (kind, example) in examples.as_object().unwrap() {
        for other in [json!(null), json!(-1), json!(0.5), json!("x"), json!([7]), json!({ "x": 1 }), json!(true)] {
            for data in with_another(example, &other).iter().filter(|data| data.is_object()) {
                let mut world = World::new();
                let strictly = report(&mut world, kind, data);
                by_hook(&mut world, kind, data);
                let changes = world.registry.take();
                for event in changes.iter().flat_map(crate::emit::events).filter(|event| event.kind == kind) {
                    schema::check_kinds(kind, &event.data);
                }
                assert!(strictly.is_ok() || strictly.unwrap_err().to_string().starts_with('`'), "{kind}: {data}");
            }
        }
    }
    let mut world = World::new();
    let wrong = json!({ "resource": "disk", "usage_percent": 85, "threshold_percent": 80, "trend": "stable", "recommendations": 7 });
    let refused = report(&mut world, "resource_alert", &wrong).unwrap_err();
    assert_eq!(refused, Refusal::Invalid("`recommendations` is a list of texts".into()));
    by_hook(&mut world, "resource_alert", &wrong);
    let event = world.registry.take().iter().flat_map(crate::emit::events).next().unwrap();
    assert_eq!(event.data.get("recommendations"), None, "as far as it is understood");
}

/// Harm prevented: the bus takes no key of more than 128 bytes, so such an agent had no snapshot, and no restart knew it.
#[test]
fn ids_fit_the_keys_of_snapshots() {
    let mut world = World::new();
    let now = world.now();
    for id in [String::new(), "x".repeat(129)] {
        let agent = NewAgent { id: Some(id.clone()), ..NewAgent::default() };
        let refused = world.registry.create_agent(agent, now).unwrap_err();
        assert_eq!(refused, Refusal::Invalid("`id` has 1 to 128 bytes".into()));
        let task = NewTask { id: Some(id), ..NewTask::default() };
        assert_eq!(world.registry.create_task(task, now).unwrap_err(), refused);
    }
    by_hook(&mut world, "task_progress", &json!({ "task_id": "x".repeat(129), "agent_id": "a" }));
    assert!(world.registry.unused() == 1 && world.happened().is_empty());
    let long = "s".repeat(250);
    for session in [format!("{long}1"), format!("{long}2")] {
        world.says(&session, Some(&long), prompt());
        world.says(&session, Some(&long), STOP);
        world.says(&session, None, prompt());
    }
    assert_eq!((world.registry.agents().count(), world.registry.tasks().count()), (2, 4), "two stay two");
    for event in world.registry.take().iter().flat_map(crate::emit::events) {
        let (crate::emit::Keep::As(key) | crate::emit::Keep::Forget(key)) = event.keep else { continue };
        assert!(key.len() <= 128, "{key}");
    }
    let name = NewAgent { name: Some("x".repeat(9_999)), ..NewAgent::default() };
    let id = world.registry.create_agent(name, now).unwrap();
    assert_eq!(world.registry.agent(&id).unwrap().name.len(), signals::TEXT);
}
