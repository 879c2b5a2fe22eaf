//! The source through the testkit, with real processes and sockets: what it makes of servers that work, misbehave, are
//! killed, are named in config files, are run by others.
#![allow(clippy::unwrap_used)] // all of it is a test

mod bad;
mod control;
mod files;
mod http;
mod life;
mod others;
mod shapes;
mod world;
