//! Which MCP servers the config files of this machine's clients name. It reads files and tells what changed in them; it
//! starts nothing and connects to nothing.
//!
//! The source waits on what changes and asks [`Pins`] before it runs a command: a line in somebody's config file is no
//! permission.

mod change;
mod clients;
mod digest;
mod jsonc;
mod launch;
mod pins;
mod place;
mod server;
mod variables;
mod watch;

pub use change::{Change, Fault};
pub use digest::{Digest, DigestError};
pub use launch::{Http, Launch, Stdio};
pub use pins::{Permit, Pins};
pub use place::{Place, Settings, UnknownFile};
pub use server::{Client, Discovered, LONGEST_ID, Origin};
pub use variables::NotReady;
pub use watch::Watch;
