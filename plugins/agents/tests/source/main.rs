//! The source through the testkit, with real processes: what it makes of hooks, panes, commands and ends.
#![allow(clippy::unwrap_used)] // all of it is a test

mod commands;
mod death;
mod hive;
mod hooks;
mod panes;
mod restart;
#[allow(dead_code)] // the tests within the crate use the rest
mod schema;
mod shapes;
mod world;
