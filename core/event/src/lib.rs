//! What the bus carries: the event, the names of channels, the positions in them.
//!
//! Knows neither tokio nor sockets. Every other room of the core builds on these types; none of them is serialised as
//! it stands: the dialect at the edge converts.

mod channel;
mod digits;
mod draft;
mod event;
mod gap;
mod glob;
mod names;
mod payload;
mod position;
mod severity;
mod spare;
mod time;

pub use channel::{ChannelName, ChannelPattern, MAX_NAME, NameError};
pub use draft::Draft;
pub use event::{ENCODINGS, Encoding, Event, Retention};
pub use gap::{Gap, GapReason};
pub use glob::Glob;
pub use names::ChannelMap;
pub use payload::{Payload, PayloadError};
pub use position::{Epoch, Position};
pub use severity::{Evidence, Severity, UnknownWord};
pub use time::Timestamp;
