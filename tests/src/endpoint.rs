//! An endpoint of webhooks in another language: a small HTTP server around the `take` of docs/webhooks.md.

use crate::wait::PATIENCE;
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A program that prints its port, and then each post as a line of JSON. What else it prints is passed over.
pub struct Endpoint {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed with it.
    _child: Child,
}

impl Endpoint {
    /// Starts the program and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the endpoint starts");
        let stdout = child.stdout.take().expect("it was asked for");
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.expect("the endpoint listens in time");
        let port = first.ok().flatten().and_then(|line| line.parse().ok()).expect("the endpoint prints its port");
        Self { port, lines, _child: child }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next post.
    ///
    /// # Panics
    /// When none comes.
    pub async fn next(&mut self) -> Value {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a post comes in time");
            let line = line.ok().flatten().expect("the endpoint runs");
            if let Some(post) = serde_json::from_str(&line).ok().filter(Value::is_object) {
                return post;
            }
        }
    }
}
