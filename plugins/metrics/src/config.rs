//! The settings.

use crate::metric::Metric;
use headwater_plugin::prelude::*;
use std::path::PathBuf;

/// This machine's CPU, memory, disk and network, and what the bus does on it.
#[config]
#[derive(Clone, Debug)]
pub struct Config {
    /// How often to look; at least "100ms".
    #[default = "1s"]
    pub(crate) interval: Period,
    /// Where the proc file system is mounted; in a container perhaps the host's. The `sys` beside it says which network
    /// interfaces are devices.
    #[default = "/proc"]
    pub(crate) proc: PathBuf,
    /// Which processes are counted together.
    #[serde(default)]
    pub(crate) groups: Groups,
    /// Alerts of your own. One with the name of a shipped alert takes its place.
    #[serde(default)]
    pub(crate) alerts: Vec<AlertConfig>,
    /// Whether the shipped alerts count.
    #[default = true]
    pub(crate) shipped_alerts: bool,
    /// Whether the kernel is asked to say at once when programs wait for CPU, memory or disks, for the alerts that are
    /// about that. Without it they are noticed at the next look.
    #[default = true]
    pub(crate) pressure_triggers: bool,
}

/// Processes that are counted together: those of a pane, of an agent, of an MCP server, of the daemon, each with all that it
/// has started. Two groups of one name are one group. An empty name counts none of the kind.
#[config]
#[derive(Clone, Debug)]
pub struct Groups {
    /// How often they are looked at; at least as long as `interval`.
    #[default = "5s"]
    pub(crate) interval: Period,
    /// What the group of a tmux pane is called: `{session}`, `{window}` (its index) and `{pane}` (its id) stand for its own.
    #[default = "pane {session}:{window} {pane}"]
    pub(crate) panes: String,
    /// What that of a coding agent is called: `{name}`, `{id}` and `{type}`.
    #[default = "agent {name}"]
    pub(crate) agents: String,
    /// What that of an MCP server is called: `{name}` and `{id}`.
    #[default = "mcp {name}"]
    pub(crate) servers: String,
    /// What that of the daemon and its sources is called.
    #[default = "headwater"]
    pub(crate) daemon: String,
    /// How many groups are told, those that use most CPU first.
    #[default = 20]
    pub(crate) show: u16,
    /// How many processes are looked at, of all groups together: each costs about 30 µs.
    #[default = 1000]
    pub(crate) processes: u16,
}

impl Default for Groups {
    fn default() -> Self {
        serde_json::from_value(json!({})).expect("invariant: every setting has a default")
    }
}

/// An alert: a figure that is past a bound for some time.
#[config]
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// What events call it.
    pub(crate) name: String,
    /// Which figure.
    pub(crate) metric: Metric,
    /// It fires above this.
    pub(crate) above: Option<f64>,
    /// Or below this.
    pub(crate) below: Option<f64>,
    /// How long the figure must be past the bound, at every look.
    #[serde(rename = "for")]
    #[default = "1m"]
    pub(crate) hold: Period,
    /// What the figure must come back to before the alert is resolved; the bound itself by default.
    pub(crate) clear: Option<f64>,
    /// For how long it must have come back; as long as `for` by default.
    pub(crate) clear_for: Option<Period>,
    /// How bad it is.
    #[default = "warning"]
    pub(crate) severity: AlertSeverity,
    /// The figure of a group of processes instead of the machine's: the group's name; `*` and `?` stand for anything. Each
    /// group that fits has an alert of its own.
    pub(crate) group: Option<String>,
    /// As what it is told: as `resource_alert` (shares of the machine), `performance_alert` or `system_alert`. By default as
    /// what fits the figure.
    pub(crate) told_as: Option<ToldAs>,
}

/// How bad an alert is.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Worth knowing.
    Info,
    /// Wants watching.
    Warning,
    /// Something fails.
    Error,
    /// Something that people depend on fails.
    Critical,
}

/// The event that tells of an alert.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the types of the events")]
pub enum ToldAs {
    /// `resource_alert` on `system`.
    ResourceAlert,
    /// `performance_alert` on `performance_metrics`.
    PerformanceAlert,
    /// `system_alert` on `system`.
    SystemAlert,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_everything_has_a_value() {
        let config: Config = serde_json::from_value(json!({})).unwrap();
        assert!(config.shipped_alerts && config.pressure_triggers && config.alerts.is_empty());
        assert_eq!((config.groups.daemon.as_str(), config.groups.show), ("headwater", 20));
    }

    #[test]
    fn an_alert_is_written_as_people_say_it() {
        let alert = json!({ "name": "hot", "metric": "cpu_usage_percent", "above": 90.0, "for": "30s" });
        let alert: AlertConfig = serde_json::from_value(alert).unwrap();
        assert_eq!((alert.metric, alert.hold), (Metric::CpuUsagePercent, Period::from_secs(30)));
        assert_eq!((alert.severity, alert.clear_for), (AlertSeverity::Warning, None));
    }
}
