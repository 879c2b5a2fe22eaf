//! The thread that starts child processes.
//!
//! A child asks the kernel to be killed when its parent dies, and by that the kernel means the thread that started it.
//! A runtime's threads come and go; this one lives as long as the host.

use rustix::process::{Pid, Signal, kill_process_group};
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

type Request = (Command, oneshot::Sender<io::Result<Unclaimed>>);

/// A child on its way to whoever asked for it. One that is not claimed, because the asker went away before or after it was
/// sent, is ended and reaped.
#[derive(Debug)]
struct Unclaimed(Option<Child>);

impl Unclaimed {
    fn claim(mut self) -> Child {
        self.0.take().expect("invariant: a child is claimed once")
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It leads its own group if it was asked to; until it is reaped the number is no other's.
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

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
                // What nobody waits for any more ends here.
                drop(answer.send(command.spawn().map(|child| Unclaimed(Some(child)))));
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
        child.map(Unclaimed::claim).map_err(|error| SpawnError::System { program, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::{io::Errno, process::test_kill_process};
    use std::{
        future::{Future, poll_fn},
        io::{BufRead, BufReader},
        os::unix::process::CommandExt,
        task::Poll,
    };

    #[tokio::test(flavor = "current_thread")]
    async fn a_program_that_is_not_there_is_named() {
        let error = Spawner::new().spawn(Command::new("/nonexistent/program")).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot start /nonexistent/program: No such file"), "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_child_that_nobody_takes_is_ended_and_reaped() {
        let spawner = Spawner::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec sleep 1000"]).process_group(0);
        let (read, write) = io::pipe().unwrap();
        command.stdout(write);
        let mut asked = Box::pin(spawner.spawn(command));
        let waits = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await;
        assert!(waits);
        // The thread does one thing after the other: with this the first child is under way.
        spawner.spawn(Command::new("true")).await.unwrap().wait().unwrap();
        let mut line = String::new();
        BufReader::new(read).read_line(&mut line).unwrap();
        let pid = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        test_kill_process(pid).unwrap();
        drop(asked);
        assert_eq!(test_kill_process(pid), Err(Errno::SRCH));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_child_outlives_the_call() {
        let spawner = Spawner::new();
        let mut child = spawner.spawn(Command::new("true")).await.unwrap();
        assert!(child.wait().unwrap().success());
    }
}
