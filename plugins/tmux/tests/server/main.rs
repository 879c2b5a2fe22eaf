//! The source on real tmux servers, each private to its test.
#![allow(clippy::unwrap_used)] // all of it is a test

mod lifecycle;
mod servers;
mod world;
