//! Reports line by line from a pipe: `codex exec --json … | headwater hook run codex_exec --stream`.
//!
//! The program that writes is never kept waiting: lines are read as fast as they come, and put into a queue that drops
//! what does not fit. Later lines of Codex do not say whose they are; the thread that the first one names is told
//! with them.

use super::run::{LARGEST, Reporter, payload};
use serde::Deserialize;
use std::{
    io::{BufRead, Read},
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Lines that wait to be sent. More of them are dropped: the writer does not wait for a slow daemon.
const QUEUE: usize = 1024;
/// Bytes of lines that wait to be sent; each may be as large as a report. More of them are dropped as well.
const HELD: usize = 16 << 20;
/// What is still sent when the pipe has ended. The writer is gone by then, but a shell waits for us.
const LAST: Duration = Duration::from_secs(1);

/// Reports each line until the pipe ends.
pub(super) fn run(reporter: &Reporter, input: impl BufRead + Send) {
    let (lines, queue) = sync_channel(QUEUE);
    let held = AtomicUsize::new(0);
    thread::scope(|scope| {
        let reader = thread::Builder::new().spawn_scoped(scope, || read(input, lines, &held));
        if let Ok(reader) = reader {
            send(reporter, &queue, &held, || reader.is_finished());
        }
    });
}

/// Puts lines into the queue, and counts the bytes that are held there. The queue ends with it.
#[expect(clippy::needless_pass_by_value, reason = "the queue ends when the sender is dropped")]
fn read(mut input: impl BufRead, lines: SyncSender<Vec<u8>>, held: &AtomicUsize) {
    loop {
        let mut line = Vec::new();
        let limit = LARGEST as u64 + 1;
        match input.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.len() > LARGEST => {
                // No report is as long as this. Its rest is passed over, so that the next line is whole.
                if line.last() != Some(&b'\n') && input.skip_until(b'\n').is_err() {
                    return;
                }
            }
            Ok(size) => {
                if held.fetch_add(size, Relaxed) + size > HELD || lines.try_send(line).is_err() {
                    held.fetch_sub(size, Relaxed);
                }
            }
        }
    }
}

/// Sends what is in the queue until the reader is gone, and what is left then for a little while.
fn send(reporter: &Reporter, queue: &Receiver<Vec<u8>>, held: &AtomicUsize, ended: impl Fn() -> bool) {
    let mut thread = None;
    let mut last = None;
    while let Ok(line) = queue.recv() {
        held.fetch_sub(line.len(), Relaxed);
        if ended() {
            let last = *last.get_or_insert_with(|| Instant::now() + LAST);
            if Instant::now() >= last {
                return;
            }
        }
        if !line.trim_ascii().is_empty() {
            thread = thread_of(&line).or(thread);
            reporter.report(&payload(&line), thread.as_deref(), reporter.deadline());
        }
    }
}

/// The thread that a line names; only the first one of a run does.
fn thread_of(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        thread_id: Option<String>,
    }
    serde_json::from_slice::<Line>(line).ok()?.thread_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_in_a_line_or_not() {
        assert_eq!(thread_of(br#"{"type":"thread.started","thread_id":"t1"}"#).as_deref(), Some("t1"));
        for line in [&br#"{"type":"turn.started"}"#[..], b"[1]", b"Reading prompt", br#"{"thread_id":7}"#] {
            assert_eq!(thread_of(line), None);
        }
    }

    /// What of a text is in a queue of this length when the reader is through.
    fn queued(length: usize, text: &[u8]) -> Vec<Vec<u8>> {
        let (lines, queue) = sync_channel(length);
        read(text, lines, &AtomicUsize::new(0));
        queue.into_iter().collect()
    }

    #[test]
    fn a_line_without_end_costs_only_itself() {
        let input = [b"{}\n".to_vec(), vec![b'x'; 2 * LARGEST], b"\n{\"a\":1}".to_vec()].concat();
        assert_eq!(queued(QUEUE, &input), [b"{}\n".to_vec(), b"{\"a\":1}".to_vec()]);
    }

    #[test]
    fn a_full_queue_does_not_stop_the_reader() {
        assert_eq!(queued(2, b"1\n2\n3\n4\n"), [b"1\n".to_vec(), b"2\n".to_vec()]);
    }

    /// Harm prevented: while the daemon stands still, a thousand large lines take gigabytes of the agent's machine.
    #[test]
    fn what_is_held_is_bounded_in_bytes() {
        let line = [vec![b'x'; LARGEST - 1], b"\n".to_vec()].concat();
        let lines = queued(QUEUE, &[line.repeat(6), b"{}\n".to_vec()].concat());
        assert_eq!((lines.len(), lines.iter().map(Vec::len).sum::<usize>() <= HELD), (5, true));
        assert_eq!(lines[4], b"{}\n", "a small one still fits");
    }
}
