//! This machine's CPU, memory, disk and network, what the bus and MCP servers do on it, what groups of processes use, which
//! way it goes, and alerts. `docs/metrics.md` tells what the figures mean.
//!
//! | file | owns |
//! |---|---|
//! | `sample`, `proc/` | the machine's counters: reading them, and what two looks say |
//! | `application`, `bus` | what the daemon tells of itself each second |
//! | `mcp` | MCP servers and calls to them |
//! | `groups/` | processes of panes, agents, servers and the daemon |
//! | `pressure` | the kernel's own watch over saturation |
//! | `trends` | which way a figure goes |
//! | `metric` | the figures by name |
//! | `alerts/` | alerts, pure |
//! | `emit/` | the events |
//! | `past` | how alerts stood before a restart |
//! | `source`, `desk`, `commands` | the loop, what it has before it, what clients may ask |

mod alerts;
mod application;
mod bus;
mod commands;
mod config;
mod desk;
mod emit;
mod groups;
mod mcp;
mod metric;
mod past;
mod pressure;
pub mod proc;
mod sample;
mod source;
mod trends;

pub use config::Config;
pub use source::Metrics;

use commands::{SetInterval, SilenceAlert};

headwater_plugin::export_source!(Metrics {
    emits: ["performance_metrics", "system", "module", "metrics_alerts", "process_groups"],
    reads: ["daemon_metrics", "tmux", "agent", "mcp_servers", "mcp_traffic", "metrics_alerts", "module"],
    commands: [
        /// How often to look, until the source is started anew.
        set_interval(control): SetInterval,
        /// Tells nothing of an alert for some time.
        silence_alert(control): SilenceAlert,
        /// The alerts that there are, and how each stands.
        list_alerts(monitor),
    ],
});
