//! The states of an agent. There is none for an agent that has gone: it is removed.

use super::Refused;

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentStatus {
    /// It has nothing to do.
    Idle,
    /// It works.
    Active,
    /// It waits for somebody.
    Waiting,
    /// What it did last has failed, and it does nothing since.
    Failed,
    /// It is there, and nothing tells what it does: it is seen in a pane, and says nothing there.
    Unknown,
}

impl AgentStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Active, Self::Waiting, Self::Failed, Self::Unknown];

    /// The word for it in events and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The status that this word means.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == word)
    }

    /// What may come next. An agent that has failed waits for nobody: it works again first.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Idle => &[Self::Active, Self::Waiting, Self::Failed, Self::Unknown],
            Self::Active => &[Self::Idle, Self::Waiting, Self::Failed, Self::Unknown],
            Self::Waiting => &[Self::Active, Self::Idle, Self::Failed, Self::Unknown],
            Self::Failed => &[Self::Active, Self::Idle, Self::Unknown],
            Self::Unknown => &[Self::Idle, Self::Active, Self::Waiting, Self::Failed],
        }
    }

    /// Goes to `to`, or says what is possible instead.
    pub fn go(self, to: Self) -> Result<Self, Refused> {
        if self.next().contains(&to) {
            return Ok(to);
        }
        let allowed = self.next().iter().map(|status| status.name()).collect();
        Err(Refused { from: self.name(), wanted: to.name(), allowed })
    }

    /// The step that is missing on the way to `to`, where one move is not enough.
    pub fn missing(self, to: Self) -> Option<Self> {
        (self == Self::Failed && to == Self::Waiting).then_some(Self::Active)
    }
}
