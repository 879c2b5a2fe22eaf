//! The states of a task and the moves between them.

use super::Refused;

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// Nobody does it yet.
    Pending,
    /// An agent is to do it.
    Assigned,
    /// An agent does it.
    Started,
    /// It is done.
    Completed,
    /// It was tried and failed. With `retry` another attempt was announced, and the task is still open.
    Failed {
        /// Whether another attempt was announced.
        retry: bool,
    },
    /// Somebody gave it up.
    Cancelled,
}

/// What can happen to a task that exists. Each is an event, by whose type it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskMove {
    /// An agent is to do it; while it has not begun, another one may be.
    Assign,
    /// The agent begins, or begins again.
    Start,
    /// The agent is at a step.
    Progress,
    /// It is done.
    Complete,
    /// This attempt has failed.
    Fail {
        /// Whether another one is announced.
        retry: bool,
    },
    /// Somebody gives it up.
    Cancel,
}

impl TaskMove {
    /// The type of its event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Assign => "task_assigned",
            Self::Start => "task_started",
            Self::Progress => "task_progress",
            Self::Complete => "task_completed",
            Self::Fail { .. } => "task_failed",
            Self::Cancel => "task_cancelled",
        }
    }

    fn target(self) -> TaskStatus {
        match self {
            Self::Assign => TaskStatus::Assigned,
            Self::Start | Self::Progress => TaskStatus::Started,
            Self::Complete => TaskStatus::Completed,
            Self::Fail { retry } => TaskStatus::Failed { retry },
            Self::Cancel => TaskStatus::Cancelled,
        }
    }
}

impl TaskStatus {
    /// The word for it in events and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status that this word means; a failed one says beside it whether a retry was announced.
    pub fn parse(word: &str, retry: bool) -> Option<Self> {
        let all =
            [Self::Pending, Self::Assigned, Self::Started, Self::Completed, Self::Failed { retry }, Self::Cancelled];
        all.into_iter().find(|status| status.name() == word)
    }

    /// Whether nothing can happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed { retry: false } | Self::Cancelled)
    }

    /// The types of the events that may come next.
    pub fn allowed(self) -> &'static [&'static str] {
        match self {
            Self::Pending => &["task_assigned", "task_cancelled"],
            // It may fail before it begins: its agent has gone.
            Self::Assigned => &["task_assigned", "task_started", "task_failed", "task_cancelled"],
            Self::Started => &["task_progress", "task_completed", "task_failed", "task_cancelled"],
            Self::Failed { retry: true } => &["task_started", "task_failed", "task_cancelled"],
            Self::Completed | Self::Failed { retry: false } | Self::Cancelled => &[],
        }
    }

    /// Makes this move, or says what is possible instead.
    pub fn go(self, by: TaskMove) -> Result<Self, Refused> {
        if self.allowed().contains(&by.name()) {
            return Ok(by.target());
        }
        Err(Refused { from: self.name(), wanted: by.name(), allowed: self.allowed().to_vec() })
    }

    /// The moves that are missing before this one, in order; `None`: nothing leads there.
    pub fn missing(self, by: TaskMove) -> Option<&'static [TaskMove]> {
        if self.allowed().contains(&by.name()) {
            return Some(&[]);
        }
        match (self, by) {
            (Self::Pending, TaskMove::Start | TaskMove::Fail { .. }) => Some(&[TaskMove::Assign]),
            (Self::Pending, TaskMove::Progress | TaskMove::Complete) => Some(&[TaskMove::Assign, TaskMove::Start]),
            (Self::Assigned | Self::Failed { retry: true }, TaskMove::Progress | TaskMove::Complete) => {
                Some(&[TaskMove::Start])
            }
            _ => None,
        }
    }
}
