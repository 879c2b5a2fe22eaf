//! The SDK from both sides of the boundary: a source written against it, run by the testkit through the real tables.

mod actor;
mod commands;
mod emitting;
mod lifecycle;
mod logging;
mod panics;
mod reading;
