//! The gateway over real sockets: its routes, the checks before them, its limits, and its end.

#![allow(clippy::unwrap_used, reason = "clippy allows it in test functions, but not in what they call")]

mod accounts;
mod behind;
mod ending;
mod faults;
mod guards;
mod handshake;
mod history;
mod hooks;
mod ingest;
mod limits;
mod mcp;
mod mcp_events;
mod mcp_figures;
mod mcp_protocol;
mod mcp_rooms;
mod mcp_tools;
mod pace;
mod past;
mod ports;
mod publish;
mod replay;
mod resume;
mod routes;
mod session;
mod sessions;
mod sse;
mod stats;
mod store;
mod stream;
mod streams;
mod wire;
mod world;
