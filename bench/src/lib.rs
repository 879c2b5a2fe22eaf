//! Side-by-side benchmarks. Ratios of one interleaved run are what counts: absolute figures drift with the machine.
//!
//! The binaries in `src/bin` are what `cargo xtask bench` runs. They know nothing of Headwater's crates: the daemon is
//! measured from outside, as a child process, by the same client as its peers.

pub mod crowd;
pub mod frames;
pub mod http;
pub mod link;
pub mod pacer;
pub mod past;
pub mod payload;
pub mod process;
pub mod programs;
pub mod publisher;
pub mod report;
pub mod scenario;
pub mod server;
pub mod tmux;
pub mod tongue;
