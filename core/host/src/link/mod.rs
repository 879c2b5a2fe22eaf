//! The link between the daemon and an instance of a plugin: frames over a socket pair, or over memory for
//! `isolation = "thread"`. Both sides are always the same build, so nothing here has to be compatible with anything.
//!
//! A frame is its length (4 bytes, little-endian, of what follows), a kind (1 byte) and a body: see [`message`]. Each
//! side writes into an [`outbox`], which is where batches form and where flow control stands: an instance may have a
//! window of events under way, and gets credit back as the daemon publishes them.

pub(crate) mod assembler;
pub(crate) mod event;
pub(crate) mod message;
pub(crate) mod outbox;
