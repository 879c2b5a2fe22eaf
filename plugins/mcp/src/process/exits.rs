//! Whether processes live: a pidfd each, which becomes readable when its process ends.

use super::{Process, proc};
use headwater_plugin::{
    Evidence,
    tokio::{
        io::{Interest, unix::AsyncFd},
        task::{AbortHandle, JoinSet},
        time::{Duration, sleep},
    },
    tracing::warn,
};
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{collections::HashMap, io, os::fd::OwnedFd};

/// How often a process is looked at for which there is no pidfd: too many descriptors are open, or the kernel has none.
const LOOK: Duration = Duration::from_secs(1);

/// A pidfd that can be waited for.
pub(crate) type Pidfd = AsyncFd<OwnedFd>;

/// Processes that are watched; each is a task of this set.
#[derive(Debug, Default)]
pub(crate) struct Exits {
    watches: JoinSet<(Process, Evidence)>,
    running: HashMap<Process, AbortHandle>,
}

impl Exits {
    /// Watches a process, once. One that is not there any more ends at once.
    pub(crate) fn watch(&mut self, process: Process) {
        if self.running.contains_key(&process) {
            return;
        }
        let watch = match open(process) {
            Ok(Some(pidfd)) => self.watches.spawn(async move {
                // An error means that the descriptor cannot be waited for; the process is not known to have ended.
                match pidfd.readable().await {
                    Ok(_) => (process, Evidence::Observed),
                    Err(_) => polled(process).await,
                }
            }),
            Ok(None) => self.watches.spawn(async move { (process, Evidence::Polled) }),
            Err(error) => {
                warn!(pid = process.pid, %error, "no pidfd: looking every second");
                self.watches.spawn(polled(process))
            }
        };
        self.running.insert(process, watch);
    }

    /// Watches only these from now on.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&Process) -> bool) {
        self.running.retain(|process, watch| {
            let keep = wanted(process);
            if !keep {
                watch.abort();
            }
            keep
        });
    }

    /// The next one that ends; it waits for ever while none is watched. Cancel-safe.
    pub(crate) async fn next(&mut self) -> (Process, Evidence) {
        loop {
            match self.watches.join_next().await {
                Some(Ok((process, evidence))) => {
                    // Those that are watched no more are told no more.
                    if self.running.remove(&process).is_some() {
                        return (process, evidence);
                    }
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

async fn polled(process: Process) -> (Process, Evidence) {
    while proc::runs(process) {
        sleep(LOOK).await;
    }
    (process, Evidence::Polled)
}

/// A pidfd of this process; nothing if it has ended.
pub(crate) fn open(process: Process) -> io::Result<Option<Pidfd>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let pidfd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(pidfd) => pidfd,
        // None has this id, or only a thread has it.
        Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Looked at only now that the descriptor holds whoever has the id: it may be another process already.
    if proc::stat(process.pid).is_none_or(|stat| stat.started != process.started) {
        return Ok(None);
    }
    #[expect(
        deprecated,
        reason = "what replaces it is not safe to call; what that asks for, an owned descriptor gives"
    )]
    AsyncFd::with_interest(pidfd, Interest::READABLE).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::tokio;
    use std::process::Command;

    #[tokio::test]
    async fn ends_are_told_of_those_that_are_watched() {
        let mut children: Vec<_> = (0..3).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect();
        let processes: Vec<Process> = children.iter().map(|child| proc::process(child.id()).unwrap()).collect();
        let mut exits = Exits::default();
        for process in &processes {
            exits.watch(*process);
            exits.watch(*process);
        }
        exits.keep(|process| *process != processes[0]);
        for child in &mut children[..2] {
            child.kill().unwrap();
        }
        assert_eq!(exits.next().await, (processes[1], Evidence::Observed), "and nothing of the first");
        let before = Process { started: processes[2].started - 1, ..processes[2] };
        exits.watch(before);
        assert_eq!(exits.next().await, (before, Evidence::Polled), "the id means another process");
        for child in &mut children {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
}
