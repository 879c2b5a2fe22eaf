//! Channel logs, positions, retained snapshots and the hand-over to fan-out shards.
//!
//! Events come from an engine with their positions; the router keeps the last of each channel in memory and tells each
//! shard that watches a channel. It knows no dialect, no connection and no subscription: those are the gateway's, which
//! holds positions and reads by them. There is no queue per subscriber anywhere; the log is the queue.
//!
//! Locks, always taken in this order: the engine's own, the directory (which channels exist, who watches what), one
//! channel's log, then one shard's queue or the snapshots. Nothing here calls the engine with a lock held.

mod attach;
mod counters;
mod directory;
mod error;
mod fanout;
mod limits;
mod log;
mod ring;
mod router;
mod snapshots;

pub use attach::{Attach, From, Paged};
pub use counters::{ChannelInfo, Counters};
pub use error::RouterError;
pub use fanout::{Inbox, MAX_SHARDS, Taken};
/// What publishing and paging speak of; re-exported so that the gateway needs no engine.
pub use headwater_engine::{Ack, EngineError, Outcome, Page, PageLimit, PageLimit as ReadLimit};
pub use limits::LogLimits;
pub use log::{ChannelLog, Read};
pub use router::Router;
