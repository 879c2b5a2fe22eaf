//! When a process ends, and how: the ones that tmux started in its panes, and the server itself.
//!
//! A pidfd becomes readable when its process ends; one thread waits for all of them. How it ended is told only to the parent,
//! which is tmux. The kernel shows it in `/proc/PID/stat` for as long as the parent has not asked, so the thread reads there
//! at once: mostly it is there before tmux. Where it is too late the ending is not known, and left out.

use crate::{inbox::Inbox, tree::Ending};
use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    process::{Pid, PidfdFlags, Resource, getrlimit, pidfd_open},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The number of the end that wakes the thread.
const WAKE: u64 = u64::MAX;

/// What is watched.
#[derive(Debug)]
pub(crate) struct Exits {
    shared: Arc<Shared>,
    wake: UnixStream,
    next: u64,
    /// So many are watched at most. Each takes two of the files that a process may open, of which at least half are left: without
    /// any, tmux could not be asked at all.
    most: usize,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    watched: Mutex<BTreeMap<u64, Watched>>,
}

#[derive(Debug)]
struct Watched {
    pidfd: OwnedFd,
    stat: Option<File>,
}

/// What the thread needs; [`Watch::run`] is its whole life.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    /// Open as long as the thread waits: its closing wakes nobody.
    _sleeper: UnixStream,
}

impl Exits {
    /// Nothing is watched yet.
    pub(crate) fn new() -> io::Result<(Self, Watch)> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (wake, sleeper) = UnixStream::pair()?;
        epoll::add(&epoll, &sleeper, EventData::new_u64(WAKE), EventFlags::IN)?;
        let shared = Arc::new(Shared { epoll, watched: Mutex::default() });
        let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
        let most = files.map_or(usize::MAX, |files| files / 4);
        Ok((Self { shared: Arc::clone(&shared), wake, next: 0, most }, Watch { shared, _sleeper: sleeper }))
    }

    /// Watches a process, if its parent is this one: a number that was given away anew is another's. The end is told under
    /// the number that this returns. `None`: it has ended already, or it cannot be watched.
    pub(crate) fn watch(&mut self, pid: u32, parent: Option<u32>) -> Option<u64> {
        if self.shared.watched().len() >= self.most {
            return None;
        }
        let pidfd = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
        // Opened now: by its number nobody may find it later.
        let stat = File::open(format!("/proc/{pid}/stat")).ok();
        let found = stat.as_ref().and_then(read)?;
        if parent.is_some_and(|parent| parent != found.parent) {
            return None;
        }
        self.next += 1;
        let number = self.next;
        let mut watched = self.shared.watched();
        let watch = watched.entry(number).or_insert(Watched { pidfd, stat });
        if epoll::add(&self.shared.epoll, &watch.pidfd, EventData::new_u64(number), EventFlags::IN).is_err() {
            watched.remove(&number);
            return None;
        }
        Some(number)
    }

    /// Watches it no more.
    pub(crate) fn forget(&mut self, number: u64) {
        self.shared.take(number);
    }
}

impl Drop for Exits {
    fn drop(&mut self) {
        let _ = self.wake.shutdown(std::net::Shutdown::Both);
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<u64, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, number: u64) -> Option<Watched> {
        let watched = self.watched().remove(&number)?;
        let _ = epoll::delete(&self.epoll, &watched.pidfd);
        Some(watched)
    }
}

impl Watch {
    /// Waits for ends until the watcher is dropped. It waits for nothing else.
    pub(crate) fn run(&self, inbox: &Inbox) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(&self.shared.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                let number = event.data.u64();
                if number == WAKE {
                    return;
                }
                if let Some(watched) = self.shared.take(number) {
                    let ended = watched.stat.as_ref().and_then(read).filter(|stat| stat.zombie);
                    inbox.exited(number, ended.map(|stat| stat.ending()).unwrap_or_default());
                }
            }
        }
    }
}

/// What `/proc/PID/stat` says.
struct Stat {
    parent: u32,
    zombie: bool,
    code: i32,
}

impl Stat {
    /// The code is that of `wait`.
    fn ending(&self) -> Ending {
        match self.code & 0x7f {
            0 => Ending { status: Some((self.code >> 8) & 0xff), signal: None },
            signal => Ending { status: None, signal: Some(signal) },
        }
    }
}

fn read(file: &File) -> Option<Stat> {
    let mut buffer = [0; 2048];
    let count = file.read_at(&mut buffer, 0).ok()?;
    parse(&buffer[..count])
}

/// The name in the parentheses may hold anything, so the fields are counted from the last of them.
fn parse(text: &[u8]) -> Option<Stat> {
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[close + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let code = fields.last()?.parse().ok()?;
    Some(Stat { parent, zombie, code })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        process::{Child, Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    /// A child that waits for its input to close and then ends; nobody asks how until the test is through.
    fn child(script: &str) -> Child {
        Command::new("sh").args(["-c", &format!("read x; {script}")]).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// The first end that comes.
    fn next(inbox: &Inbox) -> (u64, Ending) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(exit) = inbox.take().exits.pop_first() {
                return exit;
            }
            thread::yield_now();
        }
        panic!("no end was told");
    }

    #[test]
    fn ends_are_told_with_what_the_parent_has_not_yet_asked_for() {
        let (mut exits, watch) = Exits::new().unwrap();
        let inbox = Arc::new(Inbox::default());
        let (thread, told) = (watch, Arc::clone(&inbox));
        let thread = thread::spawn(move || thread.run(&told));
        let us = Some(std::process::id());
        for (script, ending) in [
            ("exit 42", Ending { status: Some(42), signal: None }),
            ("exit 0", Ending { status: Some(0), signal: None }),
            ("kill -9 $$", Ending { status: None, signal: Some(9) }),
        ] {
            let mut child = child(script);
            let number = exits.watch(child.id(), us).unwrap();
            drop(child.stdin.take());
            assert_eq!(next(&inbox), (number, ending), "{script}");
            child.wait().unwrap();
            assert_eq!(exits.watch(child.id(), us), None, "it is gone");
        }
        let mut other = child("exit 1");
        assert_eq!(exits.watch(other.id(), Some(1)), None, "a process of somebody else");
        let number = exits.watch(other.id(), us).unwrap();
        exits.forget(number);
        drop(other.stdin.take());
        other.wait().unwrap();
        drop(exits);
        thread.join().unwrap();
        assert!(inbox.take().exits.is_empty(), "it was not watched any more");
    }

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let stat = parse(b"7 (a) Z 1 (b) S 99 7 0 0 -1 4194560 10752\n").unwrap();
        assert_eq!((stat.parent, stat.zombie, stat.code), (99, false, 10_752));
        assert_eq!(stat.ending().status, Some(42));
        assert!(parse(b"").is_none() && parse(b"7 (x").is_none());
    }
}
