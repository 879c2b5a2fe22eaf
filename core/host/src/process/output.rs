//! What a child writes to its standard error (and a plugin's child to its standard output): log records, line by line,
//! and the last lines are part of the reason when it ends badly.

use crate::records::Records;
use std::{
    collections::VecDeque,
    io::PipeReader,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe, task::JoinSet};

/// Lines kept for the reason of an ending.
const KEPT: usize = 4;
/// A line longer than this is cut into several.
const MAX_LINE: usize = 8 << 10;
/// How long the rest of the output may take once the process has ended: something else may hold its end of the pipe.
const REST: Duration = Duration::from_millis(200);

/// The output of one child, read by a task of its own.
#[derive(Debug)]
pub(crate) struct Output {
    last: Arc<Mutex<VecDeque<String>>>,
    task: JoinSet<()>,
}

impl Output {
    /// Reads a pipe until it closes.
    pub(crate) fn new(pipe: PipeReader, records: Arc<Records>) -> std::io::Result<Self> {
        let mut pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let kept = last.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut buffer = Vec::with_capacity(512);
            while let Ok(count) = pipe.read_buf(&mut buffer).await {
                let mut from = 0;
                while let Some(at) = buffer[from..].iter().position(|byte| *byte == b'\n') {
                    line(&buffer[from..from + at], &kept, &records);
                    from += at + 1;
                }
                buffer.drain(..from);
                if buffer.len() >= MAX_LINE || (count == 0 && !buffer.is_empty()) {
                    line(&buffer, &kept, &records);
                    buffer.clear();
                }
                if count == 0 {
                    break;
                }
            }
        });
        Ok(Self { last, task })
    }

    /// The last lines, once the process has ended.
    pub(crate) async fn last(&mut self) -> Vec<String> {
        let _ = tokio::time::timeout(REST, self.task.join_next()).await;
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn line(bytes: &[u8], kept: &Mutex<VecDeque<String>>, records: &Records) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    records.output(text);
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(text.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test(flavor = "current_thread")]
    async fn the_last_lines_are_kept_also_without_a_newline() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut output = Output::new(reader, Arc::new(Records::new("disk"))).unwrap();
        writer.write_all(b"one\ntwo\n\nthree\nfour\nfive\nsix \xff").unwrap();
        drop(writer);
        assert_eq!(output.last().await, ["three", "four", "five", "six \u{fffd}"]);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_pipe_that_somebody_else_holds_open_is_not_waited_for() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut output = Output::new(reader, Arc::new(Records::new("disk"))).unwrap();
        writer.write_all(b"one\n").unwrap();
        assert_eq!(output.last().await, ["one"]);
        drop(writer);
    }
}
