//! Server-sent events out of the pieces that a connection brings:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>. Only `data` is read; the protocol needs nothing else here.

use std::mem;

/// The longest event, in bytes. A longer one is left out.
pub(super) const MAX_EVENT: usize = 4 << 20;

/// What has come of a stream and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    /// The data of the event at hand, if it has any.
    data: Option<Vec<u8>>,
    /// Part of the event at hand was not held, so that it is none.
    too_long: bool,
}

impl Decoder {
    /// Takes a piece, and gives the data of the events that it ends.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.extend(&rest[..end]);
            events.extend(self.end_line());
            rest = &rest[end + 1..];
        }
        self.extend(rest);
        events
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > MAX_EVENT {
            self.too_long = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            let too_long = mem::take(&mut self.too_long);
            return self.data.take().filter(|_| !too_long);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let mut data = self.data.take().map_or_else(Vec::new, |mut data| {
                data.push(b'\n');
                data
            });
            self.too_long |= data.len() + value.len() > MAX_EVENT;
            if !self.too_long {
                data.extend_from_slice(value);
            }
            self.data = Some(data);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let events = pieces.iter().flat_map(|piece| decoder.feed(piece));
        events.map(|event| String::from_utf8(event).unwrap()).collect()
    }

    #[test]
    fn events_end_with_an_empty_line_wherever_the_network_cuts_them() {
        let stream =
            b": hello\nid: 7\nevent: message\ndata: {\"a\":1}\n\r\ndata:one\r\ndata: two\r\n\r\n\ndata: open\n";
        for size in [1, 2, 7, 1000] {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(all(&pieces), ["{\"a\":1}", "one\ntwo"], "{size}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_left_out_and_the_next_one_is_not() {
        let long = vec![b'x'; MAX_EVENT];
        assert_eq!(all(&[b"data: ", &long, &long, b"\n\ndata: a\n\n"]), ["a"]);
        let line = [b"data: ".as_slice(), &long[..MAX_EVENT / 2], b"\n"].concat();
        assert_eq!(all(&[&line, &line, &line, b"\ndata: b\n\n"]), ["b"]);
    }
}
