//! Followers over a real router: live, from a store, falling behind, ending.

#![allow(clippy::unwrap_used)] // tests

mod accounts;
mod behind;
mod live;
mod until;
mod world;
