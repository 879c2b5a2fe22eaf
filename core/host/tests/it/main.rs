//! The host with real child processes, real plugin files and real programs; only the bus is a list.
#![allow(clippy::unwrap_used)] // clippy knows test functions, not what they call

mod commands;
mod faults;
mod lifecycle;
mod programs;
mod reading;
mod reload;
mod tables;
mod world;
