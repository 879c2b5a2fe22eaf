//! What people do today: twice a second they list all panes and capture what each shows.

use super::Tmux;
use crate::process;
use std::{
    io,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Between two looks: what the monitor did that the tmux dialect comes from.
const EVERY: Duration = Duration::from_millis(500);

/// How the panes are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A `tmux` for each pane, as scripts do.
    Each,
    /// One `tmux` for all of them, which is the best that one can do.
    Together,
}

/// A change that was seen.
#[derive(Debug)]
pub struct Seen {
    /// What it was known by.
    pub mark: String,
    /// How long that took.
    pub after: Duration,
}

/// A thread that looks until it is dropped.
#[derive(Debug)]
pub struct Poller {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    over: AtomicBool,
}

/// What is looked for, since when; and what was seen.
#[derive(Debug, Default)]
struct Wanted {
    marks: Vec<(String, Instant)>,
    seen: Vec<Seen>,
    failed: Option<String>,
}

impl Poller {
    /// Begins at once.
    pub fn start(tmux: &Tmux, capture: Capture) -> io::Result<Self> {
        let panes = tmux.run(&["list-panes", "-a", "-F", "#{pane_id}"])?;
        let panes: Vec<String> = panes.lines().map(str::to_owned).collect();
        let mut looks = vec![tmux.command()];
        let list = ["list-panes", "-a", "-F", "#{session_name} #{window_id} #{window_name} #{pane_id} #{pane_title}"];
        looks[0].args(list);
        for pane in panes {
            match capture {
                Capture::Each => {
                    let mut look = tmux.command();
                    look.args(["capture-pane", "-p", "-t", &pane]);
                    looks.push(look);
                }
                Capture::Together => drop(looks[0].args([";", "capture-pane", "-p", "-t", &pane])),
            }
        }
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || theirs.poll(&mut looks));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many changes have not been seen yet.
    pub fn unseen(&self) -> usize {
        self.shared.wanted().marks.len()
    }

    /// Something with this text was made to be at this moment.
    pub fn expects(&self, mark: &str, since: Instant) {
        self.shared.wanted().marks.push((mark.to_owned(), since));
    }

    /// The changes that were seen since this was last asked.
    pub fn seen(&self) -> io::Result<Vec<Seen>> {
        let mut wanted = self.shared.wanted();
        match wanted.failed.take() {
            Some(failed) => Err(io::Error::other(failed)),
            None => Ok(std::mem::take(&mut wanted.seen)),
        }
    }

    /// CPU time of all looks of this program so far; the thread that starts them is not counted.
    pub fn cpu() -> io::Result<Duration> {
        process::cpu_of_ended(std::process::id())
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn wanted(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, looks: &mut [Command]) {
        let mut next = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            for look in &mut *looks {
                match look.stderr(Stdio::null()).output() {
                    Ok(output) => self.saw(&String::from_utf8_lossy(&output.stdout)),
                    Err(error) => self.wanted().failed = Some(format!("the poll cannot run tmux: {error}")),
                }
            }
            next = (next + EVERY).max(Instant::now());
            while let Some(left) = next.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                if self.over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::park_timeout(left);
            }
        }
    }

    fn saw(&self, text: &str) {
        let Wanted { marks, seen, .. } = &mut *self.wanted();
        let found = marks.extract_if(.., |(mark, _)| text.contains(mark.as_str()));
        seen.extend(found.map(|(mark, since)| Seen { mark, after: since.elapsed() }));
    }
}
