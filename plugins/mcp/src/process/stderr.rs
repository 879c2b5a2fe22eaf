//! What a server of ours writes to its standard error: counted, and the last lines kept. It is always read: a server whose
//! pipe is full stands still.
//!
//! The lines may hold secrets. What the server was given (values of its environment, headers, arguments) and what looks like
//! a key is blotted out before anything is kept; it makes leaks rare and cannot make them impossible.

use super::redactor::{LENGTH, Redactor};
use headwater_plugin::{
    serde::Serialize,
    tokio::io::{AsyncRead, AsyncReadExt},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Lines that are kept.
const LINES: usize = 3;

/// What is read at once: what a pipe holds.
const ROOM: usize = 64 * 1024;

/// What was written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(crate = "headwater_plugin::serde")]
pub struct Written {
    /// Bytes.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
    /// The last of them, without secrets.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub last: VecDeque<String>,
}

/// What was written, for the one who reads and the one who tells.
pub(crate) type Shared = Arc<Mutex<Written>>;

/// A copy of what was written so far.
pub(crate) fn copy(shared: &Shared) -> Written {
    shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Reads to the end.
pub(crate) async fn drain(mut from: impl AsyncRead + Unpin, redactor: Redactor, to: Shared) {
    let mut buffer = vec![0; ROOM];
    let mut lines = Lines::new(redactor);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        lines.feed(&buffer[..count], &mut to.lock().unwrap_or_else(PoisonError::into_inner));
    }
    lines.end(&mut to.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Cuts bytes into lines.
#[derive(Debug)]
struct Lines {
    redactor: Redactor,
    /// The beginning of a line. It may be longer than what is kept of it: a secret must not be cut in two.
    open: Vec<u8>,
    /// The last lines of what was read just now, as they are. Only they are looked through for secrets: in a flood, looking
    /// through each would hold the server up.
    closed: VecDeque<Vec<u8>>,
}

impl Lines {
    const OPEN: usize = 4 * LENGTH;

    fn new(redactor: Redactor) -> Self {
        Self { redactor, open: Vec::new(), closed: VecDeque::new() }
    }

    fn feed(&mut self, bytes: &[u8], to: &mut Written) {
        to.bytes += bytes.len() as u64;
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            self.close(to);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        self.tell(to);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = Self::OPEN.saturating_sub(self.open.len());
        self.open.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self, to: &mut Written) {
        if !self.open.is_empty() {
            self.close(to);
        }
        self.tell(to);
    }

    fn close(&mut self, to: &mut Written) {
        to.lines += 1;
        let line = std::mem::take(&mut self.open);
        if line.iter().all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return;
        }
        if self.closed.len() >= LINES {
            self.closed.pop_front();
        }
        self.closed.push_back(line);
    }

    fn tell(&mut self, to: &mut Written) {
        for line in self.closed.drain(..) {
            if to.last.len() >= LINES {
                to.last.pop_front();
            }
            to.last.push_back(self.redactor.clean(&String::from_utf8_lossy(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_only_its_end_is_kept() {
        let mut lines = Lines::new(Redactor::default());
        let mut written = Written::default();
        for n in 0..10_000 {
            // In pieces that end anywhere.
            for piece in format!("line {n}\n").as_bytes().chunks(3) {
                lines.feed(piece, &mut written);
            }
        }
        lines.feed(&vec![b'y'; 1_000_000], &mut written);
        assert!(lines.open.len() <= Lines::OPEN, "a line without an end takes no more room");
        lines.end(&mut written);
        assert_eq!(written.lines, 10_001);
        assert_eq!(written.last.len(), LINES);
        assert_eq!(written.last[0], "line 9998");
        assert!(written.bytes > 1_000_000);
    }

    /// Lines of one read are told like those of many.
    #[test]
    fn the_last_lines_are_the_same_however_they_come() {
        let text = "one\ntwo token=sesame\n\n  \nthree\nfour hunter2\nfive";
        let told = |size: usize| {
            let mut lines = Lines::new(Redactor::new(["hunter2"]));
            let mut written = Written::default();
            for piece in text.as_bytes().chunks(size) {
                lines.feed(piece, &mut written);
            }
            lines.end(&mut written);
            written
        };
        assert_eq!(told(1), told(1_000));
        assert_eq!(told(1).last, ["three", "four [redacted]", "five"]);
        assert_eq!(told(1).lines, 7);
    }

    /// Harm prevented: a secret that is longer than what is kept of a line was never compared as a whole, nor one with lines.

    #[test]
    fn long_secrets_and_those_with_lines_are_known_by_their_parts() {
        let long = "correct horse battery staple ".repeat(100);
        let mut lines = Lines::new(Redactor::new([long.as_str()]));
        let mut written = Written::default();
        lines.feed(format!("the config is {long}\n").as_bytes(), &mut written);
        assert_eq!(written.last[0], "the config is [redacted]");
        let pem = "-----BEGIN KEY-----\ncorrect horse\nbattery staple\n-----END KEY-----\n";
        for value in [pem.to_owned(), pem.replace('\n', "\\n")] {
            let redactor = Redactor::new([value.as_str()]);
            assert_eq!(redactor.clean("line 2: battery staple"), "line 2: [redacted]", "{value}");
        }
        let redactor = Redactor::new([&long[..60]]);
        assert_eq!(
            redactor.clean("it begins with correct horse battery, sir"),
            "it begins with correct horse battery, sir"
        );
        assert_eq!(redactor.clean("correct horse battery staple no"), "[redacted]no");
    }

    /// A secret that stands where a line is cut must not come through in part.

    #[test]
    fn a_secret_is_not_cut_in_two() {
        let mut lines = Lines::new(Redactor::new(["swordfish"]));
        let mut written = Written::default();
        lines.feed(format!("{} swordfish\n", "z ".repeat(96)).as_bytes(), &mut written);
        assert!(!written.last[0].contains("sword"), "{}", written.last[0]);
    }
}
