//! One look at the machine's counters, and what two looks say together.

use crate::proc::{Counter, cpu, disks, file::ProcFile, memory, network, rise};
use headwater_plugin::payload;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The counters of one moment; what could not be read is absent.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// Ticks of the cores.
    pub cpu: Option<cpu::Times>,
    /// KiB taken.
    pub memory: Option<u64>,
    /// Operations of the disks.
    pub disks: Option<Vec<Counter>>,
    /// Bytes of the interfaces.
    pub network: Option<Vec<Counter>>,
}

/// The group `system_performance` of the event.
#[payload]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SystemPerformance {
    /// Busy share of all cores together, 0 to 100.
    pub cpu_usage_percent: Option<f64>,
    /// MiB not available to programs.
    pub memory_usage_mb: Option<f64>,
    /// Reads and writes completed, per second.
    pub disk_io_ops_per_sec: Option<f64>,
    /// Megabits received and sent, per second.
    pub network_throughput_mbps: Option<f64>,
}

impl SystemPerformance {
    /// What the later sample says, with the rates since the earlier one.
    pub fn between(before: &Sample, now: &Sample) -> Self {
        let seconds = now.at.saturating_duration_since(before.at).max(Duration::from_millis(1)).as_secs_f64();
        let rate = |before: &Option<Vec<Counter>>, now: &Option<Vec<Counter>>| {
            Some(rise(before.as_ref()?, now.as_ref()?)? as f64 / seconds)
        };
        Self {
            cpu_usage_percent: before.cpu.zip(now.cpu).and_then(|(before, now)| cpu::usage(before, now)).map(rounded),
            memory_usage_mb: now.memory.map(|kib| rounded(kib as f64 / 1024.0)),
            disk_io_ops_per_sec: rate(&before.disks, &now.disks).map(rounded),
            network_throughput_mbps: rate(&before.network, &now.network)
                .map(|bytes| rounded(bytes * 8.0 / 1_000_000.0)),
        }
    }
}

/// Two digits after the point: the counters are not more exact than that.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Looks at the counters, with files held open.
#[derive(Debug)]
pub(crate) struct Sampler {
    stat: ProcFile,
    meminfo: ProcFile,
    diskstats: ProcFile,
    net_dev: ProcFile,
    devices: network::Devices,
    buffer: Vec<u8>,
}

impl Sampler {
    /// Looks below this directory, which is `/proc` but in tests and containers, and into the `sys` beside it.
    pub(crate) fn new(proc: &Path) -> Self {
        Self {
            stat: ProcFile::new(proc, "stat"),
            meminfo: ProcFile::new(proc, "meminfo"),
            diskstats: ProcFile::new(proc, "diskstats"),
            net_dev: ProcFile::new(proc, "net/dev"),
            devices: network::Devices::beside(proc),
            buffer: Vec::new(),
        }
    }

    pub(crate) fn sample(&mut self) -> Sample {
        Sample {
            at: Instant::now(),
            cpu: self.stat.read(&mut self.buffer, cpu::parse),
            memory: self.meminfo.read(&mut self.buffer, memory::used_kib),
            disks: self.diskstats.read(&mut self.buffer, disks::parse),
            network: self.net_dev.read(&mut self.buffer, |text| network::parse(text, |name| self.devices.counts(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Instant, busy: u64, operations: u64, bytes: u64) -> Sample {
        Sample {
            at,
            cpu: Some(cpu::Times { busy, total: 1_000 + 2 * busy }),
            memory: Some(1_536),
            disks: Some(vec![("sda".into(), operations)]),
            network: Some(vec![("eth0".into(), bytes)]),
        }
    }

    #[test]
    fn rates_are_per_second_of_the_time_that_has_really_passed() {
        let start = Instant::now();
        let before = sample(start, 0, 100, 0);
        let now = sample(start + Duration::from_millis(2_500), 50, 225, 2_500_000);
        let expected = SystemPerformance {
            cpu_usage_percent: Some(50.0),
            memory_usage_mb: Some(1.5),
            disk_io_ops_per_sec: Some(50.0),
            network_throughput_mbps: Some(8.0),
        };
        assert_eq!(SystemPerformance::between(&before, &now), expected);
    }

    #[test]
    fn what_is_missing_on_either_side_is_absent() {
        let start = Instant::now();
        let whole = sample(start, 1, 1, 1);
        let mut part = sample(start + Duration::from_secs(1), 2, 2, 2);
        part.disks = None;
        part.memory = None;
        let performance = SystemPerformance::between(&whole, &part);
        assert_eq!((performance.disk_io_ops_per_sec, performance.memory_usage_mb), (None, None));
        assert!(performance.cpu_usage_percent.is_some() && performance.network_throughput_mbps.is_some());
        assert_eq!(SystemPerformance::between(&part, &whole).disk_io_ops_per_sec, None);
    }
}
