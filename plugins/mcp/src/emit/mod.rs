//! From what has happened to events in the documented shapes. What is not known is left out, also where the shape's authors
//! always had it.

mod events;
mod snapshot;

pub(crate) use events::{Trouble, alert, discovered, error, status_change, unfit};
pub(crate) use snapshot::{forget, snapshot, state};

use headwater_plugin::{
    Evidence, Severity,
    prelude::{Context, Result},
    serde_json::Value,
};
use jiff::Timestamp;

/// Where servers are told of.
pub(crate) const SERVERS: &str = "mcp_servers";

/// Where failures are told of.
pub(crate) const ERRORS: &str = "error_alerts";

/// An event that is to be emitted.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) channel: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
    pub(crate) keep: Keep,
    pub(crate) severity: Severity,
    pub(crate) evidence: Evidence,
    pub(crate) at: Timestamp,
    /// To filter by: `server`, `status`.
    pub(crate) attributes: Vec<(&'static str, String)>,
}

/// Whether an event is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    No,
    /// It is the snapshot of this key.
    As(String),
    /// It takes that snapshot away.
    Forget(String),
}

/// Emits an event.
pub(crate) async fn send(ctx: &mut Context, event: &Event) -> Result<()> {
    if let Keep::Forget(key) = &event.keep {
        return Ok(ctx.forget(event.channel, event.kind, key).await?);
    }
    let mut builder = ctx.event(event.channel, event.kind).severity(event.severity).evidence(event.evidence);
    builder = builder.time(event.at.into());
    for (name, value) in &event.attributes {
        builder = builder.attribute(name, value);
    }
    if let Keep::As(key) = &event.keep {
        builder = builder.key(key);
    }
    Ok(builder.emit(&event.data).await?)
}
