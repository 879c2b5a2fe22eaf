//! How agents come and go.

use super::*;
use crate::signal::{Ancestor, TmuxPlace};

fn place(pid: u32) -> Place {
    let process = |pid, name: &str| Ancestor { pid, started: 7, name: name.into() };
    Place { processes: vec![process(pid + 1, "sh"), process(pid, "claude"), process(2, "zsh")], ..Place::default() }
}

fn started(session: &str) -> Signal {
    Signal { agent: claude(session), task: None, what: What::Started { resumed: false }, at: None }
}

#[test]
fn a_process_that_ends_takes_the_agent_and_its_open_task_with_it() {
    let mut world = World::new();
    world.hears(&started("s"), &place(40));
    let process = Process { pid: 40, started: 7 };
    assert_eq!(world.registry.take_watches(), [("claude:s".to_owned().into(), process)]);
    world.says("s", Some("p1"), prompt());
    world.happened();
    let now = world.now();
    let id = "claude:s".to_owned().into();
    world.registry.exited(&id, Process { started: 8, ..process }, Evidence::Observed, now);
    assert!(world.happened().is_empty(), "another process has that id now");
    world.registry.exited(&id, process, Evidence::Observed, now);
    let changes = world.registry.take();
    let events: Vec<_> = changes.iter().flat_map(crate::emit::events).collect();
    let failed = events.iter().find(|event| event.kind == "task_failed").unwrap();
    assert_eq!(failed.data["error"]["code"], "AGENT_EXITED");
    let alert = events.iter().find(|event| event.kind == "system_alert").unwrap();
    assert_eq!(alert.data["details"]["affected_components"], serde_json::json!(["claude:s"]));
    let dead = world.registry.dead().next().unwrap();
    assert_eq!((&*dead.agent.id, dead.reason.as_str()), ("claude:s", "process_exited"));
    assert_eq!(world.registry.counts().open(), 0);
    world.pass(Duration::from_mins(10));
    assert!(world.registry.dead().next().is_none() && world.registry.tasks().next().is_none(), "forgotten by then");
}

/// Codex has its model make a title in a session of its own, and `notify` tells of the end of that too: it took the place of
/// the agent, whose turn then had failed.
#[test]
fn the_end_of_a_turn_in_another_session_of_the_process_is_no_other_agent() {
    let mut world = World::new();
    world.hears(&started("s"), &place(40));
    let said =
        |session: &str, task: &str, what| Signal { agent: claude(session), task: Some(task.into()), what, at: None };
    world.hears(&said("s", "p1", prompt()), &place(40));
    world.happened();
    world.hears(&said("title", "p2", STOP), &place(40));
    world.pass(Duration::from_secs(1));
    assert!(world.happened().is_empty() && world.status("claude:s") == Some("active"));
    world.hears(&said("s", "p1", STOP), &place(40));
    world.hears(&said("title", "p3", STOP), &place(40));
    world.pass(Duration::from_secs(1));
    world.hears(&said("title", "p4", STOP), &place(40));
    assert_eq!(world.happened(), ["task_completed", "agent_performance_updated", "active > idle"]);
    // Where only ends are told, each counts, and the process is the agent.
    for (session, task) in [("title", "q1"), ("t", "q2"), ("t", "q3")] {
        world.hears(&said(session, task, STOP), &place(50));
        world.pass(Duration::from_secs(1));
    }
    let happened = world.happened();
    let count = |kind: &str| happened.iter().filter(|happened| happened.starts_with(kind)).count();
    assert_eq!((count("agent_created"), count("agent_removed"), count("task_completed")), (1, 0, 3), "{happened:?}");
}

/// `claude -p` ends at once after its turn: the turn was completed all the same.
#[test]
fn a_turn_that_had_stopped_is_completed_when_the_process_ends() {
    let mut world = World::new();
    world.hears(&started("s"), &place(40));
    world.says("s", Some("p1"), prompt());
    world.says("s", Some("p1"), STOP);
    world.happened();
    let now = world.now();
    world.registry.exited(&"claude:s".to_owned().into(), Process { pid: 40, started: 7 }, Evidence::Observed, now);
    let happened = world.happened();
    assert_eq!(happened[0], "task_completed");
    assert!(!happened.contains(&"system_alert".to_owned()), "{happened:?}");
}

#[test]
fn who_says_good_bye_is_no_alarm() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.happened();
    world.says("s", None, What::Gone { reason: Some("prompt_input_exit".into()) });
    assert_eq!(world.happened(), ["task_failed", "agent_performance_updated", "agent_removed"]);
    world.says("s", None, What::Gone { reason: None });
    world.says("s", None, What::Heartbeat);
    assert!(world.happened().is_empty());
    world.clock += Duration::from_secs(1);
    world.hears(&started("s"), &Place::default());
    assert_eq!(world.happened(), ["agent_created"], "a session that is taken up again");
    assert!(world.registry.dead().next().is_none());
}

#[test]
fn a_log_record_of_a_beginning_that_is_past_brings_nobody_back() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    world.clock += Duration::from_secs(1);
    world.says("s", None, What::Gone { reason: None });
    world.happened();
    world.clock += Duration::from_secs(5);
    let at = Some(std::time::SystemTime::from(World::start()));
    let late = Signal { agent: claude("s"), task: Some("p1".into()), what: prompt(), at };
    world.hears(&late, &Place::default());
    assert!(world.happened().is_empty());
}

#[test]
fn who_reports_heartbeats_and_stops_is_given_up_and_comes_back() {
    let mut world = World::new();
    let beat = |world: &mut World| {
        let data = serde_json::json!({ "agent_id": "far" }).as_object().cloned().unwrap();
        let what = What::Report { kind: "heartbeat".into(), data };
        world.hears(&Signal { agent: claude("report"), task: None, what, at: None }, &Place::default());
    };
    beat(&mut world);
    assert_eq!(world.happened(), ["agent_created (inferred)"]);
    world.pass(Duration::from_secs(29));
    beat(&mut world);
    world.pass(Duration::from_secs(29));
    assert!(world.happened().is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.happened(), ["agent_removed (inferred)"]);
    beat(&mut world);
    assert_eq!(world.happened(), ["agent_created (inferred)"]);
}

#[test]
fn who_says_nothing_for_a_day_is_given_up_unless_something_else_tells() {
    let mut world = World::new();
    world.says("quiet", None, What::Started { resumed: false });
    world.hears(&started("watched"), &place(40));
    let now = world.now();
    world.registry.create_agent(NewAgent { id: Some("made".into()), ..NewAgent::default() }, now).unwrap();
    world.pass(Duration::from_hours(24));
    let left: Vec<&str> = world.registry.agents().map(|agent| &*agent.id).collect();
    assert_eq!(left, ["claude:watched", "made"]);
    world.says("quiet", None, What::Heartbeat);
    assert!(world.status("claude:quiet").is_some(), "it was only quiet");
}

#[test]
fn a_new_session_in_the_same_process_takes_the_place_of_the_old_one() {
    let mut world = World::new();
    world.hears(&started("one"), &place(40));
    world.happened();
    world.hears(&started("two"), &place(40));
    assert_eq!(world.happened(), ["agent_removed (inferred)", "agent_created"]);
    assert_eq!(world.registry.agents().count(), 1);
}

#[test]
fn a_session_at_work_is_not_replaced_by_another_one_of_its_process() {
    let mut world = World::new();
    world.hears(&started("one"), &place(40));
    world.says("one", Some("p1"), prompt());
    world.happened();
    world.hears(&started("two"), &place(40));
    assert_eq!(world.happened(), ["agent_created"]);
}

/// A process that the agent has started may be called like it; its end is not the agent's.
#[test]
fn an_agent_keeps_its_process_while_that_stands_above_its_hooks() {
    let mut world = World::new();
    world.hears(&started("s"), &place(40));
    let mut below = place(60);
    below.processes.push(Ancestor { pid: 40, started: 7, name: "claude".into() });
    world.hears(&started("s"), &below);
    let process = |world: &World| world.registry.agent("claude:s").unwrap().process.map(|process| process.pid);
    assert_eq!(process(&world), Some(40));
    world.hears(&started("s"), &place(80));
    assert_eq!(process(&world), Some(80), "taken up again in another process");
}

#[test]
fn a_hook_of_another_machine_has_no_process_or_pane_here() {
    let mut world = World::new();
    let tmux = Some(TmuxPlace { pane: "%3".into(), socket: None, server_pid: Some(9) });
    world.hears(&started("s"), &Place { host: Some("far".into()), tmux, ..place(40) });
    assert!(world.registry.take_watches().is_empty());
    let agent = world.registry.agent("claude:s").unwrap();
    assert_eq!((agent.process, &agent.pane, agent.host.as_deref()), (None, &None, Some("far")));
}

#[test]
fn agents_are_bounded() {
    let mut world = World::new();
    for number in 0..=AGENTS {
        world.says(&format!("s{number}"), None, What::Started { resumed: false });
    }
    assert_eq!((world.registry.agents().count(), world.registry.unused()), (AGENTS, 1));
}

/// What one life of the source tells is enough for the next one to go on.
#[test]
fn a_registry_goes_on_where_its_snapshots_end() {
    let mut world = World::new();
    world.hears(&started("s"), &place(40));
    world.says("s", Some("p1"), prompt());
    world.says("t", Some("q1"), prompt());
    world.says("t", Some("q1"), STOP);
    world.pass(Duration::from_secs(1));
    let changes = world.registry.take();
    let mut next = World::new();
    for change in &changes {
        for event in crate::emit::events(change) {
            match event.kind {
                "agent_state" => {
                    let state: crate::emit::AgentState = serde_json::from_value(event.data).unwrap();
                    next.registry.restore_agent(state.agent().unwrap());
                }
                "task_state" if event.keep == crate::emit::Keep::As("claude:s:p1".into()) => {
                    let state: crate::emit::TaskState = serde_json::from_value(event.data).unwrap();
                    next.registry.restore_task(state.task().unwrap());
                }
                "task_completed" => {
                    let id = event.data["task_id"].as_str().unwrap().to_owned().into();
                    next.registry.restore_end(&id, crate::machine::TaskStatus::Completed, event.at);
                }
                _ => {}
            }
        }
    }
    let now = world.now();
    next.registry.restored(now);
    next.clock = world.clock;
    assert_eq!(next.registry.take_watches().len(), 1, "processes are watched again");
    assert!(next.happened().is_empty(), "nothing is told twice");
    assert_eq!((next.status("claude:s"), next.status("claude:t")), (Some("active"), Some("idle")));
    assert_eq!((next.registry.today().completed, next.registry.counts().open()), (1, 1));
    next.says("s", Some("p1"), prompt());
    assert!(next.happened().is_empty(), "the same prompt, read again");
    next.says("s", Some("p1"), STOP);
    next.pass(Duration::from_secs(1));
    assert_eq!(next.happened(), ["task_completed", "agent_performance_updated", "active > idle"]);
}

#[test]
fn a_task_whose_agent_had_gone_before_the_restart_fails_then() {
    let mut world = World::new();
    world.says("s", Some("p1"), prompt());
    let task = world.registry.tasks().next().unwrap().clone();
    let mut next = World::new();
    next.registry.restore_task(task);
    let now = next.now();
    next.registry.restored(now);
    assert_eq!(next.happened(), ["task_failed (inferred)"]);
}

/// The word of a child's end may be lost, and its parent may live for weeks.
#[test]
fn a_child_of_which_nothing_is_heard_is_given_up_before_its_parent_goes() {
    let mut world = World::new();
    world.hears(&started("s"), &place(40));
    let child = AgentRef { parent: Some("s".into()), ..claude("c") };
    let begun = Signal { agent: child, task: None, what: What::Started { resumed: false }, at: None };
    world.hears(&begun, &Place::default());
    world.pass(Duration::from_hours(23));
    assert_eq!(world.registry.agents().count(), 2);
    world.pass(Duration::from_hours(1));
    let left: Vec<&str> = world.registry.agents().map(|agent| &*agent.id).collect();
    assert_eq!(left, ["claude:s"]);
}

/// Harm prevented: `notify` names another session with each title, for as long as the agent lives.
#[test]
fn sessions_beside_an_agent_are_bounded() {
    let mut world = World::new();
    for number in 0..2 * SESSIONS {
        let ended = Signal { agent: claude(&format!("t{number}")), task: None, what: STOP, at: None };
        world.hears(&ended, &place(40));
    }
    assert_eq!((world.registry.agents().count(), world.registry.sessions.len()), (1, SESSIONS));
}

/// Harm prevented: an agent that was given up because it was quiet stays dead for good after a restart, whatever it says.
#[test]
fn who_was_given_up_before_a_restart_comes_back_by_what_it_says() {
    let mut world = World::new();
    let (mut parent, mut child) = (agent("claude:s", Some("s")), agent("claude:c", Some("c")));
    child.parent = Some(parent.id.clone());
    parent.beats = true;
    world.registry.restore_agent(parent);
    world.registry.restore_agent(child);
    let at = World::start();
    world.registry.restore_removal("claude:c", "parent_gone", at, Evidence::Inferred);
    world.registry.restore_removal("claude:s", "heartbeat_lost", at, Evidence::Inferred);
    let now = world.now();
    world.registry.restored(now);
    assert_eq!(world.registry.dead().count(), 2);
    world.says("s", None, What::Heartbeat);
    world.hears(&said_by("c", Some("s")), &Place::default());
    assert_eq!((world.status("claude:s"), world.status("claude:c")), (Some("idle"), Some("idle")));
    assert_eq!(world.registry.dead().count(), 0);
}

fn agent(id: &str, session: Option<&str>) -> Agent {
    Agent {
        session: session.map(Into::into),
        ..Agent::new(id.to_owned().into(), "claude", World::start(), Evidence::Observed, Duration::ZERO)
    }
}

fn said_by(session: &str, parent: Option<&str>) -> Signal {
    let agent = AgentRef { parent: parent.map(Into::into), ..claude(session) };
    Signal { agent, task: None, what: What::Heartbeat, at: None }
}
