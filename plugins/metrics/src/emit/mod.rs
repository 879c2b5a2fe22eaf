//! What the source says: its events, in the seeds' shapes. What is not known is absent.

mod alert;
mod module;
mod update;

pub(crate) use alert::{Circumstances, alert};
pub(crate) use module::{MODULE, Module, Modules, STATUS};
pub(crate) use update::{GroupsUpdate, Update};

use crate::config::AlertSeverity;
use headwater_plugin::{Severity, prelude::*};
use jiff::Timestamp;

/// An event that is to be emitted.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) channel: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    pub(crate) evidence: Evidence,
    /// The key under which it is kept.
    pub(crate) key: Option<String>,
    pub(crate) data: Value,
}

impl Event {
    pub(crate) async fn emit(&self, ctx: &mut Context) -> Result<()> {
        let mut event = ctx.event(self.channel, self.kind).severity(self.severity).evidence(self.evidence);
        if let Some(key) = &self.key {
            event = event.key(key);
        }
        Ok(event.emit(&self.data).await?)
    }
}

/// The word for it, in events as in the config.
pub(crate) fn severity_word(severity: AlertSeverity) -> &'static str {
    match severity {
        AlertSeverity::Info => "info",
        AlertSeverity::Warning => "warning",
        AlertSeverity::Error => "error",
        AlertSeverity::Critical => "critical",
    }
}

/// RFC 3339, in UTC, with microseconds.
pub(crate) fn time(at: Timestamp) -> String {
    format!("{at:.6}")
}
