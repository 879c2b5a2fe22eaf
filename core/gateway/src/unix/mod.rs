//! The unix socket: one JSON object a line in both directions, for programs of this machine that would rather name a file
//! than a port. `echo '{"channel":"a","type":"t"}' | nc -N -U PATH` publishes; a `subscribe` line lets events come.
//!
//! | file | owns |
//! |---|---|
//! | `listener` | the file: bound, private, gone again at the end |
//! | `connection` | one connection: its two halves, and which of them ends it |
//! | `session` | its reading half: what the client says, and the answers and events that follow |
//! | `writer` | its writing half: what is said, as fast as the client takes it |

mod connection;
mod listener;
mod session;
mod writer;

pub(crate) use connection::serve;
pub use listener::{UnixListenError, UnixListener};
