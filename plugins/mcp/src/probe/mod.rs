//! Talking to servers: over pipes and over HTTP, in both eras of the protocol, with a deadline for everything.
//!
//! One task a server ([`runner`]) owns all that belongs to it; what is said and what it means ([`dialogue`]) is pure.

mod dialogue;
mod http;
mod life;
mod message;
mod pipes;
mod runner;
mod seen;
mod sse;
mod wire;

pub(crate) use runner::{Order, Runner, Target, Timing};
pub(crate) use seen::{Ended, Greeting, Report, Seen, Way};
