//! Processes that are counted together: those of a pane, of an agent, of an MCP server, of the daemon, each with all that
//! they have started.
//!
//! | file | owns |
//! |---|---|
//! | `roots` | which processes stand at the top, as other sources tell of them |
//! | `names` | what their groups are called |
//! | `walk` | the processes below them |
//! | `usage` | what they have used between two looks, pure |

mod names;
mod roots;
mod usage;
mod walk;

pub(crate) use roots::{Kind, Roots, Started, TYPES, spoken_of};

use crate::{
    config,
    metric::{Metric, rounded},
    proc::{
        self,
        process::{self, Seen},
    },
};
use headwater_plugin::payload;
use names::Names;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use walk::{Reached, Walk};

/// Ticks of the kernel's clock in a second, as `/proc` has them: 100 on every Linux that there is.
const TICKS: u64 = 100;

/// What a group uses. The rate is absent until it has been looked at twice.
#[payload]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Usage {
    /// What it is called.
    pub(crate) name: String,
    /// `pane`, `agent`, `server` or `daemon`.
    pub(crate) kind: &'static str,
    /// In percent of one core.
    pub(crate) cpu_usage_percent: Option<f64>,
    /// MiB resident, what processes share counted at each.
    pub(crate) memory_usage_mb: f64,
    /// How many processes.
    pub(crate) processes: u64,
}

impl Usage {
    /// A figure of it.
    pub(crate) fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::CpuUsagePercent => self.cpu_usage_percent,
            Metric::MemoryUsageMb => Some(self.memory_usage_mb),
            Metric::Processes => Some(self.processes as f64),
            _ => None,
        }
    }
}

/// A look at all groups.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Those that use most CPU first.
    pub(crate) usages: Vec<Usage>,
    /// The time that the rates cover.
    pub(crate) window: Option<Duration>,
    /// The groups of which not all processes were looked at, or none: there are more than the settings allow.
    pub(crate) cut: BTreeSet<String>,
}

impl Look {
    /// Whether there is a group of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.cut.contains(name) || self.usages.iter().any(|usage| usage.name == name)
    }
}

/// What was found of a group.
#[derive(Debug)]
struct Found {
    kind: &'static str,
    seen: Vec<Seen>,
    /// A process at its top is there. Without one there is no group, though something that it has started may run on.
    is_there: bool,
    cut: bool,
}

/// The groups.
#[derive(Debug)]
pub(crate) struct Groups {
    proc: PathBuf,
    names: Names,
    most: usize,
    page: u64,
    before: BTreeMap<String, Vec<Seen>>,
    looked: Option<(Instant, u64)>,
    walk: Walk,
    /// Why groups, or what is below their first processes, are not known.
    pub(crate) fault: Option<String>,
}

impl Groups {
    pub(crate) fn new(proc: &Path, config: &config::Groups) -> Self {
        Self {
            proc: proc.to_owned(),
            names: Names::new(config),
            most: config.processes.into(),
            page: page_size(),
            before: BTreeMap::new(),
            looked: None,
            walk: Walk::default(),
            fault: None,
        }
    }

    /// Looks at the processes below these roots. Roots whose process is not there any more are forgotten.
    pub(crate) fn look(&mut self, roots: &mut Roots) -> Look {
        if !proc::is_ours(&self.proc) {
            let proc = self.proc.display();
            self.fault =
                Some(format!("the numbers of processes in {proc} are not those by which programs here call them"));
            (self.before, self.looked) = (BTreeMap::new(), None);
            return Look::default();
        }
        let at = Instant::now();
        let since = self.looked.map(|(_, ticks)| ticks);
        let window = self.looked.map(|(then, _)| at.duration_since(then)).filter(|window| !window.is_zero());
        let mut now: BTreeMap<String, Found> = BTreeMap::new();
        let walk = &mut self.walk;
        walk.begin(self.most);
        roots.retain(|root| {
            let Some(name) = self.names.of(root) else { return true };
            let kind = root.kind.word();
            let found =
                now.entry(name).or_insert_with(|| Found { kind, seen: Vec::new(), is_there: false, cut: false });
            let reached = walk.below(&self.proc, root.pid, &mut root.started, &mut found.seen);
            found.is_there |= reached != Reached::Nothing;
            found.cut |= reached == Reached::Part;
            reached != Reached::Nothing
        });
        now.retain(|_, found| found.is_there);
        let (before, mut buffer) = (std::mem::take(&mut self.before), Vec::new());
        for (name, found) in &mut now {
            follow_orphans(walk, &self.proc, before.get(name).map_or(&[], Vec::as_slice), found);
        }
        self.fault = walk.fault();
        let cut = now.iter().filter(|(_, found)| found.cut).map(|(name, _)| name.clone()).collect();
        now.retain(|_, found| !found.seen.is_empty());
        let mut resident: HashMap<u32, u64> = HashMap::new();
        let usages = now.into_iter().map(|(name, Found { kind, mut seen, .. })| {
            // One pane may be below another's process, and both of one name.
            seen.sort_unstable_by_key(|process| process.pid);
            seen.dedup_by_key(|process| process.pid);
            let alive = |pid: u32, started: u64| {
                process::look(&self.proc, pid, &mut Vec::new()).is_some_and(|now| now.started == started && !now.ended)
            };
            let used = before.get(&name).zip(since).map(|(before, since)| usage::used(before, &seen, since, alive));
            let rate = used
                .zip(window)
                .map(|(ticks, window)| rounded(ticks as f64 * 100.0 / TICKS as f64 / window.as_secs_f64()));
            let look = |pid: u32, buffer: &mut Vec<u8>| process::pages(&self.proc, pid, buffer).unwrap_or(0);
            let mut pages = |pid: u32| *resident.entry(pid).or_insert_with(|| look(pid, &mut buffer));
            let pages: u64 = seen.iter().map(|process| pages(process.pid)).sum();
            let usage = Usage {
                name: name.clone(),
                kind,
                cpu_usage_percent: rate,
                memory_usage_mb: rounded((pages * self.page) as f64 / f64::from(1 << 20)),
                processes: seen.iter().filter(|process| !process.ended).count() as u64,
            };
            self.before.insert(name, seen);
            usage
        });
        let mut usages: Vec<Usage> = usages.collect();
        usages.sort_by(|a, b| {
            let cpu = |usage: &Usage| usage.cpu_usage_percent.unwrap_or(0.0);
            cpu(b).total_cmp(&cpu(a)).then(b.memory_usage_mb.total_cmp(&a.memory_usage_mb))
        });
        // What has started since this tick is new at the next look.
        self.looked = uptime_ticks(&self.proc).map(|ticks| (at, ticks));
        Look { usages, window, cut }
    }
}

/// Adds those that were in the group, whose parents have ended since, and that run on: the kernel has given them to another
/// parent, but it is the group that started them.
fn follow_orphans(walk: &mut Walk, proc: &Path, before: &[Seen], found: &mut Found) {
    let mut there: HashSet<u32> = found.seen.iter().map(|process| process.pid).collect();
    for left in before.iter().filter(|process| !process.ended) {
        if there.contains(&left.pid) {
            continue;
        }
        let already = found.seen.len();
        let reached = walk.below(proc, left.pid, &mut Some(Started::At(left.started)), &mut found.seen);
        found.cut |= reached == Reached::Part;
        there.extend(found.seen[already..].iter().map(|process| process.pid));
    }
}

/// The machine's clock by which processes' starts are told.
fn uptime_ticks(proc: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(proc.join("uptime")).ok()?;
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some((seconds * TICKS as f64) as u64)
}

/// How large a page is: the kernel tells it to each process as it starts.
fn page_size() -> u64 {
    // AT_PAGESZ of getauxval(3).
    const PAGE_SIZE: u64 = 6;
    let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let mut words = vector.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        if key == PAGE_SIZE {
            return value;
        }
    }
    4096
}

#[cfg(test)]
mod tests;
