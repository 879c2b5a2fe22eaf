//! An event before it has a position: what sources and clients hand in.

use crate::{ChannelName, Evidence, Payload, Retention, Severity, Timestamp};
use std::sync::Arc;

/// Everything about an event that its publisher says. The engine adds the position and the id.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where it is published.
    pub channel: ChannelName,
    /// What happened.
    pub kind: Arc<str>,
    /// When it was observed.
    pub time: Timestamp,
    /// The configured source's name, or `client`.
    pub source: Arc<str>,
    /// Absent counts as info.
    pub severity: Option<Severity>,
    /// A few flat strings for cheap filtering.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// How the source knows.
    pub evidence: Option<Evidence>,
    /// Whether it is kept as a snapshot for late subscribers.
    pub retention: Retention,
    /// The payload.
    pub data: Payload,
    /// Says that a second one with the same key is this one again. Who takes events in looks at it; an engine does not.
    pub idempotency_key: Option<Box<str>>,
}

impl Draft {
    /// A draft with the four parts that every event has; time is now, the rest is absent.
    pub fn new(channel: ChannelName, kind: &str, source: &str, data: Payload) -> Self {
        Self {
            channel,
            kind: kind.into(),
            time: Timestamp::now(),
            source: source.into(),
            severity: None,
            attributes: Box::default(),
            evidence: None,
            retention: Retention::None,
            data,
            idempotency_key: None,
        }
    }
}
