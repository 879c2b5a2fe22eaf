//! What Headwater tells of agents, as a text that is the same in each run: who, what, and by what evidence. Agents and tasks
//! are numbered as they appear. Times, ids and paths are left out, and so are states that are sent again.
//!
//! An agent that appears, and one that begins to work or to wait, is told by its hook and seen in its pane. Either may be
//! first, and says the same: such a line stands where the hook's would, and does not say which it was.

use serde_json::Value;
use std::fmt;

/// What a journey waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word<'a> {
    /// An event of this type.
    Event(&'a str),
    /// An agent that hooks tell of now has this status.
    Agent(&'a str),
    /// An agent that is seen in its pane now has this status.
    Pane(&'a str),
}

impl Word<'_> {
    pub(super) fn is(&self, event: &Value) -> bool {
        match self {
            Self::Event(kind) => event["type"] == *kind,
            Self::Agent(status) => {
                let data = &event["data"];
                // Of an agent at work a pane tells no more than that it looks idle.
                let only_seen = *status == "idle" && data["reason"] == "seen";
                event["type"] == "agent_status_changed" && data["new_status"] == *status && !only_seen
            }
            Self::Pane(status) => event["type"] == "agent.status" && event["data"]["status"] == *status,
        }
    }
}

/// A story in parts.
#[derive(Debug, Default)]
pub(super) struct Story {
    parts: Vec<Part>,
    /// By the order in which they were first named.
    agents: Vec<String>,
    tasks: Vec<String>,
}

#[derive(Debug, Default)]
struct Part {
    heading: String,
    told: Vec<String>,
    /// A change that was seen before its hook told what it belongs to.
    early: Option<String>,
    /// What is seen in the pane. It comes beside what hooks tell, sooner or later.
    seen: Vec<String>,
}

impl Story {
    pub(super) fn part(&mut self, heading: &str) {
        self.parts.push(Part { heading: heading.to_owned(), ..Part::default() });
    }

    pub(super) fn tell(&mut self, event: &Value) {
        let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
        let text = |key: &str| data[key].as_str().unwrap_or_default();
        let agent = || data["agent_id"].as_str().or(data["agent"]["id"].as_str());
        let task = || data["task_id"].as_str().or(data["task"]["id"].as_str());
        let words = match kind {
            "agent_created" => data["agent"]["type"].as_str().unwrap_or_default().to_owned(),
            "agent_status_changed" => format!("{} → {}", text("old_status"), text("new_status")),
            "agent_removed" | "task_cancelled" => text("reason").to_owned(),
            "task_created" => data["task"]["status"].as_str().unwrap_or_default().to_owned(),
            "task_assigned" => text("assignment_reason").to_owned(),
            "task_started" | "task_completed" | "agent_performance_updated" => String::new(),
            "task_failed" => data["error"]["code"].as_str().unwrap_or_default().to_owned(),
            "task_progress" => match data["step"]["done"].as_bool() {
                Some(true) => format!("{} done", text("current_step")),
                _ => text("current_step").to_owned(),
            },
            "agent.status" => text("status").to_owned(),
            // The rest of a pane's life is told elsewhere, and snapshots repeat what was told.
            _ => return,
        };
        let mut who: Vec<String> = Vec::new();
        who.extend(agent().map(|id| format!("agent {}", number(&mut self.agents, id))));
        who.extend(task().map(|id| format!("task {}", number(&mut self.tasks, id))));
        if kind == "agent.status" {
            who.push(text("agent").to_owned());
        }
        let evidence = event["evidence"].as_str().expect("every event of a source says its evidence");
        let either =
            kind == "agent_created" || matches!(text("reason"), "seen" | "task_started" | "step" | "permission");
        let evidence = if either { "either" } else { evidence };
        let line = format!("  {kind:<26}{words:<38}{:<18}{evidence}", who.join(", "));
        if self.parts.is_empty() {
            self.part("");
        }
        let part = self.parts.last_mut().expect("there is one now");
        match kind {
            "agent.status" => part.seen.push(line),
            // On a busy machine it takes them so long to start that they are seen before they say anything.
            "agent_status_changed" if text("old_status") == "unknown" && text("new_status") == "idle" => {}
            // Programs that start may look busy for a moment, and then nothing follows.
            "agent_status_changed"
                if text("reason") == "seen" && text("new_status") == "idle" && part.early.take().is_some() => {}
            "agent_status_changed" if text("reason") == "seen" && text("new_status") == "active" => {
                part.early = Some(line);
            }
            _ => part.told.push(line),
        }
        if matches!(kind, "task_started" | "task_progress") {
            part.told.extend(part.early.take());
        }
    }
}

/// The number of an id, the first one being 1.
fn number(known: &mut Vec<String>, id: &str) -> usize {
    let at = known.iter().position(|there| there == id).unwrap_or_else(|| {
        known.push(id.to_owned());
        known.len() - 1
    });
    at + 1
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            writeln!(f, "{}{}", if index > 0 { "\n" } else { "" }, part.heading)?;
            for line in part.told.iter().chain(&part.early).chain(&part.seen) {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}
