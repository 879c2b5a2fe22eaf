//! A process that runs, in a process group of its own.

use super::ending::describe;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::{
    io,
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::timeout,
};

/// A child process. Dropped, it and all of its group are killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    /// Readable once the process has ended. No signal handler and no thread are needed for that.
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl Process {
    /// Watches a child that was started as the leader of its own process group.
    pub(crate) fn new(mut child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        match watch(pid) {
            Ok(ended) => Ok(Self { child, pid, ended, reaped: false }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended; it is not reaped by this. Dropping the future loses nothing.
    pub(crate) async fn ended(&self) {
        // An error means that the runtime is going away.
        let _ = self.ended.readable().await;
    }

    /// Kills the process and what it has started in its group.
    pub(crate) fn kill(&mut self) {
        // Until it is reaped, the number belongs to it and to nobody else.
        if !self.reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Waits so long for its end, and kills it then. Says in words how it ended, and whether that was a success.
    pub(crate) async fn end_within(&mut self, patience: Duration) -> (String, bool) {
        let unknown = |error: io::Error| (format!("ended in an unknown way: {error}"), false);
        if let Ok(status) = timeout(patience, self.wait()).await {
            return status.map_or_else(unknown, |status| (describe(status), status.success()));
        }
        self.kill();
        let killed = || ("closed its output and did not end; it was killed".to_owned(), false);
        self.wait().await.map_or_else(unknown, |_| killed())
    }

    /// Waits until the process has ended, ends what it left running in its group, and says how it ended.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.ended().await;
        self.kill();
        let status = self.child.wait();
        self.reaped = true;
        status
    }
}

// The replacement is unsafe for the sake of types whose descriptor can change; an `OwnedFd` has one for its life.
#[allow(deprecated)]
fn watch(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd_open(pid, PidfdFlags::NONBLOCK)?, Interest::READABLE)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if !self.reaped {
            // It was killed, so this takes no longer than the kernel does.
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, BufReader},
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };

    fn shell(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).process_group(0).spawn().unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_ending_is_seen_and_told() {
        let long = Duration::from_mins(1);
        let end = async |script, patience| Process::new(shell(script)).unwrap().end_within(patience).await;
        assert_eq!(end("exit 3", long).await, ("exited with 3".into(), false));
        assert_eq!(end("exit 0", long).await, ("exited with 0".into(), true));
        assert_eq!(end("kill -SEGV $$", long).await, ("killed by signal 11 (SIGSEGV)".into(), false));
        let (words, success) = end("sleep 1000", Duration::from_millis(1)).await;
        assert!(words.contains("it was killed") && !success);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_it_started_ends_with_it() {
        let mut child = shell("sleep 1000 & echo $!; exec sleep 1000");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let watched = watch(grandchild).unwrap();
        drop(Process::new(child).unwrap());
        let _ended = watched.readable().await.unwrap();
    }
}
