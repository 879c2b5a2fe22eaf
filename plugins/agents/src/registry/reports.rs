//! What clients report: any of the documented events. Those of agents and tasks go through the machines; the rest changes
//! nothing here and is passed on in its documented shape.
//!
//! By command a report is taken strictly. By hook it is taken as far as it can be: what is not known yet is created, and
//! missing steps are synthesised.

use super::{
    Act, AgentId, Alert, Change, Happened, NewAgent, NewTask, Now, Refusal, Registry, TaskId, documented, id::LONGEST,
    moves::How, signals,
};
use crate::{
    machine::{AgentStatus, Refused},
    matching,
};
use headwater_plugin::Evidence;
use serde_json::{Map, Value};

type Data = Map<String, Value>;

/// A type, its channel, and its fields that must be there.
type Passed = (&'static str, &'static str, &'static [(&'static str, Kind)]);

/// Which types are passed on: their channel, and what must be there, with its kind.
const PASSED: [Passed; 9] = {
    use Kind::{Number, Object, Text};
    [
        ("agent_performance_updated", "agent", &[("agent_id", Text), ("metrics", Object)]),
        ("system_alert", "system", &[("level", Text), ("title", Text), ("message", Text)]),
        (
            "resource_alert",
            "system",
            &[("resource", Text), ("usage_percent", Number), ("threshold_percent", Number), ("trend", Text)],
        ),
        ("module_status_changed", "module", &[("module", Text), ("old_status", Text), ("new_status", Text)]),
        ("inter_module_message", "module", &[("from_module", Text), ("to_module", Text), ("message_type", Text)]),
        ("coordination_event", "module", &[("event_type", Text), ("module", Text)]),
        (
            "learning_cycle_started",
            "learning",
            &[("cycle_id", Text), ("agent_id", Text), ("learning_type", Text), ("target_capability", Text)],
        ),
        ("learning_cycle_completed", "learning", &[("cycle_id", Text), ("agent_id", Text), ("improvements", Object)]),
        ("error_occurred", "error", &[("error_id", Text), ("component", Text), ("error", Object), ("severity", Text)]),
    ]
    // `recommendations`, `affected_functions`, `payload`, `details` and times may be left out: absent is not wrong.
};

/// Types that go through the machines, beside those that are passed on.
const MOVED: [&str; 11] = [
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Object,
}

impl Kind {
    fn wanted(self) -> &'static str {
        match self {
            Self::Text => "a text that must be there",
            Self::Number => "a number that must be there",
            Self::Object => "an object that must be there",
        }
    }
}

impl Registry {
    /// A report by hook.
    pub(super) fn report(&mut self, kind: &str, data: Data, how: How) -> Result<(), Refusal> {
        self.take_report(kind, data, false, how)
    }

    /// A report by command.
    pub(crate) fn report_strictly(&mut self, kind: &str, data: Data, now: Now) -> Result<(), Refusal> {
        self.begin(now);
        self.take_report(kind, data, true, How::new(now.at, Evidence::Observed))
    }

    fn take_report(&mut self, kind: &str, mut data: Data, strict: bool, mut how: How) -> Result<(), Refusal> {
        if let Some(at) = data.remove("timestamp").as_ref().and_then(Value::as_str).and_then(|at| at.parse().ok()) {
            how.at = self.now.at.min(at);
        }
        if let Some(wrong) = documented::tidy(kind, &mut data).filter(|_| strict) {
            return Err(Refusal::Invalid(wrong));
        }
        if let Some((kind, channel, needed)) = PASSED.iter().find(|(passed, ..)| *passed == kind) {
            return self.pass(kind, channel, needed, data, how);
        }
        match kind {
            "agent_created" => self.agent_created(&data, strict, how),
            "agent_status_changed" => self.agent_status_changed(&data, strict, how),
            "agent_removed" => {
                let agent = self.agent_of(&data, true, &how)?;
                self.dismiss(&agent, &reason(&data, "reason"), "report", how);
                Ok(())
            }
            "heartbeat" => {
                let agent = self.agent_of(&data, strict, &how)?;
                let clock = self.now.clock;
                if let Some(agent) = self.agents.get_mut(&agent) {
                    agent.beats = true;
                    agent.heard = clock;
                    agent.last_seen = agent.last_seen.max(how.at);
                }
                Ok(())
            }
            "task_created" => self.task_created(&data, strict, how),
            _ if kind.starts_with("task_") && MOVED.contains(&kind) => self.task_moved(kind, &data, strict, how),
            "hive_status_update" => Err(Refusal::Invalid("`hive_status_update` is derived; it is not reported".into())),
            _ => {
                let mut allowed: Vec<&'static str> = MOVED.to_vec();
                allowed.extend(PASSED.iter().map(|(kind, ..)| *kind));
                Err(Refusal::Unlisted { what: "report", got: signals::clip(kind), allowed })
            }
        }
    }

    fn pass(
        &mut self,
        kind: &'static str,
        channel: &'static str,
        needed: &[(&str, Kind)],
        data: Data,
        mut how: How,
    ) -> Result<(), Refusal> {
        for (key, kind) in needed {
            let fits = match (kind, data.get(*key)) {
                (Kind::Text, Some(value)) => value.is_string(),
                (Kind::Number, Some(value)) => value.is_number(),
                (Kind::Object, Some(value)) => value.is_object(),
                (_, None) => false,
            };
            if !fits {
                return Err(Refusal::Invalid(format!("`{key}` is {}", kind.wanted())));
            }
        }
        if text(&data, "agent_id").is_some_and(|id| id.len() > LONGEST) {
            return Err(Refusal::Invalid(format!("`agent_id` has 1 to {LONGEST} bytes")));
        }
        if kind == "system_alert" {
            let own = |key| text(&data, key).map(signals::clip).unwrap_or_default();
            let details = data.get("details").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            let alert =
                Alert { level: own("level"), title: own("title"), message: own("message"), details, at: how.at };
            how.more = data;
            self.alert(alert, how);
            return Ok(());
        }
        if kind == "learning_cycle_completed" {
            self.learned(&data);
        }
        self.out.push(Change {
            at: how.at,
            evidence: how.evidence,
            what: Happened::Passed { channel, kind },
            more: data,
        });
        Ok(())
    }

    /// A learning cycle is through: what a client says that an agent has become better at.
    fn learned(&mut self, data: &Data) {
        let Some(agent) = text(data, "agent_id").and_then(|id| self.agents.get_mut(id)) else { return };
        let Some(improvements) = data.get("improvements").and_then(Value::as_object) else { return };
        let count = agent.performance.improvements.get_or_insert(0);
        *count += improvements.len() as u64;
        for (key, improvement) in improvements {
            let name = key.strip_suffix("_proficiency").unwrap_or(key);
            let new = improvement.get("new_value").and_then(Value::as_f64).filter(|new| (0.0..=1.0).contains(new));
            let known = agent.capabilities.iter_mut().find(|capability| capability.name == name);
            if let (Some(new), Some(known)) = (new, known) {
                known.proficiency = Some(new);
            }
        }
        let id = agent.id.clone();
        self.touched_agents.insert(id);
    }

    fn agent_created(&mut self, data: &Data, strict: bool, how: How) -> Result<(), Refusal> {
        let agent = object(data, "agent")?;
        let new = NewAgent {
            id: text(agent, "id").map(str::to_owned),
            name: text(agent, "name").map(signals::clip),
            kind: text(agent, "type").map(signals::clip),
            capabilities: matching::capabilities(agent.get("capabilities")).map_err(Refusal::Invalid)?,
        };
        if !strict && new.id.as_deref().is_some_and(|id| self.agents.contains_key(id)) {
            return Ok(());
        }
        self.new_agent(new, how).map(|_| ())
    }

    fn agent_status_changed(&mut self, data: &Data, strict: bool, mut how: How) -> Result<(), Refusal> {
        let agent = self.agent_of(data, strict, &how)?;
        let word = text(data, "new_status").ok_or_else(|| missing("new_status"))?;
        let from = self.agents.get(&agent).map_or(AgentStatus::Idle, |agent| agent.status);
        let Some(to) = AgentStatus::parse(word) else {
            let allowed = from.next().iter().map(|status| status.name()).collect();
            return Err(Refusal::Unlisted { what: "status", got: signals::clip(word), allowed });
        };
        let reason = reason(data, "reason");
        how.more = rest(data, &["agent_id", "old_status", "new_status", "reason"]);
        if strict {
            self.go_strictly(&agent, to, &reason, how)?;
        } else {
            self.go(&agent, to, &reason, how);
        }
        Ok(())
    }

    fn task_created(&mut self, data: &Data, strict: bool, how: How) -> Result<(), Refusal> {
        let task = object(data, "task")?;
        let new = new_task(task)?;
        if !strict && new.id.as_deref().is_some_and(|id| self.tasks.contains_key(id)) {
            return Ok(());
        }
        self.new_task(new, how).map(|_| ())
    }

    fn task_moved(&mut self, kind: &str, data: &Data, strict: bool, mut how: How) -> Result<(), Refusal> {
        let name = text(data, "task_id").ok_or_else(|| missing("task_id"))?.to_owned();
        if !strict && !self.tasks.contains_key(name.as_str()) {
            let new = NewTask { id: Some(name.clone()), ..NewTask::default() };
            self.new_task(new, How::new(how.at, Evidence::Inferred))?;
        }
        let task = self.known_task(&name)?;
        let assigned = self.tasks.get(&task).and_then(|task| task.agent.clone());
        let agent = match (text(data, "agent_id"), &assigned) {
            (Some(id), Some(assigned)) if kind != "task_assigned" && strict && **assigned != *id => {
                return Err(Refusal::Invalid(format!("the task is assigned to `{assigned}`, not to `{id}`")));
            }
            (Some(_), None) => Some(self.agent_of(data, strict, &how)?),
            (Some(_), _) if kind == "task_assigned" => Some(self.agent_of(data, strict, &how)?),
            _ => assigned,
        };
        if kind == "task_assigned" && strict {
            let agent = agent.ok_or_else(|| missing("agent_id"))?;
            return self.assign(&name, &agent, &reason(data, "assignment_reason"), how);
        }
        let act = act_of(kind, data, agent.as_ref())?;
        let known =
            ["task_id", "agent_id", "attempt_number", "assignment_reason", "reason", "cancelled_by", "progress"];
        how.more = rest(data, &known);
        self.move_reported(&task, agent.as_ref(), act, strict, &how)?;
        if let Some(agent) = agent {
            let rest = if kind == "task_failed" { AgentStatus::Failed } else { AgentStatus::Idle };
            self.follow_tasks(&agent, rest, How::new(how.at, how.evidence));
        }
        Ok(())
    }

    fn move_reported(
        &mut self,
        task: &TaskId,
        agent: Option<&AgentId>,
        act: Act,
        strict: bool,
        how: &How,
    ) -> Result<(), Refused> {
        match agent {
            Some(agent) if !strict => {
                // What contradicts an end is passed over, not refused: nobody waits for an answer.
                self.force(task, agent, act, how.clone());
                Ok(())
            }
            _ => self.act(task, act, how.clone()),
        }
    }

    /// The agent that a report names. By hook one that is not known is created, inferred.
    fn agent_of(&mut self, data: &Data, strict: bool, how: &How) -> Result<AgentId, Refusal> {
        let id = text(data, "agent_id").ok_or_else(|| missing("agent_id"))?;
        if strict || self.agents.contains_key(id) {
            return self.known_agent(id);
        }
        let new = NewAgent { id: Some(id.to_owned()), ..NewAgent::default() };
        self.new_agent(new, How::new(how.at, Evidence::Inferred))
    }
}

/// The move that a report of this type is.
fn act_of(kind: &str, data: &Data, agent: Option<&AgentId>) -> Result<Act, Refusal> {
    Ok(match kind {
        "task_assigned" => Act::Assign {
            agent: agent.cloned().ok_or_else(|| missing("agent_id"))?,
            reason: reason(data, "assignment_reason"),
        },
        "task_started" => Act::Start,
        "task_progress" => {
            let progress = data.get("progress").map(|value| value.as_f64().filter(|share| (0.0..=1.0).contains(share)));
            if progress == Some(None) {
                return Err(Refusal::Invalid("`progress` is a number from 0 to 1".into()));
            }
            Act::Progress {
                progress: progress.flatten(),
                current: text(data, "current_step").map(signals::clip),
                step: None,
            }
        }
        "task_completed" => Act::Complete,
        "task_failed" => {
            let error = object(data, "error").ok();
            let of = |key| error.and_then(|error| text(error, key)).map(signals::clip);
            let retry = data.get("retry_scheduled").and_then(Value::as_bool).unwrap_or(false);
            Act::Fail { code: of("code"), message: of("message"), retry }
        }
        _ => Act::Cancel { reason: reason(data, "reason"), by: text(data, "cancelled_by").map(signals::clip) },
    })
}

/// A task as a client describes it.
pub(crate) fn new_task(task: &Data) -> Result<NewTask, Refusal> {
    let priority = match task.get("priority") {
        None | Some(Value::Null) => None,
        Some(value) => {
            Some(value.as_u64().ok_or_else(|| Refusal::Invalid("`priority` is a whole number from 0 on".into()))?)
        }
    };
    Ok(NewTask {
        id: text(task, "id").map(str::to_owned),
        description: text(task, "description").map(signals::clip),
        kind: text(task, "type").map(signals::clip),
        priority,
        requires: matching::requirements(task.get("required_capabilities")).map_err(Refusal::Invalid)?,
    })
}

fn text<'a>(data: &'a Data, key: &str) -> Option<&'a str> {
    data.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn reason(data: &Data, key: &str) -> String {
    signals::clip(text(data, key).unwrap_or("reported"))
}

fn object<'a>(data: &'a Data, key: &str) -> Result<&'a Data, Refusal> {
    data.get(key).and_then(Value::as_object).ok_or_else(|| missing(key))
}

fn missing(key: &str) -> Refusal {
    Refusal::Invalid(format!("`{key}` is missing"))
}

/// What a report says beside what is understood: it is passed on.
fn rest(data: &Data, known: &[&str]) -> Data {
    data.iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
