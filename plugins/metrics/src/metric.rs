//! The figures by name, for alerts and trends: one list of what can be asked for.

use crate::{
    application::ApplicationPerformance, bus::BusPerformance, config::ToldAs, mcp::McpPerformance,
    sample::SystemPerformance,
};
use headwater_plugin::prelude::*;

/// A figure.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Busy share of all cores; of a group, in percent of one core.
    CpuUsagePercent,
    /// MiB that are taken; of a group, what its processes have resident.
    MemoryUsageMb,
    /// The part of the memory that is taken.
    MemoryUsagePercent,
    /// The part of the swap space that is taken.
    SwapUsagePercent,
    /// Reads and writes of the disks.
    DiskIoOpsPerSec,
    /// Megabits through the network's devices.
    NetworkThroughputMbps,
    /// Megabits through the loopback interface.
    LoopbackThroughputMbps,
    /// The part of the time in which something waited for a core.
    CpuPressurePercent,
    /// The part of the time in which something waited for memory.
    MemoryPressurePercent,
    /// The part of the time in which something waited for a disk.
    IoPressurePercent,
    /// Answers of the daemon.
    RequestsPerSecond,
    /// What they took on average.
    AvgResponseTimeMs,
    /// What 95 of 100 took at most.
    P95ResponseTimeMs,
    /// What 99 of 100 took at most.
    P99ResponseTimeMs,
    /// The part of them, 0 to 1, that tell of a fault.
    ErrorRate,
    /// Events published.
    EventsPerSecond,
    /// Events written to clients.
    DeliveriesPerSecond,
    /// Bytes written to clients.
    BytesOutPerSecond,
    /// Events that sources or clients could not get in.
    DroppedEventsPerSecond,
    /// Connections held.
    Connections,
    /// Subscriptions held.
    Subscriptions,
    /// Channels that there are.
    Channels,
    /// Sources that run.
    SourcesUp,
    /// Sources that have failed and wait to be started again.
    SourcesFailing,
    /// MCP servers that answer.
    ActiveServers,
    /// What their answers take on average.
    AvgServerResponseTimeMs,
    /// The part of their answers, 0 to 1, that are errors.
    ServerErrorRate,
    /// The part of their tools, 0 to 1, that was used in the last hour.
    CapabilityUtilization,
    /// Calls of MCP servers that were seen since the look before.
    Calls,
    /// The processes of a group.
    Processes,
}

/// What a look says of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    Value(f64),
    /// Nothing happened that it could be of: no answer was given, no server called.
    Nothing,
    /// Nobody says.
    Unknown,
}

/// The figures of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) system: SystemPerformance,
    pub(crate) application: Option<ApplicationPerformance>,
    pub(crate) bus: Option<BusPerformance>,
    pub(crate) mcp: Option<McpPerformance>,
}

impl Metric {
    /// Its name in events and in the config.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CpuUsagePercent => "cpu_usage_percent",
            Self::MemoryUsageMb => "memory_usage_mb",
            Self::MemoryUsagePercent => "memory_usage_percent",
            Self::SwapUsagePercent => "swap_usage_percent",
            Self::DiskIoOpsPerSec => "disk_io_ops_per_sec",
            Self::NetworkThroughputMbps => "network_throughput_mbps",
            Self::LoopbackThroughputMbps => "loopback_throughput_mbps",
            Self::CpuPressurePercent => "cpu_pressure_percent",
            Self::MemoryPressurePercent => "memory_pressure_percent",
            Self::IoPressurePercent => "io_pressure_percent",
            Self::RequestsPerSecond => "requests_per_second",
            Self::AvgResponseTimeMs => "avg_response_time_ms",
            Self::P95ResponseTimeMs => "p95_response_time_ms",
            Self::P99ResponseTimeMs => "p99_response_time_ms",
            Self::ErrorRate => "error_rate",
            Self::EventsPerSecond => "events_per_second",
            Self::DeliveriesPerSecond => "deliveries_per_second",
            Self::BytesOutPerSecond => "bytes_out_per_second",
            Self::DroppedEventsPerSecond => "dropped_events_per_second",
            Self::Connections => "connections",
            Self::Subscriptions => "subscriptions",
            Self::Channels => "channels",
            Self::SourcesUp => "sources_up",
            Self::SourcesFailing => "sources_failing",
            Self::ActiveServers => "active_servers",
            Self::AvgServerResponseTimeMs => "avg_server_response_time_ms",
            Self::ServerErrorRate => "server_error_rate",
            Self::CapabilityUtilization => "capability_utilization",
            Self::Calls => "calls",
            Self::Processes => "processes",
        }
    }

    /// As what an alert about it is told, where nobody says otherwise: what is a share of the machine as `resource_alert`,
    /// whose shape has no room for anything else.
    pub(crate) fn told_as(self) -> ToldAs {
        match self {
            Self::SourcesUp | Self::SourcesFailing | Self::DroppedEventsPerSecond => ToldAs::SystemAlert,
            _ if self.resource().is_some() => ToldAs::ResourceAlert,
            _ => ToldAs::PerformanceAlert,
        }
    }

    /// The resource of which it is a share.
    pub(crate) fn resource(self) -> Option<&'static str> {
        match self {
            Self::CpuUsagePercent | Self::CpuPressurePercent => Some("cpu"),
            Self::MemoryUsagePercent | Self::MemoryPressurePercent => Some("memory"),
            Self::SwapUsagePercent => Some("swap"),
            Self::IoPressurePercent => Some("disk"),
            _ => None,
        }
    }

    /// Whether groups of processes have it too.
    pub(crate) fn is_of_groups(self) -> bool {
        matches!(self, Self::CpuUsagePercent | Self::MemoryUsageMb | Self::Processes)
    }
}

impl Figures {
    /// One of them; `None` where it is not known.
    pub(crate) fn get(&self, metric: Metric) -> Option<f64> {
        let (system, application, bus, mcp) = (&self.system, &self.application, &self.bus, &self.mcp);
        match metric {
            Metric::CpuUsagePercent => system.cpu_usage_percent,
            Metric::MemoryUsageMb => system.memory_usage_mb,
            Metric::MemoryUsagePercent => system.memory_usage_percent,
            Metric::SwapUsagePercent => system.swap_usage_percent,
            Metric::DiskIoOpsPerSec => system.disk_io_ops_per_sec,
            Metric::NetworkThroughputMbps => system.network_throughput_mbps,
            Metric::LoopbackThroughputMbps => system.loopback_throughput_mbps,
            Metric::CpuPressurePercent => system.cpu_pressure_percent,
            Metric::MemoryPressurePercent => system.memory_pressure_percent,
            Metric::IoPressurePercent => system.io_pressure_percent,
            Metric::RequestsPerSecond => application.as_ref().map(|it| it.requests_per_second),
            Metric::AvgResponseTimeMs => application.as_ref()?.avg_response_time_ms,
            Metric::P95ResponseTimeMs => application.as_ref()?.p95_response_time_ms,
            Metric::P99ResponseTimeMs => application.as_ref()?.p99_response_time_ms,
            Metric::ErrorRate => application.as_ref()?.error_rate,
            Metric::EventsPerSecond => bus.as_ref()?.events_per_second,
            Metric::DeliveriesPerSecond => bus.as_ref()?.deliveries_per_second,
            Metric::BytesOutPerSecond => bus.as_ref()?.bytes_out_per_second,
            Metric::DroppedEventsPerSecond => bus.as_ref()?.dropped_events_per_second,
            Metric::Connections => count(bus.as_ref()?.connections),
            Metric::Subscriptions => count(bus.as_ref()?.subscriptions),
            Metric::Channels => count(bus.as_ref()?.channels),
            Metric::SourcesUp => count(bus.as_ref()?.sources_up),
            Metric::SourcesFailing => count(bus.as_ref()?.sources_failing),
            Metric::ActiveServers => mcp.as_ref().map(|it| it.active_servers as f64),
            Metric::AvgServerResponseTimeMs => mcp.as_ref()?.avg_server_response_time_ms,
            Metric::ServerErrorRate => mcp.as_ref()?.server_error_rate,
            Metric::CapabilityUtilization => mcp.as_ref()?.capability_utilization,
            Metric::Calls => mcp.as_ref().map(|it| it.calls as f64),
            Metric::Processes => None,
        }
    }
}

impl Figures {
    /// One of them, for alerts: they tell a time in which nothing happened from one of which nothing is known.
    pub(crate) fn reading(&self, metric: Metric) -> Reading {
        let nothing_happened = match metric {
            Metric::AvgResponseTimeMs | Metric::P95ResponseTimeMs | Metric::P99ResponseTimeMs | Metric::ErrorRate => {
                self.application.is_some()
            }
            // Who calls no server says nothing.
            Metric::AvgServerResponseTimeMs | Metric::ServerErrorRate => true,
            _ => false,
        };
        match self.get(metric) {
            Some(value) => Reading::Value(value),
            None if nothing_happened => Reading::Nothing,
            None => Reading::Unknown,
        }
    }
}

fn count(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

/// Two digits after the point: the counters are not more exact than that.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Four digits, for shares of 1.
pub(crate) fn share(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Harm prevented: the page says that any figure can be asked for, and an alert about one of them is refused.
    #[test]
    fn every_figure_of_the_page_can_be_asked_for() {
        let page = include_str!("../../../docs/metrics.md");
        let tables = page.split_once("## Figures").unwrap().1.split_once("**Trends.**").unwrap().0;
        let rows = tables.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `metrics."));
        let cells = rows.map(|row| row.split('|').nth(1).unwrap());
        let names: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        assert!(names.contains(&"channels") && names.contains(&"calls") && names.len() > 25, "{names:?}");
        for name in names {
            let read: Result<Metric, _> = serde_json::from_value(name.into());
            assert_eq!(read.unwrap_or_else(|error| panic!("{name}: {error}")).name(), name);
        }
    }

    #[test]
    fn the_name_in_events_is_the_one_in_the_config() {
        for metric in [Metric::CpuUsagePercent, Metric::P95ResponseTimeMs, Metric::SwapUsagePercent, Metric::Processes]
        {
            let read: Metric = serde_json::from_value(metric.name().into()).unwrap();
            assert_eq!(read, metric);
        }
    }

    #[test]
    fn only_shares_of_the_machine_are_told_as_resources() {
        assert_eq!(Metric::CpuUsagePercent.told_as(), ToldAs::ResourceAlert);
        assert_eq!(Metric::MemoryUsageMb.told_as(), ToldAs::PerformanceAlert);
        assert_eq!(Metric::SourcesFailing.told_as(), ToldAs::SystemAlert);
    }
}
