//! JSON values from standard input, in batches of what has come so far: a pipe that trickles is published at once, a
//! large file in large pieces.
//!
//! Values may stand on one line each (NDJSON) or be laid out over many.

use crate::{Failure, text::visible};
use serde_json::value::RawValue;
use std::io::{BufRead, BufReader, Read};

/// What is read at a time.
const CHUNK: usize = 64 << 10;
/// The largest single value; a daemon takes no more in one call.
const LARGEST: usize = 4 << 20;
/// The most values of a batch.
const BATCH: usize = 1000;

/// Reads values.
pub(crate) struct Values<R> {
    input: BufReader<R>,
    /// What has been read and not yet taken out.
    buffer: Vec<u8>,
    /// How much of the buffer is surely whole values.
    whole: usize,
    scanner: Scanner,
    /// The line at which the buffer begins, from 1.
    line: usize,
    ended: bool,
}

/// Some values, in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Batch {
    /// Each as one line of JSON.
    pub(crate) values: Vec<String>,
    /// The line at which each begins.
    pub(crate) lines: Vec<usize>,
}

/// Follows brackets and strings through the bytes as they come, so that a value is parsed once, when it is whole, and
/// not again with every piece of it.
#[derive(Default)]
struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// Whether everything up to and including this byte is whole: no value goes on behind it. For text that is no JSON
    /// the answer is a guess, and the parser names the fault.
    fn whole_after(&mut self, byte: u8) -> bool {
        if self.in_string {
            let closes = byte == b'"' && !self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.in_string = !closes;
            return closes && self.depth == 0;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                return false;
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        self.depth == 0 && byte.is_ascii_whitespace()
    }
}

impl<R: Read> Values<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(CHUNK, input),
            buffer: Vec::new(),
            whole: 0,
            scanner: Scanner::default(),
            line: 1,
            ended: false,
        }
    }

    /// The next values; `None` at the end. Waits for the first, never for a second.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>, Failure> {
        loop {
            let batch = self.take()?;
            if !batch.values.is_empty() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            if self.buffer.len() > LARGEST {
                return Err(self.wrong(&format!("this value has more than {} MiB", LARGEST >> 20), 0));
            }
            self.read()?;
        }
    }

    /// Reads what is there, or waits for the next piece.
    fn read(&mut self) -> Result<(), Failure> {
        let piece =
            self.input.fill_buf().map_err(|error| Failure::Other(format!("standard input cannot be read: {error}")))?;
        let before = self.buffer.len();
        for (index, &byte) in piece.iter().enumerate() {
            if self.scanner.whole_after(byte) {
                self.whole = before + index + 1;
            }
        }
        self.buffer.extend_from_slice(piece);
        let length = piece.len();
        self.input.consume(length);
        if length == 0 {
            self.ended = true;
            self.whole = self.buffer.len();
        }
        Ok(())
    }

    /// Takes the whole values out of the buffer.
    fn take(&mut self) -> Result<Batch, Failure> {
        let mut batch = Batch { values: Vec::new(), lines: Vec::new() };
        let mut used = 0;
        let mut line = self.line;
        let mut stream = serde_json::Deserializer::from_slice(&self.buffer[..self.whole]).into_iter::<&RawValue>();
        while batch.values.len() < BATCH {
            match stream.next() {
                Some(Ok(value)) => {
                    let end = stream.byte_offset();
                    let piece = &self.buffer[used..end];
                    let blank = piece.len() - piece.trim_ascii_start().len();
                    batch.lines.push(line + newlines(&piece[..blank]));
                    line += newlines(piece);
                    used = end;
                    batch.values.push(one_line(value.get()));
                }
                None => {
                    used = self.whole;
                    break;
                }
                // What stands before the fault is published first; the next call meets the fault again.
                Some(Err(_)) if !batch.values.is_empty() => break,
                Some(Err(error)) => {
                    let what = error.to_string();
                    let what = what.split(" at line ").next().unwrap_or_default().to_owned();
                    return Err(self.wrong(&format!("column {}: {what}", error.column()), error.line() - 1));
                }
            }
        }
        self.line += newlines(&self.buffer[..used]);
        self.buffer.drain(..used);
        self.whole -= used;
        Ok(batch)
    }

    fn wrong(&self, what: &str, further: usize) -> Failure {
        Failure::Other(format!("standard input, line {}: {}", self.line + further, visible(what)))
    }
}

/// JSON text on one line: outside strings a line end means no more than a space, and inside there is none.
pub(crate) fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time, as a slow pipe does.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(input: &[u8], at_a_time: usize) -> Result<(Vec<String>, Vec<usize>), Failure> {
        let mut values = Values::new(Trickle(input, at_a_time));
        let (mut seen, mut lines) = (Vec::new(), Vec::new());
        while let Some(batch) = values.next_batch()? {
            seen.extend(batch.values);
            lines.extend(batch.lines);
        }
        Ok((seen, lines))
    }

    #[test]
    fn values_are_the_same_however_they_come() {
        let input = b"{\"a\":1}\n123\n{\n  \"b\": [1,\n 2]\n}\n\n\"x\" true\nnull";
        let expected = ["{\"a\":1}", "123", "{   \"b\": [1,  2] }", "\"x\"", "true", "null"];
        for at_a_time in [1, 2, 3, 7, 1000] {
            let (values, lines) = all(input, at_a_time).unwrap();
            assert_eq!(values, expected, "{at_a_time} bytes at a time");
            assert_eq!(lines, [1, 2, 3, 8, 8, 9], "{at_a_time} bytes at a time");
        }
    }

    #[test]
    fn a_line_is_there_before_the_next_one_comes() {
        let mut values = Values::new(Trickle(b"{\"a\":1}\n{\"a\":2}\n", 8));
        assert_eq!(values.next_batch().unwrap().unwrap().values, ["{\"a\":1}"]);
        assert_eq!(values.next_batch().unwrap().unwrap().values, ["{\"a\":2}"]);
        assert_eq!(values.next_batch().unwrap(), None);
    }

    #[test]
    fn a_fault_is_named_by_its_line_after_what_was_right() {
        for at_a_time in [1, 1000] {
            let mut values = Values::new(Trickle(b"{\"a\":1}\n\n{\"b\" 2}\n", at_a_time));
            assert_eq!(values.next_batch().unwrap().unwrap().values, ["{\"a\":1}"]);
            let error = values.next_batch().unwrap_err().to_string();
            assert!(error.starts_with("standard input, line 3: column 6"), "{error}");
        }
        let error = all(b"{\"a\":", 1000).unwrap_err().to_string();
        assert!(error.contains("EOF"), "{error}");
        assert_eq!(all(b" \n\n", 1).unwrap().0, Vec::<String>::new());
        assert!(all(b"\"\xff\"", 10).is_err());
    }

    #[test]
    fn a_value_without_end_is_given_up() {
        let endless = std::iter::repeat_n(b'[', LARGEST + 2 * CHUNK).collect::<Vec<u8>>();
        // Nested too deeply or too large: either way it ends.
        assert!(all(&endless, CHUNK).is_err());
        let long = [b"\"".to_vec(), vec![b'x'; LARGEST + 2 * CHUNK]].concat();
        assert!(all(&long, CHUNK).unwrap_err().to_string().contains("4 MiB"));
    }
}
