//! What the source `agents` answers. A field that this version does not know is passed on to programs, and one that is
//! missing is not shown.

use crate::Failure;
use headwater_client::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The agents, as they came and as they are shown.
#[derive(Debug)]
pub(super) struct Answer {
    /// Each as it came.
    pub(super) lines: Vec<Box<RawValue>>,
    /// The same, read.
    pub(super) agents: Vec<Agent>,
}

/// An agent.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Agent {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) since: Option<String>,
    /// Why it is so, in one word.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// The tool that it waits to be allowed.
    #[serde(default)]
    pub(super) waits_for: Option<String>,
    #[serde(default)]
    pub(super) task: Option<Task>,
    #[serde(default)]
    pub(super) pane: Option<Pane>,
    #[serde(default)]
    pub(super) cwd: Option<String>,
    /// The agent that started it.
    #[serde(default)]
    pub(super) parent: Option<String>,
    /// Its program.
    #[serde(default)]
    pub(super) emitter: Option<String>,
    #[serde(default)]
    metrics: Metrics,
}

/// How many of an agent's tasks have ended, however long ago.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Metrics {
    #[serde(rename = "tasks_completed")]
    completed: u64,
    #[serde(rename = "tasks_failed")]
    failed: u64,
    #[serde(rename = "tasks_cancelled")]
    cancelled: u64,
}

/// What an agent does.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Task {
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) step: Option<String>,
}

/// Where an agent is seen.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Pane {
    #[serde(default)]
    pub(super) session: Option<String>,
    #[serde(default)]
    pub(super) window: Option<RawText>,
    #[serde(default)]
    #[serde(rename = "pane_id")]
    pub(super) id: Option<String>,
}

/// A number or a text: windows have both.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawText {
    Number(u64),
    Text(String),
}

impl Answer {
    pub(super) fn read(result: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Whole {
            agents: Vec<Box<RawValue>>,
        }
        let wrong = |error: serde_json::Error| Failure::from(Error::Protocol(error.to_string()));
        let whole: Whole = serde_json::from_str(result).map_err(wrong)?;
        let agents = whole.agents.iter().map(|agent| serde_json::from_str(agent.get()));
        let agents = agents.collect::<Result<Vec<Agent>, _>>().map_err(wrong)?;
        Ok(Self { lines: whole.agents, agents })
    }
}

impl Agent {
    /// It has done something: an idle one of these is done, another has not begun.
    pub(super) fn has_done(&self) -> bool {
        self.metrics.completed > 0 || self.metrics.failed > 0 || self.metrics.cancelled > 0
    }
}
