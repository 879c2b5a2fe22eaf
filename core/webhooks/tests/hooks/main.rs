//! Webhooks as an endpoint sees them: over a real bus, posting to a real HTTP server.

#![allow(clippy::unwrap_used)] // tests

mod apply;
mod failures;
mod posts;
mod receiver;
mod resume;
mod world;
