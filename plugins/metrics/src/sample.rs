//! One look at the machine's counters, and what two looks say together.

use crate::{
    metric::rounded,
    proc::{Counter, cpu, disks, file::ProcFile, is_ours, memory, network, pressure, rise},
};
use headwater_plugin::payload;
use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

/// The counters of one moment; what could not be read is absent.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// When.
    pub at: Instant,
    /// The same by the clock on the wall.
    pub time: SystemTime,
    /// Ticks of the cores.
    pub cpu: Option<cpu::Times>,
    /// Memory.
    pub memory: Option<memory::Memory>,
    /// Operations of the disks.
    pub disks: Option<Timed<Vec<Counter>>>,
    /// Bytes of the interfaces.
    pub network: Option<Timed<Vec<Counter>>>,
    /// Bytes through the loopback.
    pub loopback: Option<Timed<u64>>,
    /// Microseconds in which something waited, for each of [`RESOURCES`].
    pub pressure: [Option<Timed<u64>>; 3],
}

/// A counter with the moment at which it was read: on a busy machine the reader may have to wait between two of them, and a
/// rate is of the time between the readings.
#[derive(Clone, Debug)]
pub(crate) struct Timed<T> {
    pub(crate) at: Instant,
    pub(crate) value: T,
}

/// What something may have to wait for, by the names of the files.
pub(crate) const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// The group `system_performance` of the event.
#[payload]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SystemPerformance {
    /// Busy share of all cores together, 0 to 100.
    pub cpu_usage_percent: Option<f64>,
    /// MiB not available to programs.
    pub memory_usage_mb: Option<f64>,
    /// Reads and writes completed, per second.
    pub disk_io_ops_per_sec: Option<f64>,
    /// Megabits received and sent, per second.
    pub network_throughput_mbps: Option<f64>,
    /// The part of the memory that is not available to programs.
    pub memory_usage_percent: Option<f64>,
    /// The part of the swap space that is taken.
    pub swap_usage_percent: Option<f64>,
    /// Megabits through the loopback interface, per second; each counts once.
    pub loopback_throughput_mbps: Option<f64>,
    /// The part of the time in which something waited for a core.
    pub cpu_pressure_percent: Option<f64>,
    /// The same for memory.
    pub memory_pressure_percent: Option<f64>,
    /// The same for disks.
    pub io_pressure_percent: Option<f64>,
}

impl SystemPerformance {
    /// What the later sample says, with the rates since the earlier one.
    pub(crate) fn between(before: &Sample, now: &Sample) -> Self {
        let megabits = |bytes: f64| rounded(bytes * 8.0 / 1_000_000.0);
        let things = |before: &Option<Timed<Vec<Counter>>>, now: &Option<Timed<Vec<Counter>>>| {
            rate(before.as_ref(), now.as_ref(), |before, now| rise(before, now))
        };
        let single = |before: &Option<Timed<u64>>, now: &Option<Timed<u64>>| {
            rate(before.as_ref(), now.as_ref(), |before, now| now.checked_sub(*before))
        };
        let waited = |resource: usize| {
            let micros = single(&before.pressure[resource], &now.pressure[resource])?;
            Some(rounded((micros / 10_000.0).min(100.0)))
        };
        let part = |(total, used): (u64, u64)| rounded(used as f64 / total as f64 * 100.0);
        Self {
            cpu_usage_percent: before.cpu.zip(now.cpu).and_then(|(before, now)| cpu::usage(before, now)).map(rounded),
            memory_usage_mb: now.memory.map(|memory| rounded(memory.used as f64 / 1024.0)),
            disk_io_ops_per_sec: things(&before.disks, &now.disks).map(rounded),
            network_throughput_mbps: things(&before.network, &now.network).map(megabits),
            memory_usage_percent: now.memory.filter(|it| it.total > 0).map(|memory| part((memory.total, memory.used))),
            swap_usage_percent: now.memory.and_then(|memory| memory.swap).map(part),
            loopback_throughput_mbps: single(&before.loopback, &now.loopback).map(megabits),
            cpu_pressure_percent: waited(0),
            memory_pressure_percent: waited(1),
            io_pressure_percent: waited(2),
        }
    }
}

/// What has risen between two readings, per second of the time between them.
fn rate<T>(before: Option<&Timed<T>>, now: Option<&Timed<T>>, rise: impl Fn(&T, &T) -> Option<u64>) -> Option<f64> {
    let (before, now) = (before?, now?);
    let seconds = now.at.saturating_duration_since(before.at).max(Duration::from_millis(1)).as_secs_f64();
    Some(rise(&before.value, &now.value)? as f64 / seconds)
}

/// The value, and the middle of the time that it took to read it.
fn timed<T>(read: impl FnOnce() -> Option<T>) -> Option<Timed<T>> {
    let began = Instant::now();
    let value = read()?;
    Some(Timed { at: began + began.elapsed() / 2, value })
}

/// Looks at the counters, with files held open.
#[derive(Debug)]
pub(crate) struct Sampler {
    stat: ProcFile,
    meminfo: ProcFile,
    diskstats: ProcFile,
    net_dev: ProcFile,
    pressure: [ProcFile; 3],
    devices: network::Devices,
    buffer: Vec<u8>,
}

/// Where the machine's interfaces stand. `net` itself is the network of who reads it, which in a container is the
/// container's; that of the first process is the one of the machine to which this directory belongs.
fn net_dev(proc: &Path) -> &'static str {
    let is_mounted = std::fs::symlink_metadata(proc.join("self")).is_ok();
    let of_another = is_mounted && (proc != Path::new("/proc") || !is_ours(proc));
    if of_another { "1/net/dev" } else { "net/dev" }
}

impl Sampler {
    /// Looks below this directory, which is `/proc` but in tests and containers, and into the `sys` beside it.
    pub(crate) fn new(proc: &Path) -> Self {
        Self {
            stat: ProcFile::new(proc, "stat"),
            meminfo: ProcFile::new(proc, "meminfo"),
            diskstats: ProcFile::new(proc, "diskstats"),
            net_dev: ProcFile::new(proc, net_dev(proc)),
            pressure: RESOURCES.map(|name| ProcFile::new(proc, &format!("pressure/{name}"))),
            devices: network::Devices::beside(proc),
            buffer: Vec::new(),
        }
    }

    pub(crate) fn sample(&mut self) -> Sample {
        let (at, time) = (Instant::now(), SystemTime::now());
        let buffer = &mut self.buffer;
        let cpu = self.stat.read(buffer, cpu::parse);
        let interfaces = timed(|| {
            self.net_dev.read(buffer, |text| {
                let interfaces = network::parse(text, |name| self.devices.counts(name));
                let loopback = network::loopback(text);
                (interfaces.is_some() || loopback.is_some()).then_some((interfaces, loopback))
            })
        });
        let (network, loopback) = match interfaces {
            Some(Timed { at, value: (network, loopback) }) => {
                (network.map(|value| Timed { at, value }), loopback.map(|value| Timed { at, value }))
            }
            None => (None, None),
        };
        Sample {
            at,
            time,
            cpu,
            memory: self.meminfo.read(buffer, memory::parse),
            disks: timed(|| self.diskstats.read(buffer, disks::parse)),
            network,
            loopback,
            pressure: self.pressure.each_mut().map(|file| timed(|| file.read(buffer, pressure::some_total))),
        }
    }

    /// The counters by what they are of, with the figures that need them, and why they could not be read.
    pub(crate) fn counters(&self) -> [(&'static str, &'static [&'static str], Option<&str>); 7] {
        let [cpu, memory, io] = &self.pressure;
        [
            ("cpu", &["cpu_usage_percent"], self.stat.fault()),
            ("memory", &["memory_usage_mb", "memory_usage_percent", "swap_usage_percent"], self.meminfo.fault()),
            ("disks", &["disk_io_ops_per_sec"], self.diskstats.fault()),
            ("network", &["network_throughput_mbps", "loopback_throughput_mbps"], self.net_dev.fault()),
            ("cpu_pressure", &["cpu_pressure_percent"], cpu.fault()),
            ("memory_pressure", &["memory_pressure_percent"], memory.fault()),
            ("io_pressure", &["io_pressure_percent"], io.fault()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Instant, busy: u64, operations: u64, bytes: u64) -> Sample {
        Sample {
            at,
            time: SystemTime::UNIX_EPOCH,
            cpu: Some(cpu::Times { busy, total: 1_000 + 2 * busy }),
            memory: Some(memory::Memory { total: 6_144, used: 1_536, swap: Some((100, 50)) }),
            disks: Some(Timed { at, value: vec![("sda".into(), operations)] }),
            network: Some(Timed { at, value: vec![("eth0".into(), bytes)] }),
            loopback: Some(Timed { at, value: 2 * bytes }),
            pressure: [Some(Timed { at, value: busy * 10_000 }), None, Some(Timed { at, value: 5 })],
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
            memory_usage_percent: Some(25.0),
            swap_usage_percent: Some(50.0),
            loopback_throughput_mbps: Some(16.0),
            cpu_pressure_percent: Some(20.0),
            memory_pressure_percent: None,
            io_pressure_percent: Some(0.0),
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
