//! The source's next life: it knows what the last one knew.

use crate::world::{Program, World, claude};
use headwater_testkit::prelude::*;
use std::time::Duration;

#[tokio::test]
async fn a_restart_loses_no_agent_and_notices_who_died_meanwhile() {
    let (alive, dead) = (Program::new(), Program::new());
    let mut world = World::new(json!({})).await;
    for (session, program) in [("alive", &alive), ("dead", &dead)] {
        world.hook_from("claude", claude(session, "SessionStart", json!({})), program.place()).await;
        let prompt = claude(session, "UserPromptSubmit", json!({ "prompt_id": "p" }));
        world.hook_from("claude", prompt, program.place()).await;
    }
    world.run.command("create_task", json!({ "id": "open", "description": "tidy up" })).await.completed();
    world.claude("gone", "SessionStart", json!({})).await;
    world.claude("gone", "SessionEnd", json!({ "reason": "logout" })).await;
    let mut past = Vec::new();
    loop {
        let event = world.run.next_event().await;
        let last = event.kind == "agent_removed";
        past.push(event);
        if last {
            break;
        }
    }
    let dead_then = world.agents().await.into_iter().find(|agent| agent["id"] == "claude:gone");
    let went = dead_then.unwrap()["since"].clone();
    assert_eq!(world.run.stop().await, Outcome::Stopped);
    past.extend(world.run.events());
    drop(world);
    dead.end();

    let mut world = World::after(json!({}), &past).await;
    let failed = world.next("task_failed").await;
    assert_eq!((&failed.data["task_id"], failed.evidence), (&json!("claude:dead:p"), Some(Evidence::Polled)));
    let agents = world.agents().await;
    let of = |id: &str| agents.iter().find(|agent| agent["id"] == id).cloned();
    let left = of("claude:alive").unwrap();
    assert_eq!((&left["status"], &left["task"]["id"]), (&json!("active"), &json!("claude:alive:p")));
    assert_eq!(of("claude:dead").unwrap()["status"], "dead");
    // Those that had gone before are told of as long as if there had been no restart.
    let gone = of("claude:gone").unwrap();
    assert_eq!((&gone["status"], &gone["reason"], &gone["since"]), (&json!("dead"), &json!("logout"), &went));
    let status = world.run.command("get_status", json!({})).await.completed();
    let tasks = status["tasks"].as_array().unwrap();
    assert!(tasks.iter().any(|task| task["id"] == "open" && task["description"] == "tidy up"), "{tasks:?}");
    // And it is watched as before.
    alive.end();
    assert_eq!(world.next("agent_removed").await.data["agent_id"], "claude:dead");
    assert_eq!(world.next("agent_removed").await.data["agent_id"], "claude:alive");
}

/// Those that are told of as dead are forgotten when their time has come, however often the source was started meanwhile.
#[tokio::test]
async fn a_restart_prolongs_nothing() {
    let mut world = World::new(json!({ "remember": "1m" })).await;
    for session in ["long_ago", "lately"] {
        world.claude(session, "SessionStart", json!({})).await;
        world.claude(session, "SessionEnd", json!({})).await;
    }
    let mut past = Vec::new();
    while past.iter().filter(|event: &&TestEvent| event.kind == "agent_removed").count() < 2 {
        past.push(world.run.next_event().await);
    }
    for event in &mut past {
        let seconds = if event.data.to_string().contains("long_ago") { 61 } else { 5 };
        event.time = event.time.map(|time| time - Duration::from_secs(seconds));
    }
    let mut world = World::after(json!({ "remember": "1m" }), &past).await;
    let ids: Vec<Value> = world.agents().await.iter().map(|agent| agent["id"].clone()).collect();
    assert_eq!(ids, [json!("claude:lately")]);
}

/// Whoever may publish could otherwise plant agents for the next start.
#[tokio::test]
async fn what_clients_publish_is_not_taken_for_the_past() {
    let mut run = Testkit::start::<headwater_plugin_agents::Agents>(json!({}));
    run.subscribed(1).await;
    let planted = json!({
        "id": "planted", "name": "planted", "emitter": "client", "status": "idle", "evidence": "observed",
        "since": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T00:00:00Z",
        "capabilities": [],
    });
    run.deliver(BusEvent::new("agent", "agent_state", &planted).source("client")).await;
    let mut genuine = planted.clone();
    genuine["id"] = json!("genuine");
    run.deliver(BusEvent::new("agent", "agent_state", &genuine).source("agents")).await;
    for _ in 0..2 {
        let mark = run.next_event_where("a mark", |event| event.kind == "registry.opened").await;
        run.deliver(BusEvent::new(&mark.channel, &mark.kind, &mark.data)).await;
    }
    let status = run.command("get_status", json!({})).await.completed();
    let ids: Vec<&Value> = status["agents"].as_array().unwrap().iter().map(|agent| &agent["id"]).collect();
    assert_eq!(ids, [&json!("genuine")]);
}

/// Hooks that came while the source was away are asked for.
#[tokio::test]
async fn hooks_are_read_from_where_the_last_life_ended() {
    let mut world = World::new(json!({})).await;
    let asked = world.run.subscriptions();
    let from = |asked: &[Value]| {
        let hooks = asked.iter().find(|request| request["channels"] == json!(["agent_hooks"])).unwrap();
        hooks["from"]["time"].as_str().unwrap().to_owned()
    };
    assert_eq!(from(&asked), "10s");
    world.claude("s", "SessionStart", json!({})).await;
    let state = world.run.next_event_where("a snapshot", |event| event.kind == "agent_state").await;
    let world = World::after(json!({}), std::slice::from_ref(&state)).await;
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time(&from(&world.run.subscriptions())), time(state.data["last_seen"].as_str().unwrap()));
}

/// The last hook before a restart is read again: its turn was told as another one, which had begun and ended unseen.
#[tokio::test]
async fn a_turn_that_has_ended_is_not_told_again_after_a_restart() {
    let mut world = World::new(json!({ "settle": "1ms" })).await;
    let stop = claude("s", "Stop", json!({ "prompt_id": "p" }));
    world.claude("s", "UserPromptSubmit", json!({ "prompt_id": "p" })).await;
    world.hook("claude", stop.clone()).await;
    let mut past = Vec::new();
    while !past.iter().any(|event: &TestEvent| event.kind == "agent_state" && event.data["status"] == "idle") {
        past.push(world.run.next_event().await);
    }
    let mut world = World::after(json!({ "settle": "1ms" }), &past).await;
    world.hook("claude", stop).await;
    world.claude("s", "UserPromptSubmit", json!({ "prompt_id": "q" })).await;
    let next = world.run.next_event_where("a task", |event| event.kind == "task_created").await;
    assert_eq!(next.data["task"]["id"], "claude:s:q", "the one that ended is not told again");
}
