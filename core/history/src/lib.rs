//! Questions about the past: pages of a range, aggregates, and the clock of a replay.
//!
//! A [`Query`] says which events; it is answered a [`Page`] at a time, or, with an [`Aggregate`], with [`Points`]. What is
//! in the store and what only memory holds is one past: the router's logs are read first, the store below them. Answers
//! block on a disk, so that callers on a runtime move them to a blocking thread; each call is bounded ([`Budget`]) and
//! can be withdrawn ([`Withdrawal`]). Nothing here knows a wire format, but for the JSON of a point.

mod aggregate;
mod cursor;
mod effort;
mod error;
mod metric;
mod page;
mod points;
mod query;
mod replay;
mod stream;
mod tally;
mod window;

pub use aggregate::{Aggregate, Granularity, MAX_BUCKETS, MAX_METRICS};
pub use cursor::Cursor;
pub use effort::{Budget, WithdrawOnDrop, Withdrawal};
pub use error::HistoryError;
pub use page::Page;
pub use points::Points;
pub use query::{DEFAULT_LIMIT, MAX_BYTES, MAX_CHANNELS, MAX_LIMIT, Order, Query, Span};
pub use replay::{ReplayClock, Speed, SpeedError};
