//! The kernel's own watch over saturation: it says when something has waited for a resource for longer than a bound within
//! a window (pressure stall information). `docs/accounting/psi.rst` in the kernel's tree tells of it.

use crate::sample::RESOURCES;
use headwater_plugin::tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::JoinSet,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

/// Whoever has no privileges may ask for windows of a multiple of this only.
const STEP: Duration = Duration::from_secs(2);

/// The longest window that the kernel takes.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// Words of the kernel that the source has not taken yet. There is at most one in a window from each resource; one that
/// finds no room is followed by another as long as it is true.
const QUEUE: usize = 8;

/// `O_NONBLOCK`, which the kernel asks for with these files no more than others do; waiting is for the runtime.
const NONBLOCK: i32 = 0o4000;

/// The resource has been short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Saturated {
    /// The place of the resource in [`RESOURCES`].
    pub(crate) resource: usize,
    /// The window in which it was.
    pub(crate) window: Duration,
}

/// The watches. Each is a task of this set; dropped, they end.
#[derive(Debug)]
pub(crate) struct Watches {
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Saturated>,
    saturated: mpsc::Receiver<Saturated>,
}

impl Watches {
    pub(crate) fn new() -> Self {
        let (sender, saturated) = mpsc::channel(QUEUE);
        Self { tasks: JoinSet::new(), sender, saturated }
    }

    /// Asks the kernel to say when something has waited for this resource for more than `percent` of the time, over about
    /// as long as `hold`. An error where it does not: the kernel keeps no account of it, or does not let us.
    pub(crate) fn watch(&mut self, proc: &Path, resource: usize, percent: f64, hold: Duration) -> io::Result<()> {
        let window = window(hold);
        let file = ask(&proc.join("pressure").join(RESOURCES[resource]), percent, window)?;
        let sender = self.sender.clone();
        #[expect(
            deprecated,
            reason = "what replaces it is not safe to call; what that asks for, an owned descriptor gives"
        )]
        let watched = AsyncFd::with_interest(file, Interest::PRIORITY)?;
        self.tasks.spawn(async move {
            // An error means that the kernel tells nothing any more; the next looks do.
            while let Ok(mut ready) = watched.ready(Interest::PRIORITY).await {
                if ready.ready().is_priority() {
                    let _ = sender.try_send(Saturated { resource, window });
                } else {
                    return;
                }
                ready.clear_ready();
            }
        });
        Ok(())
    }

    /// The kernel's next word. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Saturated {
        match self.saturated.recv().await {
            Some(saturated) => saturated,
            None => std::future::pending().await,
        }
    }
}

fn window(hold: Duration) -> Duration {
    let steps = hold.as_secs_f64() / STEP.as_secs_f64();
    (STEP * steps.ceil().clamp(1.0, 5.0) as u32).min(LONGEST)
}

fn ask(path: &Path, percent: f64, window: Duration) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCK).open(path)?;
    let micros = window.as_micros();
    let stall = ((micros as f64 * percent / 100.0) as u128).clamp(1, micros);
    // With the zero that ends a text in C; in one write.
    file.write_all(format!("some {stall} {micros}\0").as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::tokio;

    #[test]
    fn windows_are_multiples_of_two_seconds_and_not_too_long() {
        let seconds = |hold: u64| window(Duration::from_millis(hold)).as_secs();
        assert_eq!([0, 1_000, 2_000, 2_001, 7_000, 9_999, 60_000].map(seconds), [2, 2, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn where_there_is_no_such_file_it_is_said() {
        let error = ask(Path::new("/proc/none/pressure/cpu"), 50.0, STEP).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    /// A kernel without it, or one that lets nobody ask, is no fault of the source: it looks instead, of which there is a test
    /// in `tests/machine.rs`.
    #[tokio::test(flavor = "current_thread")]
    async fn the_kernel_says_when_more_work_is_there_than_cores() {
        let mut watches = Watches::new();
        if let Err(error) = watches.watch(Path::new("/proc"), 0, 1.0, STEP) {
            let by_hand = ask(Path::new("/proc/pressure/cpu"), 1.0, STEP).expect_err("others are let");
            assert_eq!(error.kind(), by_hand.kind());
            return;
        }
        let cores = std::thread::available_parallelism().unwrap().get();
        let _spinners: Vec<_> = (0..=cores * 2).map(|_| Spinner::start()).collect();
        let told = tokio::time::timeout(Duration::from_secs(30), watches.next()).await;
        assert_eq!(told.unwrap(), Saturated { resource: 0, window: STEP });
    }

    /// A process that keeps a core busy; it ends with the test, and by the kernel's hand where that is killed.
    struct Spinner(std::process::Child);

    impl Spinner {
        fn start() -> Self {
            let mut shell = std::process::Command::new("sh");
            Self(shell.args(["-c", "ulimit -t 60; while :; do :; done"]).spawn().unwrap())
        }
    }

    impl Drop for Spinner {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
