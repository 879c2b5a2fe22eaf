//! The alerts that are there without a word in the config: few, and slow to fire, since nobody has asked for them.

use crate::{
    config::{
        AlertConfig,
        AlertSeverity::{Critical, Error, Warning},
    },
    metric::Metric,
};
use headwater_plugin::Period;

/// They.
pub(crate) fn alerts() -> Vec<AlertConfig> {
    let seconds = Period::from_secs;
    let alert = |name: &str, metric, above, clear, hold, clear_for, severity| AlertConfig {
        name: name.to_owned(),
        metric,
        above: Some(above),
        below: None,
        hold,
        clear: Some(clear),
        clear_for: Some(clear_for),
        severity,
        group: None,
        told_as: None,
    };
    vec![
        // A build keeps all cores busy for minutes; that is what they are for.
        alert("cpu", Metric::CpuUsagePercent, 95.0, 80.0, seconds(300), seconds(60), Warning),
        alert("memory", Metric::MemoryUsagePercent, 90.0, 85.0, seconds(30), seconds(30), Warning),
        // Programs stand still while memory is looked for: what follows is often the kernel's killing one.
        alert("memory_pressure", Metric::MemoryPressurePercent, 20.0, 5.0, seconds(4), seconds(30), Critical),
        alert("io_pressure", Metric::IoPressurePercent, 60.0, 30.0, seconds(10), seconds(30), Warning),
        alert("response_time", Metric::P95ResponseTimeMs, 1_000.0, 500.0, seconds(60), seconds(60), Warning),
        alert("errors", Metric::ErrorRate, 0.05, 0.01, seconds(60), seconds(60), Error),
        alert("sources", Metric::SourcesFailing, 0.0, 0.0, seconds(10), seconds(10), Error),
    ]
}
