//! Turns: from a prompt to the end of the answer, and what happens on the way. Each is a task.
//!
//! The end of a turn is settled late: a hook may have sent the agent on, and a title that looks idle may flicker. What
//! contradicts it in that time takes it back.

use super::{Act, AgentId, Ending, Registry, TURN, Task, TaskId, id::made, moves::How, signals};
use crate::{
    machine::{AgentStatus, TaskStatus},
    signal::{Ended, Step, TaskStep, Wait},
};
use headwater_plugin::Evidence;
use serde_json::{Map, json};

/// Why an agent waits: somebody must allow a step.
const PERMISSION: &str = "permission";

/// Why an agent waits: somebody must answer a question.
const ANSWER: &str = "answer";

impl Registry {
    /// It has been given something to do.
    pub(super) fn prompt(&mut self, id: &AgentId, raw: Option<&str>, text: Option<&str>, bytes: Option<u64>, how: How) {
        let turn = self.task_id(id, raw, &how);
        if self.tasks.get(&turn).is_some_and(|task| !task.is_open() || self.turn_of(id) == Some(&turn)) {
            // Two emitters of one program tell of the same prompt.
            return;
        }
        self.settle(id);
        self.supersede(id, &how);
        if !self.tasks.contains_key(&turn) {
            let mut task = Task::new(turn.clone(), how.at, how.evidence);
            task.kind = Some(TURN.to_owned());
            task.owner = Some(id.clone());
            task.description = text.map(signals::clip);
            task.description_bytes = bytes;
            if !self.create_within_bounds(task, &how) {
                return self.go(id, AgentStatus::Active, "prompt", how);
            }
        }
        if self.tasks.get(&turn).is_some_and(|task| task.status == TaskStatus::Pending) {
            let act = Act::Assign { agent: id.clone(), reason: "prompt".to_owned() };
            self.act(&turn, act, how.clone()).expect("invariant: a pending task can be assigned");
        }
        self.force(&turn, id, Act::Start, how.clone());
        self.begin_turn(id, Some(turn));
        self.go(id, AgentStatus::Active, "task_started", how);
    }

    /// It is at a step, or through with one.
    pub(super) fn step(&mut self, id: &AgentId, raw: Option<&str>, step: &Step, how: How) {
        let ends = step.done.is_some();
        let Some((parent, since)) = self.agents.get(id).map(|agent| (agent.parent.clone(), agent.since)) else {
            return;
        };
        let contradicts = |ending: &mut Ending| ending.evidence == Evidence::Inferred || (!ends && how.at > ending.at);
        if let Some(agent) = self.agents.get_mut(id) {
            agent.ending.take_if(contradicts);
        }
        let task = match raw {
            Some(raw) => match self.task_of(id, raw) {
                Some(task) if self.tasks.get(&task).is_some_and(|task| !task.is_open()) => return,
                Some(task) => Some(task),
                None => self.synthesise(id, raw, &how),
            },
            // A child works on the turn of the agent that started it.
            None => self.turn_of(parent.as_ref().unwrap_or(id)).cloned(),
        };
        if let Some(task) = &task {
            let mut how = how.clone();
            if parent.is_some() {
                how.more = Map::from_iter([("child_id".to_owned(), json!(id))]);
            }
            let act = Act::Progress {
                progress: None,
                current: Some(signals::clip(&step.name)),
                step: Some(Step { name: signals::clip(&step.name), ..step.clone() }),
            };
            self.force(task, id, act, how);
        }
        // Logs come in batches: what is older than the last change says nothing about the present.
        if how.at < since {
            return;
        }
        if task.is_none() && ends && parent.is_none() {
            // A step outside of any turn, such as a compaction on demand.
            self.go(id, AgentStatus::Idle, "step_done", how);
        } else if self.agents.get(id).is_some_and(|agent| agent.ending.is_none()) {
            self.go(id, AgentStatus::Active, "step", how);
        }
    }

    /// It works, and no more is known.
    pub(super) fn working(&mut self, id: &AgentId, how: How) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        // Logs come in batches: what is older than the last change says nothing about the present.
        if how.at < agent.since {
            return;
        }
        agent.ending.take_if(|ending| ending.evidence == Evidence::Inferred);
        if agent.status == AgentStatus::Waiting || agent.turn.is_some() || !agent.takes_turns {
            self.go(id, AgentStatus::Active, "working", how);
        }
    }

    /// It waits for somebody.
    pub(super) fn waiting(&mut self, id: &AgentId, wait: &Wait, mut how: How) {
        let under_way = self.step_under_way(id);
        let Some(agent) = self.agents.get_mut(id) else { return };
        let (reason, tool) = match wait {
            Wait::Prompt => return self.idle(id, how),
            Wait::Attention if agent.status != AgentStatus::Active => return,
            Wait::Attention => ("attention", None),
            Wait::Answer => (ANSWER, None),
            Wait::Login => ("login", None),
            Wait::Permission { step } => (PERMISSION, step.as_deref().map(signals::clip).or(under_way)),
        };
        if let Some(tool) = &tool {
            how.more = Map::from_iter([("step".to_owned(), json!(tool))]);
        }
        agent.ending.take_if(|ending| ending.evidence == Evidence::Inferred);
        if agent.status == AgentStatus::Waiting {
            // Hooks run side by side, and a question is also told as a permission.
            let permission = agent.reason.as_deref() == Some(PERMISSION);
            let finer = permission && (reason == ANSWER || (agent.waits_for.is_none() && tool.is_some()));
            // Seen before it was heard: now it is known what for.
            if finer || agent.evidence == Evidence::Inferred {
                agent.reason = Some(reason.to_owned());
                agent.waits_for = tool;
                agent.evidence = how.evidence;
                self.touched_agents.insert(id.clone());
            }
            return;
        }
        self.go(id, AgentStatus::Waiting, reason, how);
        self.waits_for(id, tool);
    }

    /// Notes the tool that an agent waits to be allowed.
    pub(super) fn waits_for(&mut self, id: &AgentId, tool: Option<String>) {
        if let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.status == AgentStatus::Waiting) {
            agent.waits_for = tool;
        }
    }

    /// The step of its turn that has begun and not ended. The steps of a child are those of its parent's turn, and may be
    /// another child's.
    pub(super) fn step_under_way(&self, id: &AgentId) -> Option<String> {
        let turn = self.tasks.get(self.turn_of(id)?)?;
        turn.step.clone().filter(|_| turn.under_way)
    }

    /// A turn has ended.
    pub(super) fn turn_ended(&mut self, id: &AgentId, raw: Option<&str>, ended: &Ended, how: How) {
        let turn = match raw {
            Some(raw) => match self.task_of(id, raw) {
                Some(turn) if self.tasks.get(&turn).is_some_and(|task| !task.is_open()) => {
                    return self.rest_after_all(id, ended, how);
                }
                Some(turn) => Some(turn),
                None => self.synthesise(id, raw, &how),
            },
            None => self.turn_of(id).cloned(),
        };
        let Some(turn) = turn else { return self.rest(id, ended, how) };
        let own = self.tasks.get(&turn).is_some_and(|task| task.owner.as_ref() == Some(id));
        if !own {
            return;
        }
        if self.turn_of(id) != Some(&turn) {
            // Not the one that is under way: the agent goes on.
            return self.finish(id, &turn, ended, "interrupted", how);
        }
        if *ended == Ended::Completed {
            self.end_soon(id, Ended::Completed, "task_completed", &how);
        } else {
            self.finish(id, &turn, ended, "interrupted", how.clone());
            self.rest(id, ended, how);
        }
    }

    /// It is idle; a turn that is under way has ended somehow, unless something contradicts soon.
    pub(super) fn idle(&mut self, id: &AgentId, how: How) {
        match self.agents.get(id) {
            Some(agent) if agent.turn.is_some() => {
                self.end_soon(id, Ended::Interrupted, "went_idle", &How::new(how.at, Evidence::Inferred));
            }
            _ => self.go(id, AgentStatus::Idle, "idle", how),
        }
    }

    /// Notes that the turn has ended; what was observed is not replaced by what is concluded.
    pub(super) fn end_soon(&mut self, id: &AgentId, ended: Ended, reason: &'static str, how: &How) {
        let due = self.now.clock + self.options.settle;
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.ending.is_none() || how.evidence == Evidence::Observed {
            agent.ending = Some(Ending { ended, at: how.at, due, evidence: how.evidence, reason });
        }
    }

    /// Settles the end of a turn that was noted.
    pub(super) fn settle(&mut self, id: &AgentId) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        let Some(ending) = agent.ending.take() else { return };
        let how = How::new(ending.at, ending.evidence);
        if let Some(turn) = agent.turn.clone() {
            self.finish(id, &turn, &ending.ended, ending.reason, how.clone());
        }
        self.rest(id, &ending.ended, how);
    }

    /// A task of this agent has ended.
    fn finish(&mut self, id: &AgentId, task: &TaskId, ended: &Ended, reason: &str, how: How) {
        let act = match ended {
            Ended::Completed => Act::Complete,
            Ended::Failed { code, message } => {
                let clip = |text: &Option<String>| text.as_deref().map(signals::clip);
                Act::Fail { code: clip(code), message: clip(message), retry: false }
            }
            // Only people interrupt; why an agent went idle nobody said.
            Ended::Interrupted => {
                let by = (reason == "interrupted").then(|| "user".to_owned());
                Act::Cancel { reason: reason.to_owned(), by }
            }
        };
        self.force(task, id, act, how);
    }

    /// The end of a turn that had ended before, because a client had given its task up: the agent worked on until now.
    fn rest_after_all(&mut self, id: &AgentId, ended: &Ended, how: How) {
        let Some(agent) = self.agents.get(id) else { return };
        let works = matches!(agent.status, AgentStatus::Active | AgentStatus::Waiting) && agent.turn.is_none();
        if works && how.at >= agent.since {
            self.rest(id, ended, how);
        }
    }

    /// The agent does nothing any more.
    fn rest(&mut self, id: &AgentId, ended: &Ended, how: How) {
        match ended {
            Ended::Completed => self.go(id, AgentStatus::Idle, "task_completed", how),
            Ended::Interrupted => self.go(id, AgentStatus::Idle, "task_cancelled", how),
            // The word for it says more than that it is so.
            Ended::Failed { code, .. } => {
                let reason = code.as_deref().map_or_else(|| "task_failed".to_owned(), signals::clip);
                self.go(id, AgentStatus::Failed, &reason, how);
            }
        }
    }

    /// Something has happened to a task that lives beside the turns of its agent.
    pub(super) fn own_task(&mut self, id: &AgentId, raw: &str, step: &TaskStep, how: How) {
        let task = self.task_id(id, Some(raw), &how);
        if !self.tasks.contains_key(&task) {
            let (description, evidence) = match step {
                TaskStep::Created { description } => (description.as_deref().map(signals::clip), how.evidence),
                _ => (None, Evidence::Inferred),
            };
            let mut new = Task::new(task.clone(), how.at, evidence);
            new.owner = Some(id.clone());
            new.description = description;
            if !self.create_within_bounds(new, &How::new(how.at, evidence)) {
                return;
            }
        }
        let status = self.tasks.get(&task).map(|task| task.status);
        match step {
            TaskStep::Created { .. } => return,
            TaskStep::Started | TaskStep::Waiting(_) => {
                if status != Some(TaskStatus::Started) {
                    self.force(&task, id, Act::Start, how.clone());
                }
            }
            TaskStep::Ended(ended) => self.finish(id, &task, ended, "interrupted", how.clone()),
        }
        match step {
            TaskStep::Waiting(wait) if self.agents.get(id).is_some_and(|agent| !agent.takes_turns) => {
                self.waiting(id, wait, how);
            }
            TaskStep::Ended(Ended::Failed { .. }) => self.follow_tasks(id, AgentStatus::Failed, how),
            _ => self.follow_tasks(id, AgentStatus::Idle, how),
        }
    }

    /// The status of an agent without turns follows from its tasks: it works while one is started, and then it is `rest`.
    pub(super) fn follow_tasks(&mut self, id: &AgentId, rest: AgentStatus, how: How) {
        let Some(agent) = self.agents.get(id) else { return };
        if agent.takes_turns {
            return;
        }
        let started = |task: &Task| task.status == TaskStatus::Started && task.agent.as_ref() == Some(id);
        if self.tasks.values().any(started) {
            self.go(id, AgentStatus::Active, "task_started", how);
        } else if agent.status != AgentStatus::Idle {
            self.go(id, rest, "task_ended", how);
        }
    }

    /// A turn that nobody saw begin: it is created, assigned and started, all inferred.
    fn synthesise(&mut self, id: &AgentId, raw: &str, how: &How) -> Option<TaskId> {
        self.settle(id);
        self.supersede(id, how);
        let turn = self.task_id(id, Some(raw), how);
        let mut task = Task::new(turn.clone(), how.at, Evidence::Inferred);
        task.kind = Some(TURN.to_owned());
        task.owner = Some(id.clone());
        let inferred = How::new(how.at, Evidence::Inferred);
        if !self.create_within_bounds(task, &inferred) {
            return None;
        }
        let act = Act::Assign { agent: id.clone(), reason: "synthesised".to_owned() };
        self.force(&turn, id, act, inferred.clone());
        self.force(&turn, id, Act::Start, inferred);
        if let Some(task) = self.tasks.get_mut(&turn) {
            task.started_at = None;
        }
        self.begin_turn(id, Some(turn.clone()));
        Some(turn)
    }

    /// A turn begins while another is under way: that one has ended, and nobody said so.
    fn supersede(&mut self, id: &AgentId, how: &How) {
        if let Some(old) = self.turn_of(id).cloned() {
            let act = Act::Cancel { reason: "superseded".to_owned(), by: None };
            self.force(&old, id, act, How::new(how.at, Evidence::Inferred));
        }
    }

    fn begin_turn(&mut self, id: &AgentId, turn: Option<TaskId>) {
        if let Some(agent) = self.agents.get_mut(id) {
            agent.turn = turn;
            agent.takes_turns = true;
            agent.ending = None;
            self.touched_agents.insert(id.clone());
        }
    }

    fn turn_of(&self, id: &AgentId) -> Option<&TaskId> {
        self.agents.get(id)?.turn.as_ref()
    }

    fn create_within_bounds(&mut self, task: Task, how: &How) -> bool {
        let room = self.counts.open() < super::TASKS as u64;
        if room {
            self.create(task, how.clone());
        } else {
            self.unused += 1;
        }
        room
    }

    /// The id of a task that an emitter calls `raw`, if there is one: the agent's, or one of the agent that started it.
    fn task_of(&self, id: &AgentId, raw: &str) -> Option<TaskId> {
        let parent = self.agents.get(id)?.parent.as_ref();
        let theirs = |id: &AgentId| {
            named(id, raw)
                .into_iter()
                .find(|task| self.tasks.get(task.as_str()).is_some_and(|task| task.owner.as_ref() == Some(id)))
        };
        theirs(id).or_else(|| theirs(parent?)).map(Into::into)
    }

    /// The id of a task of this agent. An emitter's id that is unique everywhere is taken as it is, unless another agent
    /// has it.
    fn task_id(&self, id: &AgentId, raw: Option<&str>, how: &How) -> TaskId {
        let Some(raw) = raw else { return made(format!("{id}:{}", how.at.as_microsecond())).into() };
        let [plain, long] = named(id, raw);
        let other = self.tasks.get(plain.as_str()).is_some_and(|task| task.owner.as_ref() != Some(id));
        if other { long.into() } else { plain.into() }
    }
}

/// What a task of this agent may be called that the emitter calls `raw`.
fn named(id: &AgentId, raw: &str) -> [String; 2] {
    let raw = signals::clip(raw);
    let long = made(format!("{id}:{raw}"));
    if uuid::Uuid::try_parse(&raw).is_ok() { [raw, long] } else { [long.clone(), long] }
}
