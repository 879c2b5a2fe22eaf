//! Messages over the standard input and output of a program: one a line. What a program writes there besides is no reason
//! not to understand the rest.

use super::{message::Incoming, message::Outgoing, wire::WireError};
use headwater_plugin::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    sync::mpsc,
    task::JoinSet,
};
use std::collections::VecDeque;

/// Messages that wait for a program that does not read. One more is not sent: it is not answered either.
const WAITING: usize = 32;

/// The longest line, in bytes. A longer one is passed over.
const LONGEST: usize = 4 << 20;

/// Both pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    stdout: pipe::Receiver,
    reader: Reader,
    to: mpsc::Sender<String>,
    _writer: JoinSet<()>,
}

impl Pipes {
    pub(crate) fn new(stdin: pipe::Sender, stdout: pipe::Receiver) -> Self {
        let (to, waiting) = mpsc::channel(WAITING);
        let mut writer = JoinSet::new();
        writer.spawn(write(stdin, waiting));
        Self { stdout, reader: Reader::default(), to, _writer: writer }
    }

    /// Sends a message, as soon as the program reads.
    pub(crate) fn send(&self, message: &Outgoing) {
        // Full: the program does not read. It will be silent, and that is told.
        let _ = self.to.try_send(format!("{}\n", message.json));
    }

    /// The next message. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Incoming, WireError> {
        loop {
            if let Some(message) = self.reader.messages.pop_front() {
                return Ok(message);
            }
            match self.stdout.read_buf(&mut self.reader.buffer).await {
                Ok(0) => return Err(WireError::Closed("it closed its output".to_owned())),
                Ok(_) => self.reader.take(),
                Err(error) => return Err(WireError::Closed(format!("its output cannot be read: {error}"))),
            }
        }
    }

    /// Lines that were no messages.
    pub(crate) fn noise(&self) -> u64 {
        self.reader.noise
    }
}

async fn write(mut stdin: pipe::Sender, mut waiting: mpsc::Receiver<String>) {
    while let Some(line) = waiting.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
}

/// Cuts bytes into messages.
#[derive(Debug, Default)]
struct Reader {
    /// What was read and is no whole line yet.
    buffer: Vec<u8>,
    /// How far it was looked for the end of a line.
    seen: usize,
    /// The line at hand is too long, and passed over.
    skipping: bool,
    messages: VecDeque<Incoming>,
    noise: u64,
}

impl Reader {
    fn take(&mut self) {
        let mut begin = 0;
        while let Some(end) = self.buffer[self.seen..].iter().position(|byte| *byte == b'\n') {
            let end = self.seen + end;
            let line = &self.buffer[begin..end];
            let blank = line.iter().all(u8::is_ascii_whitespace);
            match Incoming::read(line).filter(|_| !self.skipping) {
                Some(message) => self.messages.push_back(message),
                None if blank && !self.skipping => {}
                None => self.noise += 1,
            }
            self.skipping = false;
            begin = end + 1;
            self.seen = begin;
        }
        self.buffer.drain(..begin);
        self.seen = self.buffer.len();
        if self.buffer.len() > LONGEST || self.skipping {
            self.skipping = true;
            self.buffer.clear();
            self.seen = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> (usize, u64) {
        let mut reader = Reader::default();
        for piece in pieces {
            reader.buffer.extend_from_slice(piece);
            reader.take();
        }
        (reader.messages.len(), reader.noise)
    }

    const MESSAGE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

    #[test]
    fn messages_are_found_among_whatever_else_is_written() {
        let text =
            [b"Starting...\r\n\n", MESSAGE, b"\r\n[INFO] x\n{not json}\n\xff\xfe\n", MESSAGE, b"\n", MESSAGE].concat();
        for size in [1, 3, 1000] {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(read(&pieces), (2, 4), "the last line has no end yet; pieces of {size}");
        }
    }

    /// A program that writes without end and without a line feed must not fill our memory.
    #[test]
    fn a_line_without_an_end_is_passed_over() {
        let flood = vec![b'x'; 64 * 1024];
        let mut reader = Reader::default();
        for _ in 0..200 {
            reader.buffer.extend_from_slice(&flood);
            reader.take();
            assert!(reader.buffer.len() <= LONGEST);
        }
        reader.buffer.extend_from_slice(b"\n");
        reader.take();
        reader.buffer.extend_from_slice(&[MESSAGE, b"\n"].concat());
        reader.take();
        assert_eq!((reader.messages.len(), reader.noise), (1, 1));
    }
}
