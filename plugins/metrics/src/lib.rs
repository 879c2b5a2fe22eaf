//! This machine's CPU, memory, disk and network, looked at every `interval`.
//!
//! Emitted as `performance_metrics_update` on `performance_metrics`, and kept as the snapshot `system`. What the numbers
//! mean:
//!
//! | field of `metrics.system_performance` | meaning |
//! |---|---|
//! | `cpu_usage_percent` | busy share of all cores together, 0 to 100; waiting for I/O counts as idle |
//! | `memory_usage_mb` | memory that is not available to programs (`MemTotal − MemAvailable`), in MiB of 1,048,576 bytes, as `free -m` has it |
//! | `disk_io_ops_per_sec` | reads and writes that whole disks completed, per second; see [`proc::disks`] for which count |
//! | `network_throughput_mbps` | received and sent together, in megabits (1,000,000 bits) per second; see [`proc::network`] for which interfaces count |
//!
//! `interval` is the configured one. `window_ms` is the time that the rates cover: the first event comes after a short
//! first window, so that a client need not wait for a long interval. A counter that cannot be read leaves its field out;
//! nothing is made up. The other groups of the event (application, `vsm`, `mcp`, trends) are not this machine's and are absent.

pub mod proc;
mod sample;
mod source;

pub use sample::{Sample, SystemPerformance};
pub use source::{Config, Metrics};

headwater_plugin::export_source!(Metrics { emits: ["performance_metrics"], commands: [] });
