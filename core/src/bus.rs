//! The bus as the host sees it: the implementation of the host's ports over the router.

use crate::reading::Readers;
use headwater_event::{ChannelName, Draft, Payload, Severity};
use headwater_host::{DeliverySink, Ports, PublishRefused, SubscriptionHandle};
use headwater_router::Router;
use serde_json::Value;
use std::sync::Arc;

/// The channel of the daemon's own events.
const SYSTEM_EVENTS: &str = "system_events";

/// What the daemon's own events name as their source.
const DAEMON: &str = "headwater";

/// Publishes to the router, and reads for sources.
pub(crate) struct Bus {
    router: Arc<Router>,
    readers: Readers,
}

impl Bus {
    /// Over a running router.
    pub(crate) fn new(router: Arc<Router>, readers: Readers) -> Self {
        Self { router, readers }
    }

    /// Publishes an event of the daemon itself.
    pub(crate) fn announce(&self, kind: &str, severity: Severity, data: &Value) {
        announce(&self.router, kind, severity, data);
    }
}

/// Publishes an event of the daemon itself, for those who have no more than the router.
pub(crate) fn announce(router: &Router, kind: &str, severity: Severity, data: &Value) {
    let channel = ChannelName::new(SYSTEM_EVENTS).expect("the name is well formed");
    let data = Payload::new(data.to_string().into()).expect("a value always writes valid JSON");
    let mut draft = Draft::new(channel, kind, DAEMON, data);
    draft.severity = Some(severity);
    if let Err(error) = router.publish(vec![draft]) {
        tracing::warn!(%error, kind, "cannot publish an event of the daemon");
    }
}

impl Ports for Bus {
    fn publish(&self, batch: Vec<Draft>) -> Result<(), PublishRefused> {
        // The ack of a durable engine comes later; a source does not wait for it.
        self.router.publish(batch).map(drop).map_err(|error| PublishRefused(error.to_string()))
    }

    fn subscribe(&self, source: &str, request: &[u8], sink: DeliverySink) -> Result<SubscriptionHandle, String> {
        self.readers.subscribe(source, request, sink)
    }
}
