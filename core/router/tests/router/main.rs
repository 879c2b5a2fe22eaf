//! The router as its callers see it: with an engine, publishers and shards on real threads.

#![allow(clippy::unwrap_used)] // tests

mod bounds;
mod fanout;
mod publish;
mod store;
mod watchers;
mod world;
