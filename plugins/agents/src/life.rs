//! Whether agents' processes live: a pidfd each, which becomes readable when its process ends. Only processes of this
//! machine are watched, and only those that are who they were: an id may mean another process by now.

use crate::{
    registry::{AgentId, Foreground, Process},
    signal::Place,
};
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
    system::uname,
};
use std::collections::HashMap;

/// How often a process is looked at for which there is no pidfd: too many descriptors are open, or the kernel has none.
const LOOK: Duration = Duration::from_secs(1);

/// Ticks of the kernel's clock in a second, as `/proc` has them: 100 on every Linux that there is.
const TICKS: u64 = 100;

/// A process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Whose.
    pub(crate) agent: AgentId,
    /// Which.
    pub(crate) process: Process,
    /// Observed, or polled where there was no pidfd.
    pub(crate) evidence: Evidence,
}

/// The watched processes; each is a task of this set, of which there are as many as agents.
#[derive(Debug, Default)]
pub(crate) struct Life {
    watches: JoinSet<Exit>,
    running: HashMap<AgentId, AbortHandle>,
}

impl Life {
    /// Watches the process of an agent instead of the one before. One that is not there any more ends at once.
    pub(crate) fn watch(&mut self, agent: AgentId, process: Process) {
        let exit = |evidence| Exit { agent: agent.clone(), process, evidence };
        let watch = match open(process) {
            Ok(Some(pidfd)) => {
                let exit = exit(Evidence::Observed);
                self.watches.spawn(async move {
                    // An error means that the descriptor cannot be waited for; the process is not known to have ended.
                    match pidfd.readable().await {
                        Ok(_) => exit,
                        Err(_) => polled(Exit { evidence: Evidence::Polled, ..exit }).await,
                    }
                })
            }
            Ok(None) => {
                let exit = exit(Evidence::Polled);
                self.watches.spawn(async move { exit })
            }
            Err(error) => {
                warn!(pid = process.pid, %error, "no pidfd: looking every second");
                self.watches.spawn(polled(exit(Evidence::Polled)))
            }
        };
        if let Some(old) = self.running.insert(agent, watch) {
            old.abort();
        }
    }

    /// The agents that are left; the others are watched no longer.
    pub(crate) fn keep(&mut self, living: impl Fn(&AgentId) -> bool) {
        self.running.retain(|agent, watch| {
            let keep = living(agent);
            if !keep {
                watch.abort();
            }
            keep
        });
    }

    /// The next process that ends; it waits for ever while none is watched. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Exit {
        loop {
            match self.watches.join_next().await {
                Some(Ok(exit)) => return exit,
                // Aborted: the agent has another process now, or has gone.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

async fn polled(exit: Exit) -> Exit {
    while started(exit.process.pid) == Some(exit.process.started) {
        sleep(LOOK).await;
    }
    exit
}

/// A pidfd of this process; nothing if it has ended.
fn open(process: Process) -> std::io::Result<Option<AsyncFd<std::os::fd::OwnedFd>>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let pidfd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(pidfd) => pidfd,
        // None has this id, or only a thread has it.
        Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Looked at only now that the descriptor holds whoever has the id: it may be another process already.
    if started(process.pid) != Some(process.started) {
        return Ok(None);
    }
    #[expect(
        deprecated,
        reason = "what replaces it is not safe to call; what that asks for, an owned descriptor gives"
    )]
    AsyncFd::with_interest(pidfd, Interest::READABLE).map(Some)
}

/// When the process of this id started, in clock ticks since the machine did; nothing if there is none, or if it has ended
/// and only its parent does not know yet.
pub(crate) fn started(pid: u32) -> Option<u64> {
    stat(pid, 22)?.parse().ok()
}

/// This process, with what the kernel knows of it; nothing if it has ended.
pub(crate) fn living(process: Process) -> Option<Foreground> {
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", process.pid)).ok();
    let cwd = cwd.map(|path| path.to_string_lossy().into_owned());
    // Looked at last: it was that of this process all the time.
    (started(process.pid) == Some(process.started)).then(|| Foreground { process, cwd, age: age(process.started) })
}

/// How long ago that tick was. In some containers the machine's uptime is the container's, and then nobody knows.
fn age(started: u64) -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let began = Duration::from_millis(started.saturating_mul(1_000 / TICKS));
    Duration::try_from_secs_f64(uptime).ok()?.checked_sub(began)
}

/// Whether this process is a tmux server.
pub(crate) fn is_tmux(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("tmux"))
}

/// A field of `/proc/PID/stat`, counted as its manual does, from the fourth on.
fn stat(pid: u32, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything, spaces and parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(field - 4).map(str::to_owned)
}

/// A place as far as it is on this machine, which its own name does not make another one. Its processes count only when at least one of them is one of ours: a hook may
/// have come from a container or from another machine, where the same ids mean other processes.
pub(crate) fn here(mut place: Place) -> Place {
    let name = uname();
    place.host.take_if(|host| host.as_bytes() == name.nodename().to_bytes());
    if !place.processes.is_empty() && !place.processes.iter().any(|it| started(it.pid) == Some(it.started)) {
        place.processes.clear();
        place.tmux = None;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::tokio;
    use std::process::{Child, Command};

    /// A process that ends when it is told to, or with the test.
    struct Sleeper(Child);

    impl Sleeper {
        fn new() -> (Self, Process) {
            let child = Command::new("sleep").arg("600").spawn().unwrap();
            let process = Process { pid: child.id(), started: started(child.id()).unwrap() };
            (Self(child), process)
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn id(text: &str) -> AgentId {
        text.to_owned().into()
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_observed() {
        let (mut one, first) = Sleeper::new();
        let (_other, second) = Sleeper::new();
        let mut life = Life::default();
        life.watch(id("a"), first);
        life.watch(id("b"), second);
        one.0.kill().unwrap();
        assert_eq!(life.next().await, Exit { agent: id("a"), process: first, evidence: Evidence::Observed });
    }

    /// Another process with the same id must not keep a dead agent alive.
    #[tokio::test]
    async fn a_process_that_is_not_who_it_was_has_ended() {
        let (_sleeper, process) = Sleeper::new();
        let mut life = Life::default();
        let before = Process { started: process.started - 1, ..process };
        life.watch(id("a"), before);
        assert_eq!(life.next().await, Exit { agent: id("a"), process: before, evidence: Evidence::Polled });
    }

    #[tokio::test]
    async fn an_agent_that_has_gone_is_watched_no_longer() {
        let (mut one, first) = Sleeper::new();
        let (mut two, second) = Sleeper::new();
        let mut life = Life::default();
        life.watch(id("a"), first);
        life.watch(id("b"), second);
        life.keep(|agent| **agent == *"b");
        one.0.kill().unwrap();
        two.0.kill().unwrap();
        assert_eq!(life.next().await.agent, id("b"));
    }

    #[test]
    fn the_name_of_this_machine_makes_it_no_other_one() {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
        let host = |host: &str| here(Place { host: Some(host.into()), ..Place::default() }).host;
        assert_eq!((host(&name), host("elsewhere.invalid").as_deref()), (None, Some("elsewhere.invalid")));
    }

    #[test]
    fn a_place_of_another_machine_has_no_processes_here() {
        let me = std::process::id();
        let ancestor = |pid, started| crate::signal::Ancestor { pid, started, name: "claude".into() };
        let mine = ancestor(me, started(me).unwrap());
        let gone = ancestor(u32::MAX >> 2, 5);
        let of = |processes: &[&crate::signal::Ancestor]| {
            here(Place { processes: processes.iter().map(|one| (*one).clone()).collect(), ..Place::default() })
        };
        assert_eq!(of(&[&gone, &mine]).processes.len(), 2, "one that has ended, on this machine");
        assert!(of(&[&gone, &ancestor(me, 1)]).processes.is_empty());
    }
}
