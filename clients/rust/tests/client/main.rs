//! The client against a scripted daemon.

// A script that is disappointed panics; that is the failed test.
#![allow(clippy::unwrap_used)]

mod calls;
mod follow;
mod scripted;
