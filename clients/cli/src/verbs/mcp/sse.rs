//! Messages out of a stream of server-sent events. Bytes in, messages out.

/// The largest event: a daemon's answer is smaller, and a mistaken address could send without end.
const LARGEST: usize = 16 << 20;

/// A stream on its way.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What has come of a line.
    rest: Vec<u8>,
    /// The data of the event at hand.
    data: String,
}

/// An event that nobody could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Events {
    /// Takes bytes as they come; gives the data of the events that are whole now, each on one line.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLarge> {
        self.rest.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut begin = 0;
        while let Some(length) = self.rest[begin..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[begin..begin + length]);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() && !self.data.is_empty() {
                messages.push(std::mem::take(&mut self.data));
            } else if let Some(data) = line.strip_prefix("data:") {
                // JSON may be written on several lines; between them a space means the same.
                if !self.data.is_empty() {
                    self.data.push(' ');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
            begin += length + 1;
        }
        self.rest.drain(..begin);
        if self.rest.len() + self.data.len() > LARGEST { Err(TooLarge) } else { Ok(messages) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text =
            ": hello\n\ndata: {\"a\":1}\n\nid: 1\r\nevent: message\r\ndata:{\r\ndata: \"é\":2}\r\n\r\ndata: half";
        for size in [1, 2, 3, 7, 1_000] {
            let mut events = Events::default();
            let mut all = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                all.extend(events.take(piece).unwrap());
            }
            assert_eq!(all, ["{\"a\":1}", "{ \"é\":2}"], "{size}");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        assert_eq!((0..20).find_map(|_| events.take(&piece).err()), Some(TooLarge));
    }
}
