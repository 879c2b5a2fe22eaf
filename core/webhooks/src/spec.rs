//! What one webhook is to do, as the config says it.

use crate::{Backoff, Endpoint, SecretSource};
use headwater_event::{ChannelName, ChannelPattern};
use headwater_filter::Filter;
use std::time::Duration;

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSpec {
    /// What it is called in the log, in events and in the file of its position: letters, digits and `_ - .`, and no dot
    /// at the front.
    pub name: String,
    /// Where each event is posted to.
    pub endpoint: Endpoint,
    /// The channels whose events are sent.
    pub channels: Vec<ChannelPattern>,
    /// Which of their events.
    pub filter: Filter,
    /// Where the secret is found that signs them.
    pub secret: SecretSource,
    /// Whether events are sent.
    pub enabled: bool,
    /// The time the endpoint has to answer.
    pub timeout: Duration,
    /// How often an event is tried before it goes to `dead_letter`; at least once.
    pub attempts: u32,
    /// The pauses between.
    pub backoff: Backoff,
    /// The channel that gets what the endpoint did not take.
    pub dead_letter: ChannelName,
    /// Channels whose events are sent at the same time, at least one.
    pub concurrency: usize,
}
