//! Standard input as lines, read by a thread of its own: it may wait there for ever, and a process ends without it.

use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;

/// The longest message. Tools take less, and the daemon too.
pub(super) const LONGEST: usize = 4 << 20;
/// Lines that may wait. With more the client waits.
const WAITING: usize = 8;

/// A line, or that one was too long.
pub(super) type Line = Result<Vec<u8>, TooLong>;

/// A line that was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Begins to read.
pub(super) fn lines() -> io::Result<mpsc::Receiver<Line>> {
    let (say, lines) = mpsc::channel(WAITING);
    std::thread::Builder::new().name("stdin".into()).spawn(move || read(io::stdin().lock(), &say))?;
    Ok(lines)
}

fn read(mut input: impl BufRead, say: &mpsc::Sender<Line>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        // A pipe that breaks is an end too.
        let Ok(count) = input.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut line) else { return };
        if count == 0 {
            return;
        }
        let whole = line.ends_with(b"\n") || count <= LONGEST;
        if !whole && input.skip_until(b'\n').is_err() {
            return;
        }
        let line = line.trim_ascii();
        let line = if whole { Ok(line.to_vec()) } else { Err(TooLong) };
        if line.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        if say.blocking_send(line).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_too_long_ones_passed_over() {
        let (say, mut lines) = mpsc::channel(8);
        let mut text = b"  {}\r\n\n".to_vec();
        text.extend(vec![b'x'; LONGEST + 10]);
        text.extend_from_slice(b"\nlast");
        read(text.as_slice(), &say);
        drop(say);
        let mut read = Vec::new();
        while let Some(line) = lines.blocking_recv() {
            read.push(line);
        }
        assert_eq!(read, [Ok(b"{}".to_vec()), Err(TooLong), Ok(b"last".to_vec())]);
    }
}
