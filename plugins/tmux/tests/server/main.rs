//! The source on real tmux servers, each private to its test.
#![allow(clippy::unwrap_used)] // all of it is a test

mod agents;
mod commands;
mod hostile;
mod lifecycle;
mod output;
mod servers;
mod slow;
mod world;
