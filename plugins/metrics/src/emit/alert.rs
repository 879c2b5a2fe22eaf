//! `resource_alert`, `performance_alert` and `system_alert`: an alert fires, or is resolved. Each of them says which by
//! `state`, and `alert_id` joins the two.
//!
//! Causes and recommendations name what has been seen beside the alert, such as the busiest groups of processes. Where
//! nothing has, the lists are empty: the source has no advice to give that it did not look up.

use super::{Event, severity_word, time};
use crate::{
    alerts::{Notice, Standing},
    config::{AlertSeverity, ToldAs},
    groups::Usage,
    metric::{Metric, rounded},
    trends::Trend,
};
use headwater_plugin::{Severity, prelude::*};
use jiff::Timestamp;

/// Groups that are named with an alert.
const NAMED: usize = 3;

/// What is known beside an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) at: Timestamp,
    /// The trend of its figure.
    pub(crate) trend: Option<Trend>,
    /// The groups of processes, those that use most CPU first.
    pub(crate) groups: &'a [Usage],
    /// What is concerned: the sources that failed, the servers that are unwell.
    pub(crate) components: &'a [String],
    /// How it is known.
    pub(crate) evidence: Evidence,
}

/// The event of a notice.
pub(crate) fn alert(notice: &Notice, beside: &Circumstances<'_>) -> Event {
    let definition = &notice.definition;
    let firing = notice.standing == Standing::Firing;
    let (channel, kind, mut data) = match definition.told_as {
        ToldAs::ResourceAlert => ("system", "resource_alert", resource(notice, beside)),
        ToldAs::PerformanceAlert => ("performance_metrics", "performance_alert", performance(notice, beside)),
        ToldAs::SystemAlert => ("system", "system_alert", system(notice, beside)),
    };
    data["alert_id"] = notice.id.as_str().into();
    data["alert"] = notice.name.as_str().into();
    data["metric"] = definition.metric.name().into();
    data["severity"] = severity_word(definition.severity).into();
    data["state"] = if firing { "firing" } else { "resolved" }.into();
    data["since"] = time(notice.since).into();
    if let Standing::Resolved { reason } = notice.standing {
        data["reason"] = reason.into();
    }
    let severity = match definition.severity {
        _ if !firing => Severity::Info,
        AlertSeverity::Info => Severity::Info,
        AlertSeverity::Warning => Severity::Warning,
        AlertSeverity::Error => Severity::Error,
        AlertSeverity::Critical => Severity::Critical,
    };
    Event { channel, kind, severity, evidence: beside.evidence, key: None, data }
}

/// A share of the machine.
fn resource(notice: &Notice, beside: &Circumstances<'_>) -> Value {
    let definition = &notice.definition;
    let mut data = json!({
        "resource": definition.metric.resource(),
        "threshold_percent": definition.rule.threshold,
        "recommendations": causes(notice, beside).iter().map(|cause| format!("look at {cause}")).collect::<Vec<_>>(),
        "timestamp": time(beside.at),
    });
    put(&mut data, "usage_percent", notice.value.map(rounded));
    put(&mut data, "trend", beside.trend.map(|trend| trend.direction.word()));
    data
}

fn performance(notice: &Notice, beside: &Circumstances<'_>) -> Value {
    let mut details = json!({
        "threshold": notice.definition.rule.threshold,
        "duration_minutes": rounded(notice.lasted.as_secs_f64() / 60.0),
    });
    put(&mut details, "current_value", notice.value);
    put(&mut details, "trend", beside.trend.map(|trend| trend.direction.word()));
    let rate = beside.trend.and_then(|trend| trend.per_minute);
    put(&mut details, "rate_of_change", rate.map(|rate| (rate * 1_000.0).round() / 1_000.0));
    json!({
        "details": details,
        "affected_components": components(notice, beside),
        "potential_causes": causes(notice, beside),
        "recommended_actions": [],
    })
}

fn system(notice: &Notice, beside: &Circumstances<'_>) -> Value {
    let definition = &notice.definition;
    let (metric, bound) = (definition.metric.name(), definition.rule.threshold);
    let side = if definition.rule.above { "above" } else { "below" };
    let value = notice.value.map_or_else(|| "not known".to_owned(), |value| value.to_string());
    let message = match notice.standing {
        Standing::Firing => format!("{metric} is {value}, {side} {bound}"),
        Standing::Resolved { reason } => format!("{metric} is {value}: {reason}"),
    };
    let level = match definition.severity {
        AlertSeverity::Info => "info",
        AlertSeverity::Warning => "warning",
        AlertSeverity::Error | AlertSeverity::Critical => "critical",
    };
    let mut details = json!({
        "threshold": bound,
        "affected_components": components(notice, beside),
    });
    put(&mut details, "current_value", notice.value);
    let title = match notice.standing {
        Standing::Firing => format!("{}: {metric} {side} {bound}", notice.name),
        Standing::Resolved { .. } => format!("{}: over", notice.name),
    };
    json!({ "level": level, "title": title, "message": message, "details": details, "timestamp": time(beside.at) })
}

fn components(notice: &Notice, beside: &Circumstances<'_>) -> Vec<String> {
    match notice.group() {
        Some(group) => vec![group.to_owned()],
        None => beside.components.to_vec(),
    }
}

/// The groups that use most of what is short.
fn causes(notice: &Notice, beside: &Circumstances<'_>) -> Vec<String> {
    use Metric::{
        CpuPressurePercent, CpuUsagePercent, MemoryPressurePercent, MemoryUsageMb, MemoryUsagePercent, SwapUsagePercent,
    };
    if notice.standing != Standing::Firing || notice.group().is_some() {
        return Vec::new();
    }
    let mut groups: Vec<&Usage> = beside.groups.iter().collect();
    match notice.definition.metric {
        CpuUsagePercent | CpuPressurePercent => {
            let busy = |usage: &&Usage| usage.cpu_usage_percent.is_some_and(|percent| percent >= 1.0);
            let told = groups.into_iter().filter(busy).take(NAMED);
            told.map(|it| format!("{}: {} % of a core", it.name, it.cpu_usage_percent.unwrap_or_default())).collect()
        }
        MemoryUsagePercent | MemoryUsageMb | MemoryPressurePercent | SwapUsagePercent => {
            groups.sort_by(|a, b| b.memory_usage_mb.total_cmp(&a.memory_usage_mb));
            let told = groups.into_iter().take(NAMED);
            told.map(|it| format!("{}: {} MiB resident", it.name, it.memory_usage_mb)).collect()
        }
        _ => Vec::new(),
    }
}

fn put(data: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        data[key] = value.into();
    }
}
