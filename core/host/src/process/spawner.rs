//! The thread that starts child processes.
//!
//! A child asks the kernel to be killed when its parent dies, and by that the kernel means the thread that started it.
//! A runtime's threads come and go; this one lives as long as the host.

use std::{
    io,
    process::{Child, Command},
    sync::mpsc,
    thread,
};
use tokio::sync::oneshot;

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("cannot start {program}: {error}")]
    System { program: String, error: io::Error },
    #[error("the host is shutting down")]
    Ending,
}

type Request = (Command, oneshot::Sender<io::Result<Child>>);

/// The door of the thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
}

impl Spawner {
    pub(crate) fn new() -> Self {
        // Each source waits for its answer, so at most one request a source waits here.
        let (requests, waiting) = mpsc::channel::<Request>();
        let run = move || {
            for (mut command, answer) in waiting {
                if let Err(Ok(mut child)) = answer.send(command.spawn()) {
                    // Nobody waits for it any more.
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        };
        // A process without room for a thread at its start cannot be a daemon; every spawn will say so.
        let _ = thread::Builder::new().name("hw-spawn".into()).spawn(run);
        Self { requests }
    }

    pub(crate) async fn spawn(&self, command: Command) -> Result<Child, SpawnError> {
        let program = command.get_program().display().to_string();
        let (answer, answered) = oneshot::channel();
        self.requests.send((command, answer)).map_err(|_| SpawnError::Ending)?;
        let child = answered.await.map_err(|_| SpawnError::Ending)?;
        child.map_err(|error| SpawnError::System { program, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_program_that_is_not_there_is_named() {
        let error = Spawner::new().spawn(Command::new("/nonexistent/program")).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot start /nonexistent/program: No such file"), "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_child_outlives_the_call() {
        let spawner = Spawner::new();
        let mut child = spawner.spawn(Command::new("true")).await.unwrap();
        assert!(child.wait().unwrap().success());
    }
}
