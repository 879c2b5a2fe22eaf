//! Copies bytes both ways, unaltered and at once. When one side does not read, the other is not read either; when one ends,
//! the other sees it.

use super::{child::Pipes, tap::Tap};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
    stdio::{dup2_stdin, dup2_stdout, stdin, stdout},
};
use std::{
    fs::OpenOptions,
    io::{PipeReader, PipeWriter, pipe},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// As much as a pipe holds.
const PIECE: usize = 64 << 10;

/// How long a client may take nothing of what the server wrote before its end. Some clients wait for the end first and read
/// then: they would wait for us for ever.
const UNREAD: Duration = Duration::from_secs(2);

/// How long it may take in all: two pipes hold no more than a client takes in a fraction of that, and one that takes a byte
/// now and then would keep us for ever.
const REST: Duration = Duration::from_secs(30);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// The copying of what the server writes.
pub(super) struct Copying {
    done: mpsc::Receiver<()>,
    written: Arc<AtomicU64>,
}

/// Starts both threads. Dropping what comes first says that the server has ended.
pub(super) fn start(pipes: Pipes, tap: &Tap) -> (Option<PipeWriter>, Copying) {
    let Pipes { input, output } = pipes;
    let (ended, end) = pipe().map_or((None, None), |(end, ended)| (Some(ended), Some(end)));
    let (tell, done) = mpsc::sync_channel(1);
    let written = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&written);
    let (up, down) = (tap.clone(), tap.clone());
    // It reads a standard input that may never end, and ends with the process.
    spawn("to-server", move || {
        to_server(&input, &up);
        // The end of the input is the end of the server's input, and one that reads no more is seen by whoever writes to us.
        drop(input);
    });
    spawn("to-client", move || {
        to_client(&output, end.as_ref(), &down, &counted);
        drop(output);
        let _ = tell.send(());
    });
    (ended, Copying { done, written })
}

impl Copying {
    /// Waits until all that the server wrote has been taken over, for as long as its client takes something.
    pub(super) fn finish(&self) {
        self.finish_by(Instant::now() + REST);
    }

    fn finish_by(&self, deadline: Instant) {
        let mut before = self.written.load(Ordering::Relaxed);
        let left = || UNREAD.min(deadline.saturating_duration_since(Instant::now()));
        while let Err(mpsc::RecvTimeoutError::Timeout) = self.done.recv_timeout(left()) {
            let now = self.written.load(Ordering::Relaxed);
            if now == before || Instant::now() >= deadline {
                return;
            }
            before = now;
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.expect("invariant: a process that has just started may have four threads");
}

fn to_server(input: &PipeWriter, tap: &Tap) {
    let mut piece = vec![0; PIECE];
    while let Some(count) = take(stdin(), &mut piece) {
        let at = Instant::now();
        if put(input.as_fd(), &piece[..count], None).is_err() {
            // The server reads no more.
            close(|null| dup2_stdin(null));
            return;
        }
        tap.copy(Way::ToServer, at, &piece[..count]);
    }
}

fn to_client(output: &PipeReader, end: Option<&PipeReader>, tap: &Tap, written: &AtomicU64) {
    let mut piece = vec![0; PIECE];
    while is_more(output.as_fd(), end.map(AsFd::as_fd))
        && let Some(count) = take(output.as_fd(), &mut piece)
    {
        let at = Instant::now();
        if put(stdout(), &piece[..count], Some(written)).is_err() {
            // The client reads no more: the server sees that when its pipe is closed.
            return;
        }
        tap.copy(Way::ToClient, at, &piece[..count]);
    }
    close(|null| dup2_stdout(null));
}

/// Waits until the server's output can be read; `false` when the server has ended and nothing more of it is there.
/// Processes that it has left behind may hold the pipe open for ever.
fn is_more(output: BorrowedFd<'_>, end: Option<BorrowedFd<'_>>) -> bool {
    let Some(end) = end else { return true };
    let mut both = [PollFd::from_borrowed_fd(output, PollFlags::IN), PollFd::from_borrowed_fd(end, PollFlags::IN)];
    loop {
        match poll(&mut both, None) {
            Err(Errno::INTR) => {}
            Err(_) => return true,
            Ok(_) => return !both[0].revents().is_empty(),
        }
    }
}

/// Reads once; `None` at the end.
fn take(from: BorrowedFd<'_>, piece: &mut [u8]) -> Option<usize> {
    loop {
        match read(from, &mut *piece) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(Errno::INTR) => {}
            // Whoever gave us the descriptor may have made it so.
            Err(Errno::AGAIN) => wait(from, PollFlags::IN),
            Err(_) => return None,
        }
    }
}

/// Writes all of it.
fn put(to: BorrowedFd<'_>, mut bytes: &[u8], written: Option<&AtomicU64>) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(count) => {
                bytes = &bytes[count..];
                if let Some(written) = written {
                    written.fetch_add(count as u64, Ordering::Relaxed);
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(to, PollFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait(descriptor: BorrowedFd<'_>, flags: PollFlags) {
    // Now and then it is tried again, whatever the system says.
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let _ = poll(&mut [PollFd::from_borrowed_fd(descriptor, flags)], Some(&second));
}

/// Closes one of our own descriptors, by putting nothing in its place: the number must not become another file's.
fn close(replace: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>) {
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = replace(null.as_fd());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Harm prevented: a client that takes a byte now and then kept the wrapper for ever.
    #[test]
    fn a_client_that_takes_a_byte_now_and_then_is_not_waited_for_for_ever() {
        let (tell, done) = mpsc::sync_channel(1);
        let written = Arc::new(AtomicU64::new(0));
        let copying = Copying { done, written: Arc::clone(&written) };
        let (stop, stopped) = mpsc::channel::<()>();
        let slow = thread::spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(1)) {
                written.fetch_add(1, Ordering::Relaxed);
            }
            drop(tell);
        });
        let (told, finished) = mpsc::channel();
        thread::spawn(move || {
            copying.finish_by(Instant::now() + Duration::from_millis(50));
            let _ = told.send(());
        });
        finished.recv_timeout(Duration::from_secs(30)).expect("it is given up");
        drop(stop);
        slow.join().unwrap();
    }
}
