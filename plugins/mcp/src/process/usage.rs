//! What a server and the processes below it take: memory, and CPU time since the last look.

use super::{Process, proc};
use headwater_plugin::serde::Serialize;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Ticks of the kernel's clock in a second, as `/proc` has them: 100 on every Linux that there is.
const TICKS: f64 = 100.0;

/// The shortest time over which a share of CPU is told: the kernel counts in ticks of 10 ms.
const SHORTEST: Duration = Duration::from_millis(200);

/// What the processes of a server take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(crate = "headwater_plugin::serde")]
pub struct Usage {
    /// Memory of all its processes, in MiB. What two of them share is counted twice.
    pub memory_mb: f64,
    /// The same, of the machine's memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<f64>,
    /// CPU time since the last look, of all cores together; unknown at the first look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// How many processes they are.
    pub processes: u32,
}

/// Looks at processes again and again.
#[derive(Debug)]
pub(crate) struct Meter {
    before: HashMap<Process, (u64, Instant)>,
    page: f64,
    total: Option<f64>,
    cores: f64,
}

impl Default for Meter {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            before: HashMap::new(),
            page: rustix::param::page_size() as f64 / (1024.0 * 1024.0),
            total: total_memory(),
            cores: cores as f64,
        }
    }
}

impl Meter {
    /// What these processes and those below them take. Nothing where none of them runs.
    pub(crate) fn look(&mut self, roots: &[Process]) -> Option<(Usage, Vec<Process>)> {
        let now = Instant::now();
        let (mut pages, mut ticks, mut longest) = (0, 0, Duration::ZERO);
        let mut all = Vec::new();
        for root in roots.iter().filter(|root| proc::runs(**root)) {
            for (pid, stat) in proc::tree(root.pid) {
                let process = Process { pid, started: stat.started };
                if stat.ended || all.contains(&process) {
                    continue;
                }
                all.push(process);
                pages += stat.pages;
                match self.before.get(&process) {
                    Some((before, at)) if now - *at >= SHORTEST => {
                        ticks += stat.ticks.saturating_sub(*before);
                        longest = longest.max(now - *at);
                        self.before.insert(process, (stat.ticks, now));
                    }
                    Some(_) => {}
                    None => {
                        self.before.insert(process, (stat.ticks, now));
                    }
                }
            }
        }
        if all.is_empty() {
            return None;
        }
        let memory_mb = pages as f64 * self.page;
        let cpu = (longest > Duration::ZERO)
            .then(|| (ticks as f64 / TICKS / longest.as_secs_f64() / self.cores * 100.0).min(100.0));
        let usage = Usage {
            memory_mb: tenths(memory_mb),
            memory_percent: self.total.map(|total| tenths(memory_mb / total * 100.0).min(100.0)),
            cpu_percent: cpu.map(tenths),
            processes: all.len() as u32,
        };
        Some((usage, all))
    }

    /// Forgets processes that have ended.
    pub(crate) fn tidy(&mut self) {
        self.before.retain(|process, _| proc::runs(*process));
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The machine's memory in MiB.
fn total_memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_that_computes_takes_cpu_and_one_that_sleeps_takes_none() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let mut calm = Command::new("sleep").arg("600").spawn().unwrap();
        let process = |child: &std::process::Child| proc::process(child.id()).unwrap();
        let (busy_one, calm_one) = (process(&busy), process(&calm));
        // To begin takes time of its own.
        let sleeps = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains("(sleep) S");
        while !sleeps(calm.id()) {
            std::thread::yield_now();
        }
        let mut meter = Meter::default();
        let (first, _) = meter.look(&[busy_one]).unwrap();
        assert_eq!(first.cpu_percent, None, "one look says nothing");
        assert!(first.memory_mb > 0.0 && first.processes == 1);
        meter.look(&[calm_one]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let taken = loop {
            let usage = meter.look(&[busy_one]).unwrap().0;
            match usage.cpu_percent {
                Some(cpu) if cpu > 0.0 => break cpu,
                _ => assert!(Instant::now() < deadline, "it computes, and no CPU time is told"),
            }
            std::thread::yield_now();
        };
        // Two looks that are too near to each other say nothing.
        let calm_cpu = loop {
            if let Some(cpu) = meter.look(&[calm_one]).unwrap().0.cpu_percent {
                break cpu;
            }
            assert!(Instant::now() < deadline, "nothing is told of the other");
            std::thread::yield_now();
        };
        for child in [&mut busy, &mut calm] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(taken <= 100.0);
        assert!(calm_cpu < 0.1, "{calm_cpu}");
        assert_eq!(meter.look(&[busy_one, calm_one]), None, "they are gone");
        meter.tidy();
        assert!(meter.before.is_empty());
    }
}
