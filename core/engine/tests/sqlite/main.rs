//! The durable engine: that it keeps every promise of an engine, and what is its own: lives, faults, retention.

#![allow(clippy::unwrap_used)] // a test crate

mod faults;
mod files;
mod killed;
mod lives;
mod page;
mod promises;
mod retention;
mod verified;
mod world;
