//! The standard output of a verb: buffered, without panics when its reader leaves, and without blocking signals.

use crate::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A write of this many bytes to a pipe that is ready does not block (`PIPE_BUF`).
const CHUNK: usize = 4096;
/// With this much waiting it is time to write, even when more could be added.
const FULL: usize = 32 << 10;

/// Collects lines and writes them.
pub struct Output {
    buffer: Vec<u8>,
    /// How much of the buffer has been written.
    written: usize,
    sink: Sink,
}

enum Sink {
    /// A pipe, a socket or a terminal, which can be waited for.
    Waited(AsyncFd<File>),
    /// A file, which is always ready.
    Plain(File),
    /// Keeps what is written; for tests.
    #[cfg(test)]
    Memory(Vec<u8>),
}

impl Output {
    /// The process's standard output. Needs a tokio runtime.
    pub fn stdout() -> Result<Self, Failure> {
        let sink = match waited(duplicate()?) {
            Ok(waited) => Sink::Waited(waited),
            // The system cannot wait for a file: it is always ready.
            Err(_) => Sink::Plain(duplicate()?),
        };
        Ok(Self { buffer: Vec::new(), written: 0, sink })
    }

    /// Adds a line.
    pub fn line(&mut self, line: &str) {
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
    }

    /// Adds text as it is.
    pub(crate) fn text(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    /// Writes what is there, waiting without blocking while the reader is slow. When the future is dropped, what has
    /// not been written is still there.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        while self.written < self.buffer.len() {
            let rest = &self.buffer[self.written..];
            let count = match &mut self.sink {
                Sink::Waited(waited) => {
                    writable(waited).await?;
                    outcome(waited.get_ref().write(&rest[..rest.len().min(CHUNK)]))?
                }
                Sink::Plain(file) => outcome(file.write(rest))?,
                #[cfg(test)]
                Sink::Memory(kept) => outcome(kept.write(rest))?,
            };
            self.written += count;
        }
        self.written = 0;
        self.buffer.clear();
        // A burst of large events must not be held in memory for ever after.
        self.buffer.shrink_to(2 * CHUNK);
        Ok(())
    }

    /// Resolves when the reader of a pipe has left, which a verb that waits for events would not notice by writing.
    pub(crate) async fn reader_left(&self) {
        if let Sink::Waited(waited) = &self.sink {
            while let Ok(mut guard) = waited.ready(Interest::ERROR).await {
                if polled(waited, PollFlags::ERR) {
                    return;
                }
                guard.clear_ready();
            }
        }
        std::future::pending::<()>().await;
    }

    #[cfg(test)]
    pub(crate) fn memory() -> Self {
        Self { buffer: Vec::new(), written: 0, sink: Sink::Memory(Vec::new()) }
    }

    #[cfg(test)]
    pub(crate) fn taken(&mut self) -> String {
        let Sink::Memory(kept) = &mut self.sink else { unreachable!("only tests ask, of what they made") };
        kept.append(&mut self.buffer);
        String::from_utf8(std::mem::take(kept)).expect("lines are text")
    }
}

/// A descriptor of our own for the standard output.
fn duplicate() -> Result<File, Failure> {
    outcome(io::stdout().as_fd().try_clone_to_owned()).map(File::from)
}

#[expect(
    deprecated,
    reason = "its successor is unsafe because a descriptor could change under it; ours is owned and never replaced"
)]
fn waited(file: File) -> io::Result<AsyncFd<File>> {
    AsyncFd::with_interest(file, Interest::WRITABLE | Interest::ERROR)
}

/// Waits until a chunk can be written without blocking.
async fn writable(waited: &AsyncFd<File>) -> Result<(), Failure> {
    loop {
        let mut guard = outcome(waited.ready(Interest::WRITABLE).await)?;
        // The descriptor blocks (its mode is shared with other processes and must not be changed), so no failed write
        // ever clears the readiness: ask the system.
        if polled(waited, PollFlags::OUT | PollFlags::ERR | PollFlags::HUP) {
            return Ok(());
        }
        guard.clear_ready();
    }
}

fn polled(waited: &AsyncFd<File>, flags: PollFlags) -> bool {
    let mut asked = [PollFd::new(waited.get_ref(), flags)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // When the system cannot say, the write will.
    poll(&mut asked, Some(&now)).is_err() || asked[0].revents().intersects(flags)
}

fn outcome<T>(outcome: io::Result<T>) -> Result<T, Failure> {
    outcome.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::ReaderLeft,
        _ => Failure::Other(format!("the output cannot be written: {error}")),
    })
}
