//! Reports line by line from a pipe: `codex exec --json … | headwater hook run codex_exec --stream`.
//!
//! The program that writes is never kept waiting: lines are read as fast as they come, and put into a queue that drops
//! what does not fit. Later lines of Codex do not say whose they are; the thread that the first one names is told
//! with them.

use super::run::{BUDGET, LARGEST, Reporter, payload};
use serde::Deserialize;
use std::{
    io::{BufRead, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// Lines that wait to be sent. More of them are dropped: the writer does not wait for a slow daemon.
const QUEUE: usize = 1024;
/// What is still sent when the pipe has ended. The writer is gone by then, but a shell waits for us.
const LAST: Duration = Duration::from_secs(1);

/// Reports each line until the pipe ends.
pub(super) fn run(reporter: &Reporter, input: impl BufRead + Send) {
    let (lines, queue) = sync_channel(QUEUE);
    thread::scope(|scope| {
        let reader = thread::Builder::new().spawn_scoped(scope, move || read(input, &lines));
        if let Ok(reader) = reader {
            send(reporter, &queue, || reader.is_finished());
        }
    });
}

/// Puts lines into the queue.
fn read(mut input: impl BufRead, lines: &SyncSender<Vec<u8>>) {
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
            Ok(_) => {
                let _ = lines.try_send(line);
            }
        }
    }
}

/// Sends what is in the queue until the reader is gone, and what is left then for a little while.
fn send(reporter: &Reporter, queue: &Receiver<Vec<u8>>, ended: impl Fn() -> bool) {
    let mut thread = None;
    let mut last = None;
    while let Ok(line) = queue.recv() {
        if ended() {
            let last = *last.get_or_insert_with(|| Instant::now() + LAST);
            if Instant::now() >= last {
                return;
            }
        }
        if !line.trim_ascii().is_empty() {
            thread = thread_of(&line).or(thread);
            reporter.report(&payload(&line), thread.as_deref(), Instant::now() + BUDGET);
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

    #[test]
    fn a_line_without_end_costs_only_itself() {
        let (lines, queue) = sync_channel(QUEUE);
        let input = [b"{}\n".to_vec(), vec![b'x'; 2 * LARGEST], b"\n{\"a\":1}".to_vec()].concat();
        read(&input[..], &lines);
        drop(lines);
        assert_eq!(queue.into_iter().collect::<Vec<_>>(), [b"{}\n".to_vec(), b"{\"a\":1}".to_vec()]);
    }

    #[test]
    fn a_full_queue_does_not_stop_the_reader() {
        let (lines, queue) = sync_channel(2);
        read(&b"1\n2\n3\n4\n"[..], &lines);
        drop(lines);
        assert_eq!(queue.into_iter().collect::<Vec<_>>(), [b"1\n".to_vec(), b"2\n".to_vec()]);
    }
}
