//! The client's side of server-sent events: a `GET` whose answer does not end, in chunks, of records with `data:` lines.

/// What stands between records.
const END: &str = "\n\n";

/// Cuts such an answer into its records.
#[derive(Debug, Default)]
pub struct Records {
    place: Place,
    /// What came of the head, or of a chunk's length.
    line: Vec<u8>,
    /// What came of records, without the chunks around it.
    text: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    /// The length of a chunk.
    Length,
    /// So much of a chunk, with the line end behind it.
    Chunk(usize),
}

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// The stream has begun.
    Begun,
    /// A record's data.
    Data(&'a str),
    /// A record without data: a comment, a time to wait.
    Other,
    /// This is no such answer.
    Wrong(String),
}

/// The request that begins a stream.
pub fn request(channels: &[String]) -> String {
    let query = channels.iter().map(|channel| format!("channel={channel}")).collect::<Vec<_>>().join("&");
    format!(
        "GET /v1/events?{query}&follow=1&from=latest HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
    )
}

impl Records {
    /// Takes some bytes and passes on every record that is whole now.
    pub fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(Said<'_>)) {
        while !bytes.is_empty() {
            match self.place {
                Place::Head => {
                    let Some(head) = self.up_to(b"\r\n\r\n", &mut bytes) else { return };
                    each(begun(&String::from_utf8_lossy(&head)));
                    self.place = Place::Length;
                }
                Place::Length => {
                    let Some(line) = self.up_to(b"\r\n", &mut bytes) else { return };
                    let length =
                        std::str::from_utf8(&line).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
                    match length {
                        Some(length @ 1..) => self.place = Place::Chunk(length + 2),
                        end => return each(Said::Wrong(format!("the stream ended: {end:?}"))),
                    }
                }
                Place::Chunk(left) => {
                    let part = left.min(bytes.len());
                    // The line end behind a chunk is none of its content.
                    let content = part.min(left.saturating_sub(2));
                    self.text.extend_from_slice(&bytes[..content]);
                    bytes = &bytes[part..];
                    self.place = if left == part { Place::Length } else { Place::Chunk(left - part) };
                }
            }
        }
        self.records(each);
    }

    /// Moves bytes up to this end into the line; the line without the end, when it has come.
    fn up_to(&mut self, end: &[u8], bytes: &mut &[u8]) -> Option<Vec<u8>> {
        while let Some((first, rest)) = bytes.split_first() {
            self.line.push(*first);
            *bytes = rest;
            if self.line.ends_with(end) {
                let mut line = std::mem::take(&mut self.line);
                line.truncate(line.len() - end.len());
                return Some(line);
            }
        }
        None
    }

    fn records(&mut self, mut each: impl FnMut(Said<'_>)) {
        // Text cut within a character waits for the rest.
        let valid = match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.text[..error.valid_up_to()]).expect("it is valid up to there"),
        };
        let mut rest = valid;
        while let Some((record, behind)) = rest.split_once(END) {
            let data = record.lines().find_map(|line| line.strip_prefix("data:"));
            each(data.map_or(Said::Other, |data| Said::Data(data.trim_start())));
            rest = behind;
        }
        let used = valid.len() - rest.len();
        self.text.drain(..used);
    }
}

fn begun(head: &str) -> Said<'_> {
    let head = head.to_ascii_lowercase();
    let right = head.starts_with("http/1.1 200 ") && head.contains("text/event-stream") && head.contains("chunked");
    if right { Said::Begun } else { Said::Wrong(head) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_whole_however_they_are_cut() {
        let body = [": hi\n\n", "id: a\ndata: {\"n\":1}\n", "\ndata: ä\n\ndata: x\n\n"];
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks = body.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        let text: String = std::iter::once(head.to_owned()).chain(chunks).collect();
        for cut in 1..=text.len() {
            let (mut records, mut seen) = (Records::default(), Vec::new());
            for part in text.as_bytes().chunks(cut) {
                records.take(part, |said| seen.push(format!("{said:?}")));
            }
            let wanted = [Said::Begun, Said::Other, Said::Data("{\"n\":1}"), Said::Data("ä"), Said::Data("x")];
            assert_eq!(seen, wanted.map(|said| format!("{said:?}")), "cut at every {cut} bytes");
            assert!(records.text.is_empty() && records.line.is_empty());
        }
    }

    #[test]
    fn anything_else_is_wrong() {
        for text in ["HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"] {
            let mut wrong = false;
            Records::default().take(text.as_bytes(), |said| wrong |= matches!(said, Said::Wrong(_)));
            assert!(wrong, "{text}");
        }
    }
}
