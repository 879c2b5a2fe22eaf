//! `headwater mcp-wrap`: neither the client nor the server notices it, and the bus learns how long answers take.

mod bytes;
mod ends;
mod session;

use headwater_tests::{Daemon, PATIENCE};
use std::{process::Stdio, time::Duration};
use tokio::process::{Child, Command};

/// Two programs start before anything comes, and tests on a busy machine start many.
const DEADLINE: Duration = PATIENCE.saturating_mul(3);

/// A shell's command, wrapped, with pipes all around. Nobody listens where it reports to.
fn wrapped(words: &[&str]) -> Command {
    let mut command = Command::new(headwater_tests::headwater_bin());
    command.args(["--url", "http://127.0.0.1:9", "mcp-wrap", "--name", "it", "--"]).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The same in a world, whose daemon it reports to.
fn wrapped_in(daemon: &Daemon, words: &[&str]) -> Command {
    let mut command = daemon.command(&[&["mcp-wrap", "--name", "it", "--"], words].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends a signal to one process.
async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it has not ended").to_string();
    let status = Command::new("kill").args([&format!("-{name}"), &pid]).status().await;
    assert!(status.expect("kill runs").success());
}
