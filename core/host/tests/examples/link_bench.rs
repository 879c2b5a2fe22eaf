//! What an event costs on its way from a plugin to the bus: wall and CPU time, for both isolations.
//!
//! `cargo run --release -p headwater-host --example link-bench [EVENTS]`, after `cargo build --release -p headwater-host
//! --examples`. The plugin is the tests' own, which publishes events of 256 bytes one by one without an SDK; the bus counts
//! and drops them.
#![allow(clippy::unwrap_used)] // a measurement, not a program

use headwater_config::{Isolation, Program, SourceConfig, Supervision};
use headwater_event::Draft;
use headwater_host::{
    DeliverySink, Discovery, Host, HostOptions, Ports, PublishRefused, SourceState, SubscriptionHandle,
};
use std::{
    collections::BTreeMap,
    env, fs, process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

struct Bus {
    wanted: u64,
    events: AtomicU64,
    batches: AtomicU64,
    all: Notify,
}

impl Ports for Bus {
    fn publish(&self, batch: Vec<Draft>) -> Result<(), PublishRefused> {
        let count = batch.iter().filter(|event| &*event.kind == "bench").count() as u64;
        self.batches.fetch_add(1, Relaxed);
        if self.events.fetch_add(count, Relaxed) + count >= self.wanted {
            self.all.notify_one();
        }
        Ok(())
    }

    fn subscribe(&self, _: &str, _: &[u8], _: DeliverySink) -> Result<SubscriptionHandle, String> {
        Err("nothing to read".into())
    }
}

/// Nanoseconds on a processor, of all threads of a process.
fn cpu(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let times = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    times.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

fn resident(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("?");
    line.trim().to_owned()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted = env::args().nth(1).map_or(2_000_000, |text| text.parse().unwrap());
    let here = env::current_exe().unwrap().parent().unwrap().to_owned();
    for isolation in [Isolation::Process, Isolation::Thread] {
        let state = tempfile::tempdir().unwrap();
        let bus = Arc::new(Bus { wanted, events: 0.into(), batches: 0.into(), all: Notify::new() });
        let options = HostOptions {
            discovery: Discovery::new([here.clone()]),
            state_dir: state.path().to_owned(),
            child_command: vec![here.join("plugin-host").into()],
            supervision: Supervision::default(),
        };
        let host = Host::new(options, bus.clone());
        let mut config = SourceConfig::new("bench", Program::Plugin("fixture".into()));
        config.isolation = isolation;
        config.settings.insert("mode".into(), "bench".into());
        config.settings.insert("events".into(), wanted.into());
        let (began, own) = (Instant::now(), cpu(process::id()));
        host.apply(&BTreeMap::from([("bench".to_owned(), config)])).await;
        let status = host.statuses().remove(0);
        assert_eq!(status.state, SourceState::Up, "{status:?}");
        bus.all.notified().await;
        let (took, own) = (began.elapsed(), cpu(process::id()) - own);
        let child = status.pid.map_or(0, cpu);
        let events = bus.events.load(Relaxed);
        println!(
            "{isolation:?}: {} ns wall, {} ns CPU per event (daemon {}, child {}), {} events a batch, child {}",
            took.as_nanos() as u64 / events,
            (own + child) / events,
            own / events,
            child / events,
            events / bus.batches.load(Relaxed),
            status.pid.map_or("-".into(), resident),
        );
        tokio::time::timeout(Duration::from_secs(20), host.shutdown()).await.unwrap();
    }
}
