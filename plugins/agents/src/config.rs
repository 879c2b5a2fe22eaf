//! The settings.

use headwater_plugin::prelude::*;

/// Agents and their tasks.
#[config]
#[derive(Debug)]
pub struct Config {
    /// How often `hive_status_update` comes when nothing changes; at least "1s".
    #[default = "5s"]
    pub(crate) status_interval: Period,
    /// How long the end of a turn may be contradicted before it is told: a hook may send the agent on, and a title may
    /// flicker.
    #[default = "750ms"]
    pub(crate) settle: Period,
    /// How long an agent that reports heartbeats may be quiet before it is given up.
    #[default = "30s"]
    pub(crate) heartbeat_deadline: Period,
    /// How long any other agent may be quiet whose process and pane are not known, such as one on another machine.
    #[default = "1d"]
    pub(crate) silence_deadline: Period,
    /// How long `get_status` tells of agents and tasks after their end, and `hive_status_update` of alerts.
    #[default = "10m"]
    pub(crate) remember: Period,
    /// Whether pending tasks that require capabilities are given to idle agents that have them.
    #[default = true]
    pub(crate) assign: bool,
    /// Servers of opencode on this machine whose events are read: `"http://127.0.0.1:4096"`.
    #[default = []]
    pub(crate) opencode: Vec<String>,
}
