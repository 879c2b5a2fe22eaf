//! In which order agents are told: those that wait for somebody first, and below each the agents that it started.

use super::answer::Agent;
use jiff::Timestamp;

/// What an agent is, in the order in which people want to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Waiting,
    Failed,
    Working,
    Done,
    Idle,
    Unknown,
    Dead,
    /// A word of a later version.
    Other,
}

impl Kind {
    pub(super) fn of(agent: &Agent) -> Self {
        match agent.status.as_str() {
            "waiting" => Self::Waiting,
            "failed" => Self::Failed,
            "active" => Self::Working,
            "idle" if agent.has_done() => Self::Done,
            "idle" => Self::Idle,
            "dead" => Self::Dead,
            "unknown" => Self::Unknown,
            _ => Self::Other,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Working => "working",
            Self::Done => "done",
            Self::Idle => "idle",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
            Self::Other => "?",
        }
    }
}

/// Since when an agent is what it is.
pub(super) fn since(agent: &Agent) -> Option<Timestamp> {
    agent.since.as_deref().and_then(|since| since.parse().ok())
}

/// Where an agent stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of the agents it is.
    pub(super) at: usize,
    /// How many agents of the list are above it.
    pub(super) depth: usize,
}

/// The agents in order.
pub(super) fn order(agents: &[Agent]) -> Vec<Place> {
    let mut sorted: Vec<usize> = (0..agents.len()).collect();
    // Of one kind, the one that is so the longest comes first.
    sorted.sort_by(|&one, &other| {
        let (a, b) = (&agents[one], &agents[other]);
        Kind::of(a).cmp(&Kind::of(b)).then_with(|| since(a).cmp(&since(b))).then_with(|| a.id.cmp(&b.id))
    });
    let mut placed = vec![false; agents.len()];
    let mut places = Vec::with_capacity(agents.len());
    for &first in &sorted {
        // An agent stands where the first of its family would: a child that waits is not hidden below one that works.
        let top = ancestor(agents, first);
        let mut family = vec![Place { at: top, depth: 0 }];
        while let Some(place) = family.pop() {
            if std::mem::replace(&mut placed[place.at], true) {
                continue;
            }
            places.push(place);
            let children = sorted.iter().rev().filter(|&&at| parent(agents, at) == Some(place.at));
            family.extend(children.map(|&at| Place { at, depth: place.depth + 1 }));
        }
    }
    places
}

/// The agent that started this one, where it is in the list.
fn parent(agents: &[Agent], at: usize) -> Option<usize> {
    let parent = agents[at].parent.as_ref()?;
    agents.iter().position(|agent| agent.id == *parent).filter(|&parent| parent != at)
}

/// The topmost above an agent. Agents that name each other are all their own.
fn ancestor(agents: &[Agent], at: usize) -> usize {
    let mut top = at;
    for _ in 0..agents.len() {
        match parent(agents, top) {
            Some(above) => top = above,
            None => return top,
        }
    }
    at
}
