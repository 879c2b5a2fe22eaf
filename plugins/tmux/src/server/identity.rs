//! Which server it is. Ids begin at 0 again when a server is born anew, so an id alone says nothing.

use super::ask::{AskError, Program};
use std::path::PathBuf;

/// A server, as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its process.
    pub(crate) pid: u32,
    /// When it started, in seconds since 1970.
    pub(crate) started: u64,
    /// What it listens on.
    pub(crate) socket: PathBuf,
    /// Its version, such as `3.3a`.
    pub(crate) version: String,
}

impl Server {
    /// Asks who is there.
    pub(crate) fn ask(program: &Program) -> Result<Self, AskError> {
        let answer = program.ask(&["display-message", "-p", "#{pid} #{start_time} #{version}"])?;
        let text = String::from_utf8_lossy(&answer);
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        let started = words.next().and_then(|word| word.parse().ok());
        let version = words.next().unwrap_or_default().to_owned();
        let socket = program.socket().to_owned();
        let server = pid.zip(started).map(|(pid, started)| Self { pid, started, socket, version });
        server.ok_or_else(|| AskError::Strange(format!("it says `{}` of itself", text.trim())))
    }
}
