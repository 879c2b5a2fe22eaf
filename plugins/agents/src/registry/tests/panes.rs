//! Agents and the panes that they are seen in.

use super::*;
use crate::{
    machine::AgentStatus,
    signal::{Ancestor, TmuxPlace, Wait},
};

fn pane(id: &str) -> Pane {
    Pane { id: id.into(), server_pid: Some(9), socket: None, session: Some("work".into()), window: Some(2) }
}

fn seen(world: &mut World, id: &str, program: Option<&str>, status: AgentStatus, previous: Option<AgentStatus>) {
    let now = world.now();
    let program = program.map(Into::into);
    let sight = Sight::Status { pane: pane(id), program, status: Some(status), previous, process: None };
    world.registry.sight(sight, now.at, now);
}

fn in_pane(id: &str) -> Place {
    let tmux = Some(TmuxPlace { pane: id.into(), socket: Some("/run/tmux".into()), server_pid: Some(9) });
    Place { tmux, ..Place::default() }
}

fn said(session: &str, what: What) -> Signal {
    Signal { agent: claude(session), task: None, what, at: None }
}

#[test]
fn an_agent_that_is_only_seen_is_an_agent_by_its_pane() {
    let mut world = World::new();
    seen(&mut world, "%3", Some("claude"), AgentStatus::Active, None);
    assert_eq!(world.happened(), ["agent_created (inferred)", "idle > active (inferred)"]);
    let agent = world.registry.agent("pane:9:%3").unwrap();
    assert_eq!((agent.name.as_str(), agent.emitter.as_str()), ("claude in work:2", "claude"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Waiting, Some(AgentStatus::Active));
    assert_eq!(world.happened(), ["active > waiting (inferred)"]);
    let now = world.now();
    let left = Sight::Status { pane: pane("%3"), program: None, status: None, previous: None, process: None };
    world.registry.sight(left, now.at, now);
    assert_eq!(world.happened(), ["agent_removed (inferred)"]);
}

#[test]
fn an_agent_that_is_seen_first_and_then_heard_is_one() {
    let mut world = World::new();
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, None);
    world.happened();
    world.hears(&said("s", What::Started { resumed: false }), &in_pane("%3"));
    assert!(world.happened().is_empty());
    world.says("s", Some("p1"), prompt());
    assert_eq!(world.registry.agents().count(), 1);
    assert_eq!(world.status("pane:9:%3"), Some("active"), "it keeps the id by which it was told of");
}

#[test]
fn an_agent_that_is_heard_first_and_then_seen_is_one() {
    let mut world = World::new();
    world.hears(&said("s", What::Started { resumed: false }), &in_pane("%3"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, None);
    assert_eq!(world.registry.agents().count(), 1);
    let agent = world.registry.agent("claude:s").unwrap();
    assert_eq!(agent.pane.as_ref().unwrap().session.as_deref(), Some("work"), "tmux knows more of the pane");
}

#[test]
fn a_pane_is_found_by_its_process_where_the_environment_does_not_name_it() {
    let mut world = World::new();
    let process = |pid, name: &str| Ancestor { pid, started: 7, name: name.into() };
    let place = Place { processes: vec![process(60, "claude"), process(50, "zsh")], ..Place::default() };
    world.hears(&said("s", What::Started { resumed: false }), &place);
    assert_eq!(world.registry.agent("claude:s").unwrap().pane, None);
    let now = world.now();
    world.registry.sight(Sight::Pane { pane: pane("%3"), pid: Some(50) }, now.at, now);
    assert_eq!(world.registry.agent("claude:s").unwrap().pane, Some(pane("%3")));
}

/// Harm prevented: who lists agents does not see one that draws no screen, or reads that it is idle while it works.
#[test]
fn an_agent_of_which_nothing_tells_what_it_does_is_there_and_not_called_idle() {
    let mut world = World::new();
    let sees = |world: &mut World, program: Option<&str>, status| {
        let now = world.now();
        let program = program.map(Into::into);
        let sight = Sight::Status { pane: pane("%3"), program, status, previous: None, process: None };
        world.registry.sight(sight, now.at, now);
    };
    sees(&mut world, Some("claude"), None);
    assert_eq!(world.happened(), ["agent_created (inferred)"]);
    assert_eq!(world.status("pane:9:%3"), Some("unknown"));
    assert!(world.registry.free().is_empty(), "it gets no tasks");
    sees(&mut world, Some("claude"), Some(AgentStatus::Active));
    sees(&mut world, Some("claude"), None);
    assert_eq!(world.happened(), ["unknown > active (inferred)", "active > unknown (inferred)"]);
    // A hook knows more: the session has begun, and has nothing to do.
    world.hears(&said("s", What::Started { resumed: false }), &in_pane("%3"));
    assert_eq!(world.happened(), ["unknown > idle"]);
    // From then on, that the pane says nothing says nothing.
    sees(&mut world, Some("claude"), None);
    assert!(world.happened().is_empty());
    let mut world = World::new();
    sees(&mut world, Some("claude"), None);
    sees(&mut world, None, None);
    assert_eq!(world.happened(), ["agent_created (inferred)", "agent_removed (inferred)"]);
}

/// On Esc no hook fires, but the title turns idle.
#[test]
fn an_interrupted_turn_is_cancelled_when_the_pane_stays_idle() {
    let mut world = World::new();
    world.hears(&said("s", prompt()), &in_pane("%3"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Active, Some(AgentStatus::Idle));
    world.happened();
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, Some(AgentStatus::Active));
    world.pass(Duration::from_millis(749));
    assert!(world.happened().is_empty());
    world.pass(Duration::from_millis(1));
    let expected = ["task_cancelled (inferred)", "agent_performance_updated (inferred)", "active > idle (inferred)"];
    assert_eq!(world.happened(), expected);
}

#[test]
fn a_title_that_flickers_cancels_nothing() {
    let mut world = World::new();
    world.hears(&said("s", prompt()), &in_pane("%3"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, Some(AgentStatus::Active));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Active, Some(AgentStatus::Idle));
    world.happened();
    world.pass(Duration::from_secs(2));
    assert!(world.happened().is_empty());
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, Some(AgentStatus::Active));
    world.hears(&said("s", STOP), &in_pane("%3"));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.happened()[0], "task_completed", "the hook's word counts more than the title's");
}

#[test]
fn a_dialog_that_looks_idle_is_no_interruption_but_one_that_was_left_is() {
    let mut world = World::new();
    world.hears(&said("s", prompt()), &in_pane("%3"));
    world.hears(&said("s", What::Waiting(Wait::Permission { step: None })), &in_pane("%3"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, Some(AgentStatus::Active));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.status("claude:s"), Some("waiting"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Active, Some(AgentStatus::Idle));
    assert_eq!(world.status("claude:s"), Some("active"), "allowed: the tool runs, and no hook says so yet");
    seen(&mut world, "%3", Some("claude"), AgentStatus::Waiting, Some(AgentStatus::Active));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Idle, Some(AgentStatus::Waiting));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.status("claude:s"), Some("idle"));
    assert_eq!(world.registry.counts().cancelled, 1);
}

/// A pane may be seen to wait before the hook says what for, which told "seen" for good.
#[test]
fn a_wait_that_was_seen_first_is_told_by_its_reason() {
    let mut world = World::new();
    world.hears(&said("s", prompt()), &in_pane("%3"));
    seen(&mut world, "%3", Some("claude"), AgentStatus::Waiting, Some(AgentStatus::Active));
    world.happened();
    world.hears(&said("s", What::Waiting(Wait::Permission { step: None })), &in_pane("%3"));
    let agent = world.registry.agent("claude:s").unwrap();
    assert_eq!((agent.reason.as_deref(), agent.evidence), (Some("permission"), Evidence::Observed));
    assert!(world.registry.take().iter().any(|change| matches!(change.what, Happened::AgentState(_))));
}

/// Codex says good-bye, gives its title back, and then ends: it was told of once more, as another agent.
#[test]
fn an_agent_that_has_said_good_bye_does_not_come_back_by_being_seen() {
    let place = |pid| Place { processes: vec![Ancestor { pid, started: 7, name: "claude".into() }], ..in_pane("%3") };
    let mut world = World::new();
    world.hears(&said("s", What::Started { resumed: false }), &place(40));
    world.hears(&said("s", What::Gone { reason: None }), &place(40));
    world.happened();
    seen_in(&mut world, "%3", 40, "/a", AgentStatus::Idle);
    assert!(world.happened().is_empty());
    seen_in(&mut world, "%3", 41, "/a", AgentStatus::Idle);
    assert_eq!(world.happened(), ["agent_created (inferred)"], "the next one in that pane");
    let mut world = World::new();
    world.hears(&said("s", What::Gone { reason: None }), &place(40));
    seen_in(&mut world, "%4", 40, "/a", AgentStatus::Idle);
    assert_eq!(world.happened(), ["agent_created (inferred)"], "nobody has gone from there");
}

/// Hooks may be faster than the source of tmux.
#[test]
fn an_agent_that_went_before_its_pane_was_told_of_is_remembered_in_it() {
    let mut world = World::new();
    world.hears(&said("s", What::Started { resumed: false }), &in_pane("%3"));
    world.hears(&said("s", What::Gone { reason: None }), &in_pane("%3"));
    let now = world.now();
    world.registry.sight(Sight::Pane { pane: pane("%3"), pid: Some(50) }, now.at, now);
    let dead = world.registry.dead().next().unwrap();
    assert_eq!(dead.agent.pane.as_ref().unwrap().session.as_deref(), Some("work"));
}

#[test]
fn a_pane_that_goes_takes_the_agent_with_it_that_nothing_else_tells_of() {
    let mut world = World::new();
    seen(&mut world, "%3", Some("claude"), AgentStatus::Active, None);
    seen(&mut world, "%4", Some("codex"), AgentStatus::Idle, None);
    world.happened();
    let now = world.now();
    world.registry.sight(Sight::Gone { pane: Pane { server_pid: Some(8), ..pane("%3") } }, now.at, now);
    assert!(world.happened().is_empty(), "a pane of another server");
    world.registry.sight(Sight::Gone { pane: pane("%3") }, now.at, now);
    assert_eq!(world.happened(), ["agent_removed (inferred)"]);
    assert_eq!(world.registry.agents().count(), 1);
}

#[test]
fn what_was_seen_before_a_turn_began_does_not_end_it() {
    let mut world = World::new();
    let before = world.now().at;
    world.clock += Duration::from_secs(5);
    world.hears(&said("s", prompt()), &in_pane("%3"));
    world.happened();
    let now = world.now();
    let sight = Sight::Status {
        pane: pane("%3"),
        program: Some("claude".into()),
        status: Some(AgentStatus::Idle),
        previous: Some(AgentStatus::Active),
        process: None,
    };
    world.registry.sight(sight, before, now);
    world.pass(Duration::from_secs(2));
    assert!(world.happened().is_empty());
}

fn directory(cwd: &str, signal: Signal) -> Signal {
    Signal { agent: AgentRef { cwd: Some(cwd.into()), ..signal.agent }, ..signal }
}

fn seen_in(world: &mut World, id: &str, pid: u32, cwd: &str, status: AgentStatus) {
    let now = world.now();
    let age = Some(Duration::from_secs(10));
    let process = Some(Foreground { process: Process { pid, started: 7 }, cwd: Some(cwd.into()), age });
    let program = Some("claude".into());
    let sight = Sight::Status { pane: pane(id), program, status: Some(status), previous: None, process };
    world.registry.sight(sight, now.at, now);
}

/// Codex runs the sessions of all its terminals in one process, whose environment is that of the first terminal.
#[test]
fn a_session_of_a_shared_process_is_found_by_its_directory_where_that_is_clear() {
    for heard_first in [true, false] {
        let mut world = World::new();
        let hear = |world: &mut World| world.hears(&directory("/a", said("s", prompt())), &Place::default());
        if heard_first {
            hear(&mut world);
        }
        seen_in(&mut world, "%3", 40, "/a", AgentStatus::Idle);
        seen_in(&mut world, "%4", 41, "/b", AgentStatus::Idle);
        if !heard_first {
            hear(&mut world);
        }
        assert_eq!(world.registry.agents().count(), 2, "{heard_first}");
        let agent = world.registry.agents().find(|agent| agent.session.is_some()).unwrap();
        assert_eq!((agent.pane.as_ref(), agent.process), (Some(&pane("%3")), Some(Process { pid: 40, started: 7 })));
        // A title that is made for it is nobody.
        world.hears(&directory("/a", said("title", What::Turn(Ended::Completed))), &Place::default());
        assert_eq!(world.registry.agents().count(), 2);
    }
    let mut world = World::new();
    for id in ["%3", "%4"] {
        seen_in(&mut world, id, 40, "/a", AgentStatus::Idle);
    }
    world.hears(&directory("/a", said("s", prompt())), &Place::default());
    assert_eq!(world.registry.agent("claude:s").unwrap().pane, None, "it may be either");
    // What has been quiet since before the program began is not in it.
    let mut world = World::new();
    world.hears(&directory("/a", said("s", prompt())), &Place::default());
    world.clock += Duration::from_secs(20);
    seen_in(&mut world, "%3", 40, "/a", AgentStatus::Idle);
    assert_eq!(world.registry.agents().count(), 2);
}
