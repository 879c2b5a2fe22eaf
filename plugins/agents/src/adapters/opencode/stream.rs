//! Server-sent events out of the pieces that a connection brings:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>. Only `data` is read; opencode uses nothing else.

use std::mem;

/// The longest event, in bytes. A longer one is left out: a diff or an output that large says nothing about a state.
const MAX_EVENT: usize = 1 << 20;

/// What has come of a stream and is no whole event yet: at most a line and an event of [`MAX_EVENT`] bytes each.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    /// The line is longer than an event may be: the rest of it is not held.
    line_too_long: bool,
    /// The data of the event at hand, if it has any.
    data: Option<Vec<u8>>,
    /// Part of the event at hand was not held, so that it is none.
    event_too_long: bool,
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
        self.line_too_long |= self.line.len() + bytes.len() > MAX_EVENT;
        if self.line_too_long {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        if mem::take(&mut self.line_too_long) {
            self.event_too_long = true;
            return None;
        }
        let line = mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            let too_long = mem::take(&mut self.event_too_long);
            return self.data.take().filter(|_| !too_long);
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let data = match self.data.take() {
                Some(mut data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                    data
                }
                None => value.to_vec(),
            };
            self.event_too_long |= data.len() > MAX_EVENT;
            self.data = Some(if self.event_too_long { Vec::new() } else { data });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let events = pieces.iter().flat_map(|piece| decoder.feed(piece));
        events.map(|event| String::from_utf8(event).unwrap()).collect()
    }

    #[test]
    fn events_end_with_an_empty_line() {
        let stream = b": hello\nid: 7\ndata: {\"a\":1}\n\nevent: x\r\ndata:one\r\ndata: two\r\n\r\n\ndata: not ended\n";
        assert_eq!(all(&[stream]), ["{\"a\":1}", "one\ntwo"]);
    }

    #[test]
    fn an_event_that_is_too_long_is_left_out_and_the_next_one_is_not() {
        let long = vec![b'x'; MAX_EVENT];
        let events = all(&[b"data: ", &long, &long, b"\ndata: more\n\ndata: a\n\n"]);
        assert_eq!(events, ["a"]);
        let line = [b"data: ".as_slice(), &long[..MAX_EVENT / 2], b"\n"].concat();
        let events = all(&[&line, &line, &line, b"\ndata: b\n\n"]);
        assert_eq!(events, ["b"]);
    }

    proptest! {
        /// Harm prevented: what is told depends on how the network cuts the bytes.
        #[test]
        fn the_cuts_do_not_matter(text in "(data: [a-c]{0,3}|:|x|\r?\n){0,20}", cut in 1usize..7) {
            let whole = all(&[text.as_bytes()]);
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert_eq!(all(&pieces), whole);
        }
    }
}
