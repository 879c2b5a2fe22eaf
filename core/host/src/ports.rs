//! The host's doors into the bus: where events go, and how a reading source gets the events of others.
//!
//! The binary implements [`Ports`] over the router. The host calls it from the tasks of the sources.

use crate::source::reading::Window;
use headwater_event::{Draft, Event};
use std::{any::Any, fmt, sync::Arc};

/// The bus took none of the batch; the reason is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PublishRefused(pub String);

/// The source ended, or gave the subscription up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subscription has ended")]
pub struct SinkClosed;

/// What the host needs of the bus.
pub trait Ports: Send + Sync + 'static {
    /// Publishes a batch. Called from a source's task: it must not block.
    fn publish(&self, batch: Vec<Draft>) -> Result<(), PublishRefused>;

    /// Begins to deliver events to a source. `request` is the body of a native subscribe message as the source wrote
    /// it, with `subscription` as its number; the error is told to the source as a notice. Called from a source's task:
    /// it must not block. Dropping the handle ends the subscription.
    fn subscribe(&self, source: &str, request: &[u8], sink: DeliverySink) -> Result<SubscriptionHandle, String>;
}

/// A running subscription; dropping it ends it.
pub struct SubscriptionHandle(#[allow(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

impl SubscriptionHandle {
    /// Keeps `guard` until the source no longer wants the events.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for SubscriptionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubscriptionHandle")
    }
}

/// Where the events for one subscription of one source go.
///
/// It waits instead of queueing: a source has at most a window of events under way, and the reader of the log stays where
/// it is until there is room. So a slow source costs no memory; it falls behind like any client.
#[derive(Clone, Debug)]
pub struct DeliverySink {
    pub(crate) subscription: u64,
    pub(crate) window: Arc<Window>,
}

impl DeliverySink {
    /// The number that the source gave the subscription.
    pub fn subscription(&self) -> u64 {
        self.subscription
    }

    /// Hands events over in this order; returns once all have been passed on.
    pub async fn deliver(&self, events: &[Arc<Event>]) -> Result<(), SinkClosed> {
        self.window.deliver(self.subscription, events).await
    }

    /// Tells the source something about the subscription: a native message such as `gap`, `lag` or `error`, as JSON.
    pub fn notice(&self, message: &[u8]) -> Result<(), SinkClosed> {
        self.window.notice(self.subscription, message)
    }
}
