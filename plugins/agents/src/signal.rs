//! What an emitter has said about an agent, in one form for all emitters. Made by `adapters/`, taken by the state
//! machines. Pure values: nothing here knows the bus, a clock or a process.
//!
//! A signal holds what was said and nothing else: what is not known is `None`. Missing steps, ids that must be made up and
//! contradictions between emitters are the business of whoever takes the signals. So are repetitions: emitters tell a prompt,
//! the beginning of a step or an end more than once, and logs tell seconds later what hooks have told.

use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// One thing that an emitter has said.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Whom it concerns.
    pub agent: AgentRef,
    /// The task that it belongs to, by the emitter's own id: a prompt, a turn, or an entry of a task list. Ids are unique
    /// within an agent, not among all.
    pub task: Option<String>,
    /// What was said.
    pub what: What,
    /// When it happened, where the emitter says so; otherwise the time of the event that brought it counts.
    pub at: Option<SystemTime>,
}

/// An agent as an emitter names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AgentRef {
    /// The program: `claude`, `codex`, `opencode`, …; `a2a` for an agent behind that protocol. Two emitters of one program
    /// (hooks, notify, logs) say the same word, and then the same session is the same agent.
    pub program: String,
    /// The emitter's own id of the agent: its session, thread or conversation; of a child its own id. `None`: the emitter
    /// does not say, and only the place (process, pane) tells one agent from another.
    pub session: Option<String>,
    /// The session that started it, when it is a child (a subagent).
    pub parent: Option<String>,
    /// A name that people gave it.
    pub name: Option<String>,
    /// What kind of agent it is, in the emitter's words: `Explore`, `code-reviewer`.
    pub kind: Option<String>,
    /// The directory that it works in.
    pub cwd: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
    /// The version of the program.
    pub version: Option<String>,
}

/// What was said.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The agent is there and has nothing to do yet.
    Started {
        /// It was known before: a session that is resumed or has been compacted. Nothing new is created.
        resumed: bool,
    },
    /// It has been given something to do, and does it at once.
    Prompt {
        /// The prompt, where text is kept.
        text: Option<String>,
        /// Its length in bytes, also where its text is not kept.
        bytes: Option<u64>,
    },
    /// A step of what it does: a tool, a command, a compaction.
    Step(Step),
    /// It works, and there is no more to say: a wait is over, or a model has answered.
    Working,
    /// It waits for somebody.
    Waiting(Wait),
    /// What it did has come to an end; it is there and idle. Without a task it ends the one that is under way.
    Turn(Ended),
    /// The agent is idle. Says nothing about how its task ended.
    Idle,
    /// The agent has gone.
    Gone {
        /// In the emitter's words.
        reason: Option<String>,
    },
    /// The agent is there. What it does is not known.
    Heartbeat,
    /// A task that lives by itself, beside what its agent does at the moment. [`Signal::task`] is its id.
    Task(TaskStep),
    /// A client reports one of the documented events; the type is not checked here.
    Report {
        /// Its type: `task_progress`, `learning_cycle_started`, …
        kind: String,
        /// Its data, as it came.
        data: Map<String, Value>,
    },
}

/// A step of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The tool or what else it is: `Bash`, `mcp__memory__read_graph`, `compact`.
    pub name: String,
    /// Joins its beginning and its end.
    pub id: Option<String>,
    /// `None`: it begins.
    pub done: Option<Done>,
}

/// How a step ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Whether it did what it should, where that is said.
    pub ok: Option<bool>,
    /// How long it took, by the emitter's own clock.
    pub took: Option<Duration>,
}

/// Whom or what an agent waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Somebody must allow a step.
    Permission {
        /// The tool that wants to be allowed.
        step: Option<String>,
    },
    /// Somebody must answer a question or give more input.
    Answer,
    /// Somebody must log in.
    Login,
    /// It is idle, and has been for a while: the next prompt. An agent that is already idle stays so.
    Prompt,
    /// The emitter says that the agent wants to be seen, and not why.
    Attention,
}

/// How a turn or a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Completed,
    /// It did not.
    Failed {
        /// One word for programs, in the emitter's words: `rate_limit`.
        code: Option<String>,
        /// For people, where text is kept.
        message: Option<String>,
    },
    /// Somebody stopped it.
    Interrupted,
}

/// What happens to a task that lives by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskStep {
    /// It is known from now on, and pending.
    Created {
        /// What is to be done, where text is kept.
        description: Option<String>,
    },
    /// It is worked on.
    Started,
    /// It waits for somebody.
    Waiting(Wait),
    /// It has come to its end.
    Ended(Ended),
}

/// Where what an emitter said came from: all that joins an agent with a process and a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The ancestors of the caller, nearest first.
    pub processes: Vec<Ancestor>,
    /// The pane of tmux.
    pub tmux: Option<TmuxPlace>,
    /// The caller's directory.
    pub cwd: Option<String>,
    /// The caller's machine. Where it is another one, its processes and panes are not ours.
    pub host: Option<String>,
}

/// A process above the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was: with the id this names one process for good.
    pub started: u64,
    /// Its command's name.
    pub name: String,
}

/// A pane, as the environment of the caller names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TmuxPlace {
    /// `%3`.
    pub pane: String,
    /// The server's socket.
    pub socket: Option<String>,
    /// The server's process.
    pub server_pid: Option<u32>,
}
