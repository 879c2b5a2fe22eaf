//! Events as a test sees them: what the source emitted, and what the test delivers to it.

use headwater_plugin::{
    __private::abi::{EventRef, flags},
    Evidence, Severity,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// An event that the source emitted.
#[derive(Clone, Debug, PartialEq)]
pub struct TestEvent {
    /// Where.
    pub channel: String,
    /// What happened.
    pub kind: String,
    /// The data.
    pub data: Value,
    /// The key, where it is kept as a snapshot.
    pub retained: Option<String>,
    /// The key whose snapshot it takes away.
    pub forgets: Option<String>,
    /// How bad it is, where the source says so.
    pub severity: Option<Severity>,
    /// How the source knows, where it says so.
    pub evidence: Option<Evidence>,
    /// Flat strings to filter by.
    pub attributes: BTreeMap<String, String>,
    /// When it was observed, where the source says so.
    pub time: Option<SystemTime>,
}

impl TestEvent {
    /// Copies what the source hands over. Payloads that are no JSON come as the reason.
    pub(crate) fn copy(event: &EventRef<'_>) -> Result<Self, String> {
        let data = serde_json::from_slice(event.payload.as_slice())
            .map_err(|error| format!("the data of an event on `{}` is no JSON: {error}", event.channel))?;
        let key = |flag| (event.flags & flag != 0).then(|| event.key.to_string());
        let severities = [Severity::Debug, Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
        let evidences = [Evidence::Observed, Evidence::Inferred, Evidence::Polled];
        Ok(Self {
            channel: event.channel.to_string(),
            kind: event.kind.to_string(),
            data,
            retained: key(flags::RETAIN),
            forgets: key(flags::FORGET),
            severity: severities.into_iter().find(|s| *s as u8 == flags::severity(event.flags)),
            evidence: evidences.into_iter().find(|e| *e as u8 == flags::evidence(event.flags)),
            attributes: event.attributes.iter().map(|a| (a.name.to_string(), a.value.to_string())).collect(),
            time: (event.time_ns != 0)
                .then(|| UNIX_EPOCH + Duration::from_nanos(u64::try_from(event.time_ns).unwrap_or(0))),
        })
    }
}

/// An event of the bus, to be delivered to the source.
#[derive(Clone, Debug)]
pub struct BusEvent {
    pub(crate) channel: String,
    pub(crate) kind: String,
    pub(crate) json: Vec<u8>,
    pub(crate) source: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) key: String,
    pub(crate) flags: u64,
    pub(crate) offset: Option<u64>,
    pub(crate) time: Option<SystemTime>,
}

impl BusEvent {
    /// An event that another source, `elsewhere`, emitted.
    pub fn new(channel: &str, kind: &str, data: &Value) -> Self {
        Self {
            channel: channel.into(),
            kind: kind.into(),
            json: data.to_string().into_bytes(),
            source: "elsewhere".into(),
            attributes: Vec::new(),
            key: String::new(),
            flags: 0,
            offset: None,
            time: None,
        }
    }

    /// Who emitted it.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.source = source.into();
        self
    }

    /// A flat string of it.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.flags |= flags::pack(false, severity as u8, 0);
        self
    }

    /// It is kept as the snapshot of its channel and this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = key.into();
        self.flags |= flags::RETAIN;
        self
    }

    /// It takes the snapshot of its channel and this key away.
    #[must_use]
    pub fn forgets(mut self, key: &str) -> Self {
        self.key = key.into();
        self.flags |= flags::FORGET;
        self
    }

    /// Its place in the channel; without, one more than the last.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// When it happened; without, now.
    #[must_use]
    pub fn time(mut self, time: SystemTime) -> Self {
        self.time = Some(time);
        self
    }
}
