//! The source: looks, emits, waits.

use crate::sample::{Sample, Sampler, SystemPerformance};
use headwater_plugin::prelude::*;
use std::path::PathBuf;

/// The first event comes after this time, however long the interval is.
const FIRST_WINDOW: Period = Period::from_millis(200);

/// A shorter interval is raised to this: the kernel counts the cores' time in ticks of 10 ms, and below ten ticks the
/// share jumps by more than it says.
const SHORTEST: Period = Period::from_millis(100);

/// This machine's CPU, memory, disk and network.
#[config]
#[derive(Debug)]
pub struct Config {
    /// How often to look; at least "100ms".
    #[default = "1s"]
    interval: Period,
    /// Where the proc file system is mounted; in a container perhaps the host's. The `sys` beside it says which network
    /// interfaces are devices.
    #[default = "/proc"]
    proc: PathBuf,
}

/// The source.
#[derive(Debug)]
pub struct Metrics;

/// The data of `performance_metrics_update`.
#[payload]
struct Update {
    /// First, since a narrow terminal shows the beginning.
    metrics: Groups,
    interval: Period,
    /// The time that the rates cover.
    window_ms: u64,
}

/// The groups of figures. Only the machine's own are known here.
#[payload]
struct Groups {
    system_performance: SystemPerformance,
}

impl Source for Metrics {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        let interval = config.interval.max(SHORTEST);
        if interval != config.interval {
            warn!(
                "an interval of {} is too short for the kernel's counters: looking every {interval}",
                config.interval
            );
        }
        let mut sampler = Sampler::new(&config.proc);
        let mut before: Option<Sample> = None;
        // Rates need two looks: the first event comes after a short window, the others after the interval.
        let mut pause = interval.min(FIRST_WINDOW);
        while ctx.every(pause).await.is_some() {
            let now = sampler.sample();
            if let Some(before) = &before {
                let update = Update {
                    interval,
                    window_ms: now.at.saturating_duration_since(before.at).as_millis() as u64,
                    metrics: Groups { system_performance: SystemPerformance::between(before, &now) },
                };
                let event = ctx.event("performance_metrics", "performance_metrics_update");
                event.evidence(Evidence::Polled).key("system").emit(&update).await?;
                pause = interval;
            }
            before = Some(now);
        }
        Ok(())
    }
}
