//! What the benchmark of the tmux source is made of: a private tmux server, a daemon that watches it, and what people do
//! today instead, which is to ask tmux again and again.

mod poller;
mod server;
mod watcher;

pub use poller::{Capture, Poller, Seen};
pub use server::{Hand, Tmux};
pub use watcher::{Heard, Watcher};
