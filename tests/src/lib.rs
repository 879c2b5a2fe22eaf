//! Builds worlds for journeys: a real daemon with its own directories, real sources, real clients. Nothing here is
//! mocked, and nothing outside the world's directory is touched.

mod browser;
mod built;
mod client;
mod conversation;
mod endpoint;
mod http;
mod process;
mod tmux;
mod wait;
mod world;

pub use browser::Browser;
pub use built::{built, fixture, headwater_bin, node_modules, python};
pub use client::{Client, Closed};
pub use conversation::{Step, conversations, fits};
pub use endpoint::Endpoint;
pub use http::{Answer, try_post};
pub use process::{cpu_nanos, pid_of, resident_bytes, runs};
pub use tmux::{Tmux, User};
pub use wait::{PATIENCE, eventually};
pub use world::{Daemon, World};
