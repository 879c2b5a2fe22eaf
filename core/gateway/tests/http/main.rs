//! The gateway over real sockets: its routes, the checks before them, its limits, and its end.

#![allow(clippy::unwrap_used, reason = "clippy allows it in test functions, but not in what they call")]

mod ending;
mod guards;
mod handshake;
mod history;
mod ingest;
mod limits;
mod ports;
mod routes;
mod sessions;
mod streams;
mod wire;
mod world;
