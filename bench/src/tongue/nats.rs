//! The client's side of the NATS protocol: text lines, with payloads behind their lengths. Over WebSocket it is the content
//! of binary frames, which may cut it anywhere; over TCP it is what the socket carries.

use super::Heard;

/// What a client says first. `verbose` would have every line answered.
const CONNECT: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\"version\":\"1\",\"protocol\":1}\r\n";
/// Asks for a `PONG`: everything before it has been seen to.
const PING: &[u8] = b"PING\r\n";
/// The answer to the server's own question.
pub const PONG: &[u8] = b"PONG\r\n";

/// Where a client of `JetStream` wants its acknowledgements.
pub const INBOX: &str = "_a";
/// The stream, and the subject that the events of the benchmarks have.
const STREAM: &str = "BENCH";
const SUBJECT: &str = "b";
/// How `JetStream`'s answer to the making of a stream begins.
const MADE: &[u8] = b"{\"type\":\"io.nats.jetstream.api.v1.stream_create_response\"";

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A message: its subject and its payload.
    Message {
        /// Where it was published.
        subject: &'a [u8],
        /// As it was published.
        payload: &'a [u8],
    },
    /// To be answered by [`PONG`].
    Ping,
    /// The answer to `PING`.
    Pong,
    /// Something is wrong: the rest of the line.
    Error(&'a [u8]),
    /// `INFO` and `+OK`, which tell nothing that a benchmark needs.
    Other,
}

/// Cuts what the server sends into what it says.
#[derive(Debug, Default)]
pub struct Stream {
    /// The beginning of something that has not come in full.
    carry: Vec<u8>,
}

impl Stream {
    /// Takes some bytes and passes on everything that is whole now.
    pub fn take(&mut self, bytes: &[u8], mut each: impl FnMut(Said<'_>)) {
        if self.carry.is_empty() {
            let used = parse(bytes, &mut each);
            self.carry.extend_from_slice(&bytes[used..]);
        } else {
            self.carry.extend_from_slice(bytes);
            let used = parse(&self.carry, &mut each);
            self.carry.drain(..used);
        }
    }
}

/// Appends a message; with a reply subject, that is where the acknowledgement comes.
pub fn put_message(out: &mut Vec<u8>, subject: &str, reply: Option<&str>, payload: &[u8]) {
    let reply = reply.map(|reply| format!("{reply} ")).unwrap_or_default();
    out.extend_from_slice(format!("PUB {subject} {reply}{}\r\n", payload.len()).as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

/// What a client says that subscribes; answered by a `PONG`.
pub(super) fn hello(channels: &[String]) -> Vec<u8> {
    let mut text = CONNECT.to_vec();
    for (number, channel) in (1..).zip(channels) {
        put_subscription(&mut text, channel, number);
    }
    text.extend_from_slice(PING);
    text
}

/// What a client says that stores: it makes a stream in a file, with `JetStream`'s own settings.
pub(super) fn storing_hello() -> Vec<u8> {
    let mut text = CONNECT.to_vec();
    put_subscription(&mut text, INBOX, 1);
    let stream =
        format!("{{\"name\":\"{STREAM}\",\"subjects\":[\"{SUBJECT}\"],\"storage\":\"file\",\"num_replicas\":1}}");
    put_message(&mut text, &format!("$JS.API.STREAM.CREATE.{STREAM}"), Some(INBOX), stream.as_bytes());
    text
}

/// What `JetStream`'s answer means.
pub(super) fn stored(answer: &[u8]) -> Heard<'static> {
    if answer.windows(8).any(|window| window == b"\"error\":") {
        return Heard::Refusal(String::from_utf8_lossy(answer).into_owned());
    }
    if answer.starts_with(MADE) { Heard::Ready } else { Heard::Accepted }
}

/// What has `JetStream` send all that its stream holds, without acknowledgements, to this subject.
pub fn reading_hello(subject: &str) -> Vec<u8> {
    let mut text = CONNECT.to_vec();
    put_subscription(&mut text, subject, 1);
    let consumer = format!(
        "{{\"stream_name\":\"{STREAM}\",\"config\":{{\"deliver_subject\":\"{subject}\",\"deliver_policy\":\"all\",\
         \"ack_policy\":\"none\",\"replay_policy\":\"instant\"}}}}"
    );
    put_message(&mut text, &format!("$JS.API.CONSUMER.CREATE.{STREAM}"), None, consumer.as_bytes());
    text
}

fn put_subscription(out: &mut Vec<u8>, subject: &str, number: usize) {
    out.extend_from_slice(format!("SUB {subject} {number}\r\n").as_bytes());
}

fn parse<'a>(bytes: &'a [u8], each: &mut impl FnMut(Said<'a>)) -> usize {
    let mut at = 0;
    while let Some((said, end)) = next(bytes, at) {
        each(said);
        at = end;
    }
    at
}

fn next(bytes: &[u8], at: usize) -> Option<(Said<'_>, usize)> {
    let length = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
    let (line, behind) = (&bytes[at..at + length], at + length + 2);
    let said = match line {
        // MSG subject number [reply] length
        [b'M', b'S', b'G', b' ', words @ ..] => {
            let subject = words.split(|byte| *byte == b' ').next()?;
            let size = words.rsplit(|byte| *byte == b' ').next()?;
            let size: usize = std::str::from_utf8(size).ok()?.parse().ok()?;
            let payload = bytes.get(behind..behind + size)?;
            // The line end behind it belongs to it.
            bytes.get(behind + size..behind + size + 2)?;
            return Some((Said::Message { subject, payload }, behind + size + 2));
        }
        b"PING" => Said::Ping,
        b"PONG" => Said::Pong,
        [b'-', b'E', b'R', b'R', reason @ ..] => Said::Error(reason.trim_ascii()),
        _ => Said::Other,
    };
    Some((said, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_jetstream_are_told_apart() {
        let made = [MADE, b",\"config\":{}}"].concat();
        assert_eq!(stored(&made), Heard::Ready);
        assert_eq!(stored(b"{\"stream\":\"BENCH\",\"seq\":1}"), Heard::Accepted);
        let refused = [MADE, b",\"error\":{\"code\":503}}"].concat();
        assert!(matches!(stored(&refused), Heard::Refusal(_)));
    }

    #[test]
    fn what_the_server_says_comes_whole_however_it_is_cut() {
        let text = b"INFO {}\r\nPING\r\nMSG a.b 1 5\r\nx\r\ny\r\r\nMSG c 2 _INBOX.1 0\r\n\r\nPONG\r\n-ERR 'No'\r\n";
        for cut in 1..=text.len() {
            let (mut stream, mut seen) = (Stream::default(), Vec::new());
            for part in text.chunks(cut) {
                stream.take(part, |said| seen.push(format!("{said:?}")));
            }
            let message = |subject: &str, payload: &str| {
                let (subject, payload) = (subject.as_bytes(), payload.as_bytes());
                format!("{:?}", Said::Message { subject, payload })
            };
            let error = format!("{:?}", Said::Error(b"'No'"));
            let wanted =
                ["Other", "Ping", &message("a.b", "x\r\ny\r"), &message("c", ""), "Pong", &error].map(str::to_owned);
            assert_eq!(seen, wanted, "cut at every {cut} bytes");
            assert!(stream.carry.is_empty());
        }
    }
}
