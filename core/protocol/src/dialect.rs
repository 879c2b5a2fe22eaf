//! The seam between values and bytes: one implementation for each protocol that clients speak.

use crate::{Reply, Request, RequestError};
use headwater_event::{Draft, Encoding, Event};

/// A protocol's words: pure functions between requests, replies, events and JSON text.
///
/// An event's text is the same for every connection: frames are made once and shared. What differs per connection
/// goes into replies.
pub trait Dialect: Send + Sync + 'static {
    /// The name, as in logs and metrics.
    fn name(&self) -> &'static str;

    /// Which slot of an event holds this dialect's finished WebSocket frame.
    fn encoding(&self) -> Encoding;

    /// Reads one text message of a client. What it publishes may share its names with an event that the client
    /// published `before`, which mostly has the same ones.
    fn decode(&self, text: &str, before: Option<&Draft>) -> Result<Request, RequestError>;

    /// Appends an event as JSON text.
    fn event(&self, event: &Event, out: &mut Vec<u8>);

    /// Appends a reply as JSON text.
    fn reply(&self, reply: &Reply<'_>, out: &mut Vec<u8>);
}
