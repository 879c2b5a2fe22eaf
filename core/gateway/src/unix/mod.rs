//! The unix socket: one JSON object a line in both directions, for programs of this machine that would rather name a file
//! than a port. `echo '{"channel":"a","type":"t"}' | nc -N -U PATH` publishes; a `subscribe` line lets events come.
//!
//! | file | owns |
//! |---|---|
//! | `listener` | the file: bound, private, gone again at the end |
//! | `session` | one connection: its lines in, its answers and events out |
//! | `writer` | its writing half: what is said, as fast as the client takes it |

mod listener;
mod session;
mod writer;

pub use listener::{UnixListenError, UnixListener};
pub(crate) use session::serve;
