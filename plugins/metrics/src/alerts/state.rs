//! How an alert stands, as the data of `alert_state`: the snapshot of an alert that fires or is silenced. Late clients get
//! it, and the source reads it when it starts anew.

use super::{Definition, Rule};
use crate::{
    config::{AlertSeverity, ToldAs},
    emit::severity_word,
    metric::Metric,
};
use headwater_plugin::serde_json::{self, Value, json};
use jiff::Timestamp;
use serde::Deserialize;
use std::time::Duration;

/// How one stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) metric: Metric,
    pub(crate) threshold: f64,
    pub(crate) above: bool,
    pub(crate) severity: AlertSeverity,
    pub(crate) told_as: ToldAs,
    /// Of the firing.
    pub(crate) id: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) told: bool,
    pub(crate) silenced_until: Option<Timestamp>,
}

/// The same as it is written. What a later version adds is passed over.
#[derive(Deserialize)]
struct Written {
    alert: String,
    metric: Metric,
    above: Option<f64>,
    below: Option<f64>,
    severity: AlertSeverity,
    told_as: ToldAs,
    alert_id: Option<String>,
    since: Option<String>,
    #[serde(default)]
    told: bool,
    silenced_until: Option<String>,
}

impl State {
    /// Of an alert that neither fires nor is silenced.
    pub(super) fn new(name: &str, definition: &Definition) -> Self {
        Self {
            name: name.to_owned(),
            metric: definition.metric,
            threshold: definition.rule.threshold,
            above: definition.rule.above,
            severity: definition.severity,
            told_as: definition.told_as,
            id: None,
            since: None,
            told: false,
            silenced_until: None,
        }
    }

    pub(super) fn firing(self, id: &str, since: Timestamp, told: bool) -> Self {
        Self { id: Some(id.to_owned()), since: Some(since), told, ..self }
    }

    /// As it is emitted.
    pub(crate) fn data(&self) -> Value {
        let told_as = match self.told_as {
            ToldAs::ResourceAlert => "resource_alert",
            ToldAs::PerformanceAlert => "performance_alert",
            ToldAs::SystemAlert => "system_alert",
        };
        let mut data = json!({
            "alert": self.name,
            "metric": self.metric.name(),
            "severity": severity_word(self.severity),
            "told_as": told_as,
            "state": if self.id.is_some() { "firing" } else { "quiet" },
        });
        data[if self.above { "above" } else { "below" }] = self.threshold.into();
        if let (Some(id), Some(since)) = (&self.id, self.since) {
            data["alert_id"] = id.as_str().into();
            data["since"] = since.to_string().into();
            data["told"] = self.told.into();
        }
        if let Some(until) = self.silenced_until {
            data["silenced_until"] = until.to_string().into();
        }
        data
    }

    /// As it was emitted; nothing where it cannot be understood.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(data).ok()?;
        let time = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
        Some(Self {
            name: written.alert,
            metric: written.metric,
            threshold: written.above.or(written.below)?,
            above: written.above.is_some(),
            severity: written.severity,
            told_as: written.told_as,
            id: written.alert_id,
            since: time(written.since),
            told: written.told,
            silenced_until: time(written.silenced_until),
        })
    }

    /// The alert that it was, as far as is needed to tell of its end.
    pub(super) fn definition(&self) -> Definition {
        let (name, group) = match self.name.split_once('/') {
            Some((name, group)) => (name.to_owned(), Some(group.to_owned())),
            None => (self.name.clone(), None),
        };
        let (hold, clear_for, clear) = (Duration::ZERO, Duration::ZERO, self.threshold);
        let rule = Rule { above: self.above, threshold: self.threshold, hold, clear, clear_for };
        Definition { name, metric: self.metric, rule, severity: self.severity, told_as: self.told_as, group }
    }
}
