//! Any sequence of inputs: no transition that does not exist, no count that does not add up, nothing that refers to what is
//! not there.

use super::{schema, *};
use crate::{
    machine::{AgentStatus, TaskStatus},
    matching::{Capability, Requirement},
    signal::{Ancestor, Done, Step, TaskStep, TmuxPlace, Wait},
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Input {
    Signal { session: u8, child: bool, task: Option<u8>, what: What, place: u8, late_ms: u64 },
    Report { kind: &'static str, task: u8, agent: u8, retry: bool, status: &'static str, strict: bool, odd: bool },
    CreateAgent { id: u8, proficiency: f64 },
    CreateTask { id: u8, least: Option<f64> },
    Assign { task: u8, agent: u8 },
    Cancel { task: u8 },
    Remove { agent: u8 },
    Seen { pane: u8, program: bool, status: Option<AgentStatus>, previous: Option<AgentStatus> },
    PaneGone { pane: u8 },
    Exit { agent: u8, place: u8 },
    Pass { ms: u64 },
    Restart,
}

fn ended() -> impl Strategy<Value = Ended> {
    let failed = Ended::Failed { code: None, message: None };
    prop_oneof![Just(Ended::Completed), Just(failed), Just(Ended::Interrupted)]
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![Just(Wait::Permission { step: None }), Just(Wait::Answer), Just(Wait::Prompt), Just(Wait::Attention)]
}

fn what() -> impl Strategy<Value = What> {
    let step = |done: bool| What::Step(Step { name: "x".into(), id: None, done: done.then(Done::default) });
    prop_oneof![
        any::<bool>().prop_map(|resumed| What::Started { resumed }),
        Just(prompt()),
        Just(prompt()),
        any::<bool>().prop_map(step),
        Just(What::Working),
        wait().prop_map(What::Waiting),
        ended().prop_map(What::Turn),
        ended().prop_map(What::Turn),
        Just(What::Idle),
        Just(What::Gone { reason: None }),
        Just(What::Heartbeat),
        Just(What::Task(TaskStep::Created { description: None })),
        Just(What::Task(TaskStep::Started)),
        wait().prop_map(|wait| What::Task(TaskStep::Waiting(wait))),
        ended().prop_map(|ended| What::Task(TaskStep::Ended(ended))),
    ]
}

const REPORTS: [&str; 11] = [
    "agent_created",
    "agent_status_changed",
    "agent_removed",
    "heartbeat",
    "task_created",
    "task_assigned",
    "task_started",
    "task_progress",
    "task_completed",
    "task_failed",
    "task_cancelled",
];

fn status() -> impl Strategy<Value = AgentStatus> {
    prop::sample::select(AgentStatus::ALL.to_vec())
}

fn input() -> impl Strategy<Value = Input> {
    let signal = (
        0..3_u8,
        prop::bool::weighted(0.2),
        prop::option::of(0..3_u8),
        what(),
        0..4_u8,
        prop_oneof![
            4 => Just(0_u64),
            1 => 0..3_000_u64
        ],
    )
        .prop_map(|(session, child, task, what, place, late_ms)| Input::Signal {
            session,
            child,
            task,
            what,
            place,
            late_ms,
        });
    let words = prop::sample::select(vec!["idle", "active", "waiting", "failed", "asleep"]);
    let switches = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    let report = (prop::sample::select(REPORTS.to_vec()), 0..3_u8, 0..3_u8, words, switches).prop_map(
        |(kind, task, agent, status, (retry, strict, odd))| Input::Report {
            kind,
            task,
            agent,
            retry,
            status,
            strict,
            odd,
        },
    );
    let seen = (0..3_u8, any::<bool>(), prop::option::of(status()), prop::option::of(status()))
        .prop_map(|(pane, program, status, previous)| Input::Seen { pane, program, status, previous });
    prop_oneof![
        12 => signal,
        6 => report,
        2 => (0..3_u8, 0.0..1.0_f64).prop_map(|(id, proficiency)| Input::CreateAgent { id, proficiency }),
        2 => (0..3_u8, prop::option::of(0.0..1.0_f64)).prop_map(|(id, least)| Input::CreateTask { id, least }),
        1 => (0..3_u8, 0..3_u8).prop_map(|(task, agent)| Input::Assign { task, agent }),
        1 => (0..3_u8).prop_map(|task| Input::Cancel { task }),
        1 => (0..3_u8).prop_map(|agent| Input::Remove { agent }),
        4 => seen,
        1 => (0..3_u8).prop_map(|pane| Input::PaneGone { pane }),
        2 => (0..3_u8, 0..4_u8).prop_map(|(agent, place)| Input::Exit { agent, place }),
        4 => (0..2_000_u64).prop_map(|ms| Input::Pass { ms }),
        1 => (0..100_000_000_u64).prop_map(|ms| Input::Pass { ms }),
        1 => Just(Input::Restart),
    ]
}

fn pane(number: u8) -> Pane {
    Pane { id: format!("%{number}"), server_pid: Some(9), ..Pane::default() }
}

fn process(place: u8) -> Process {
    Process { pid: 100 + u32::from(place), started: 7 }
}

/// A place of the first kind says nothing; the others name a process, and some of them a pane.
fn place(number: u8) -> Place {
    let Process { pid, started } = process(number);
    let tmux = TmuxPlace { pane: format!("%{number}"), socket: None, server_pid: Some(9) };
    Place {
        processes: if number == 0 { Vec::new() } else { vec![Ancestor { pid, started, name: "claude".into() }] },
        tmux: (number > 1).then_some(tmux),
        ..Place::default()
    }
}

fn give(world: &mut World, input: Input) {
    let now = world.now();
    let registry = &mut world.registry;
    match input {
        Input::Signal { session, child, task, what, place: number, late_ms } => {
            let mut agent = claude(&format!("s{session}"));
            if child {
                agent = AgentRef { parent: agent.session.clone(), session: Some(format!("c{session}")), ..agent };
            }
            let at = (now.at - Duration::from_millis(late_ms)).into();
            let signal =
                Signal { agent, task: task.map(|task| format!("t{task}")), what, at: (late_ms > 0).then_some(at) };
            registry.signal(&signal, &place(number), now.at, now);
        }
        Input::Report { kind, task, agent, retry, status, strict, odd } => {
            let (task, agent) = (format!("t{task}"), format!("a{agent}"));
            let data = json!({
                "task_id": task, "agent_id": agent, "task": { "id": task }, "agent": { "id": agent },
                "new_status": status, "retry_scheduled": retry, "progress": 0.5,
            });
            let mut data = data.as_object().cloned().unwrap();
            if odd {
                let odd = json!({
                    "result": 7, "error": { "code": 5, "details": "x" }, "current_step": [], "execution_time_ms": -4,
                    "estimated_completion": "soon", "next_retry_at": 1, "timestamp": "yesterday", "reason": 5,
                });
                data.extend(odd.as_object().cloned().unwrap());
            }
            if strict {
                // Refusals are what is to be expected of most.
                let _ = registry.report_strictly(kind, data, now);
            } else {
                let what = What::Report { kind: kind.into(), data };
                registry.signal(
                    &Signal { agent: claude("r"), task: None, what, at: None },
                    &Place::default(),
                    now.at,
                    now,
                );
            }
        }
        Input::CreateAgent { id, proficiency } => {
            let capabilities =
                vec![Capability { name: "x".into(), proficiency: Some(proficiency), learning_rate: None }];
            let new = NewAgent { id: Some(format!("a{id}")), capabilities, ..NewAgent::default() };
            let _ = registry.create_agent(new, now);
        }
        Input::CreateTask { id, least } => {
            let requires = vec![Requirement { name: "x".into(), min_proficiency: least }];
            let _ = registry.create_task(NewTask { id: Some(format!("t{id}")), requires, ..NewTask::default() }, now);
        }
        Input::Assign { task, agent } => {
            let _ = registry.assign_task(&format!("t{task}"), &format!("a{agent}"), "manual", now);
        }
        Input::Cancel { task } => {
            let _ = registry.cancel_task(&format!("t{task}"), "manual", "me", now);
        }
        Input::Remove { agent } => {
            let _ = registry.remove_agent(&format!("a{agent}"), "manual", "me", now);
        }
        Input::Seen { pane: number, program, status, previous } => {
            let program = program.then(|| "claude".to_owned());
            let sight = Sight::Status { pane: pane(number), program, status, previous, process: None };
            registry.sight(sight, now.at, now);
        }
        Input::PaneGone { pane: number } => registry.sight(Sight::Gone { pane: pane(number) }, now.at, now),
        Input::Exit { agent, place } => {
            registry.exited(&format!("claude:s{agent}").into(), process(place), Evidence::Observed, now);
        }
        Input::Pass { ms } => world.pass(Duration::from_millis(ms)),
        Input::Restart => restart(world),
    }
}

/// The next life of the registry knows what stands in the snapshots of the living.
fn restart(world: &mut World) {
    let now = world.now();
    let mut next = World::new();
    for agent in world.registry.agents() {
        next.registry.restore_agent(crate::emit::AgentState::of(agent).agent().unwrap());
    }
    for task in world.registry.tasks().filter(|task| task.is_open()) {
        next.registry.restore_task(crate::emit::TaskState::of(task).task().unwrap());
    }
    next.registry.restored(now);
    next.clock = world.clock;
    *world = next;
}

/// What a reader of the events believes.
#[derive(Default)]
struct Reader {
    agents: BTreeMap<String, AgentStatus>,
    tasks: BTreeMap<String, TaskStatus>,
}

impl Reader {
    fn read(&mut self, change: &Change) {
        match &change.what {
            Happened::AgentCreated(agent) => {
                let before = self.agents.insert(agent.id.to_string(), agent.status);
                assert_eq!(before, None, "{} was created twice", agent.id);
            }
            Happened::AgentStatus { agent, from, to, .. } => {
                assert_eq!(self.agents.insert(agent.to_string(), *to), Some(*from), "{agent} was in another status");
                assert!(
                    from != to && !(*from == AgentStatus::Failed && *to == AgentStatus::Waiting),
                    "{from:?} {to:?}"
                );
            }
            Happened::AgentRemoved { agent, .. } => {
                assert!(self.agents.remove(&**agent).is_some(), "{agent} was removed and had not been there");
            }
            Happened::TaskCreated { task, .. } => {
                let before = self.tasks.insert(task.id.to_string(), task.status);
                assert!(before.is_none_or(TaskStatus::is_final), "{} was created twice", task.id);
            }
            Happened::TaskMoved { task, agent, attempt, act, .. } => {
                let before =
                    self.tasks.get(&**task).copied().unwrap_or_else(|| panic!("{task} moved and was not there"));
                let after = before.go(act.by()).unwrap_or_else(|refused| panic!("{task}: {refused}"));
                self.tasks.insert(task.to_string(), after);
                let known = agent.as_ref().is_none_or(|agent| self.agents.contains_key(&**agent));
                assert!(known, "{task} is with {agent:?}, who is not there");
                assert!(*attempt > 0 || !matches!(after, TaskStatus::Started | TaskStatus::Completed));
            }
            _ => {}
        }
    }
}

fn check(world: &World, reader: &Reader) {
    let registry = &world.registry;
    let counts = registry.counts();
    let open = registry.tasks().filter(|task| task.is_open()).count() as u64;
    assert_eq!(counts.completed + counts.failed + counts.cancelled + open, counts.created, "{counts:?}");
    assert_eq!(counts.open(), open);
    let statuses: BTreeMap<String, AgentStatus> =
        registry.agents().map(|agent| (agent.id.to_string(), agent.status)).collect();
    assert_eq!(statuses, reader.agents, "who reads the events knows what the registry knows");
    for agent in registry.agents() {
        if let Some(turn) = &agent.turn {
            assert!(registry.task(turn).is_some_and(Task::is_open), "{} is at a turn that is over", agent.id);
        }
        assert!(
            agent.parent.as_ref().is_none_or(|parent| registry.agent(parent).is_some()),
            "{} is an orphan",
            agent.id
        );
    }
    for task in registry.tasks().filter(|task| task.is_open()) {
        let gone = task.agent.as_ref().or(task.owner.as_ref()).filter(|agent| registry.agent(agent).is_none());
        assert_eq!(gone, None, "{} is open and its agent has gone", task.id);
        assert_eq!(reader.tasks.get(&*task.id), Some(&task.status));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_inputs_leads_astray(inputs in prop::collection::vec(input(), 1..120)) {
        let mut world = World::new();
        let mut reader = Reader::default();
        for input in inputs {
            let ticked = matches!(input, Input::Pass { .. });
            give(&mut world, input);
            for change in world.registry.take() {
                reader.read(&change);
                for event in crate::emit::events(&change) {
                    // Attributes and keys have bounds of their own; data always has a JSON form.
                    prop_assert!(event.attributes.len() <= 8);
                    if !matches!(event.kind, "agent_state" | "task_state") {
                        schema::check(event.kind, &event.data);
                    }
                }
            }
            if ticked {
                let due = world.registry.next_due();
                prop_assert!(due.is_none_or(|due| due > world.clock), "a deadline that is over would be waited for for ever");
            }
            check(&world, &reader);
        }
    }
}
