//! `performance_metrics_update` and `process_groups_update`: the figures of one look.

use crate::{
    application::ApplicationPerformance, bus::BusPerformance, groups::Usage, mcp::McpPerformance, metric::Figures,
    sample::SystemPerformance, trends::Trends,
};
use headwater_plugin::{Period, payload};

/// The data of `performance_metrics_update`.
#[payload]
pub(crate) struct Update {
    /// First, since a narrow terminal shows the beginning.
    pub(crate) metrics: Metrics,
    pub(crate) interval: Period,
    /// The time that the rates cover.
    pub(crate) window_ms: u64,
    pub(crate) trends: Option<Trends>,
}

/// The groups of figures.
#[payload]
#[allow(clippy::struct_field_names, reason = "the members of the event")]
pub(crate) struct Metrics {
    system_performance: SystemPerformance,
    application_performance: Option<ApplicationPerformance>,
    bus_performance: Option<BusPerformance>,
    mcp_performance: Option<McpPerformance>,
}

impl From<&Figures> for Metrics {
    fn from(figures: &Figures) -> Self {
        Self {
            system_performance: figures.system,
            application_performance: figures.application,
            bus_performance: figures.bus,
            mcp_performance: figures.mcp,
        }
    }
}

/// The data of `process_groups_update`.
#[payload]
pub(crate) struct GroupsUpdate<'a> {
    /// Those that use most CPU first.
    pub(crate) groups: &'a [Usage],
    /// The time that the rates cover.
    pub(crate) window_ms: Option<u64>,
    /// Groups that there are and that are not told.
    pub(crate) further: usize,
    /// Whether some processes were not looked at: there are more than the settings allow.
    pub(crate) cut: bool,
}
