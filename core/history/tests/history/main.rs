//! Questions about the past over a router with a store, a store that has lost events, and none.
#![allow(clippy::unwrap_used)]

mod pages;
mod points;
mod world;
