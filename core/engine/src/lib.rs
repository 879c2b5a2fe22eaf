//! Who assigns positions and keeps history: the [`Engine`] trait, the in-memory engine, the durable one over SQLite with
//! what verifies its file, and the suite that every engine must pass.
//!
//! The router is the only caller. An engine knows no subscriber and no connection; it takes batches of drafts, gives
//! each event its place, hands it back and, if it has a store, reads the past.

mod ack;
pub mod conformance;
mod engine;
mod error;
mod ids;
mod memory;
mod sqlite;

pub use ack::{Ack, Outcome, Receipt};
pub use engine::{Committed, Engine, Head, Page, PageLimit};
pub use error::EngineError;
pub use memory::MemoryEngine;
pub use sqlite::{
    ChannelRule, Durability, Keep, MovedAside, Notice, Notices, OpenError, Opened, Problem, Report, SqliteEngine,
    SqliteOptions, Stats, VerifyError, verify,
};
