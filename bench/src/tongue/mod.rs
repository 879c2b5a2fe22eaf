//! How each server is spoken to over WebSocket: subscribing, publishing, and what its frames mean. One client with several
//! tongues measures all servers; what it says is what such a server's usual client says.

pub mod nats;

use crate::{
    frames::{BINARY, CLOSE, PING, PONG, TEXT, put_frame},
    payload::{SMALLEST, mark, put_data},
};

/// The events' type in our own protocol; a frame that begins with it is an event.
const KIND: &str = "t";

/// The way one server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// Our own: JSON, and an envelope around the data.
    Native,
    /// For broadcast servers as people write them: `S channel`, answered by `OK`, and `P channel text`. The text is passed
    /// on as it is.
    Lines,
    /// The NATS protocol in binary frames.
    Nats,
}

/// An event to publish.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Where.
    pub channel: &'a str,
    /// Its number among all that this client publishes.
    pub number: u64,
    /// Its offset in the channel: it is part of our envelope, and so of its size.
    pub offset: u64,
}

/// What a frame means.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// An event, with its text as the client receives it.
    Event(&'a [u8]),
    /// A subscription stands.
    Ready,
    /// Nothing to care for.
    Nothing,
    /// The server refuses something, or ends.
    Refusal(String),
}

/// One connection's understanding of what comes.
#[derive(Debug)]
pub struct Ear {
    tongue: Tongue,
    stream: nats::Stream,
}

impl Tongue {
    /// Where the WebSocket is.
    pub fn path(self) -> &'static str {
        if self == Self::Native { "/v1/stream" } else { "/" }
    }

    /// Appends what a client says at first, with its subscriptions; returns how often it hears [`Heard::Ready`] for it.
    pub fn put_hello(self, out: &mut Vec<u8>, channels: &[String]) -> usize {
        match self {
            Self::Native if channels.is_empty() => 0,
            Self::Native => {
                let list = channels.join("\",\"");
                let text = format!("{{\"type\":\"subscribe\",\"channels\":[\"{list}\"],\"request_id\":\"s\"}}");
                put_frame(out, TEXT, text.as_bytes());
                1
            }
            Self::Lines => {
                for channel in channels {
                    put_frame(out, TEXT, format!("S {channel}").as_bytes());
                }
                channels.len()
            }
            Self::Nats => {
                let mut text = nats::CONNECT.to_vec();
                for (index, channel) in channels.iter().enumerate() {
                    nats::put_subscription(&mut text, channel, index + 1);
                }
                text.extend_from_slice(nats::PING);
                put_frame(out, BINARY, &text);
                1
            }
        }
    }

    /// Appends the frames that publish these events, each of `size` bytes as a subscriber receives it, and notes when.
    pub fn put_events(self, out: &mut Vec<u8>, items: &[Item<'_>], size: usize) {
        let mut text = Vec::with_capacity(items.len() * (size + 64));
        match self {
            Self::Native => {
                text.extend_from_slice(b"{\"type\":\"publish\",\"events\":[");
                for (index, item) in items.iter().enumerate() {
                    text.extend_from_slice(if index > 0 { b"," } else { b"" });
                    put_object(&mut text, *item, size);
                }
                text.extend_from_slice(b"]}");
                put_frame(out, TEXT, &text);
            }
            Self::Lines => {
                for Item { channel, number, .. } in items {
                    text.clear();
                    text.extend_from_slice(format!("P {channel} ").as_bytes());
                    put_text(&mut text, *number, size);
                    put_frame(out, TEXT, &text);
                }
            }
            Self::Nats => {
                let mut payload = Vec::with_capacity(size);
                for Item { channel, number, .. } in items {
                    payload.clear();
                    put_text(&mut payload, *number, size);
                    nats::put_message(&mut text, channel, None, &payload);
                }
                put_frame(out, BINARY, &text);
            }
        }
        // Made first, stamped then: making them is not the server's time.
        for item in items {
            mark(item.number);
        }
    }

    /// A new connection's ear.
    pub fn ear(self) -> Ear {
        Ear { tongue: self, stream: nats::Stream::default() }
    }
}

impl Ear {
    /// Understands one frame, and appends to `answers` the frames that the server wants back.
    pub fn hear(&mut self, opcode: u8, payload: &[u8], answers: &mut Vec<u8>, mut each: impl FnMut(Heard<'_>)) {
        match (opcode, self.tongue) {
            (PING, _) => put_frame(answers, PONG, payload),
            (PONG, _) => {}
            (CLOSE, _) => each(Heard::Refusal(format!("the server closed: {}", closing(payload)))),
            (TEXT, Tongue::Native) => each(native(payload)),
            (TEXT, Tongue::Lines) if payload == b"OK" => each(Heard::Ready),
            (TEXT, Tongue::Lines) => each(Heard::Event(payload)),
            (BINARY, Tongue::Nats) => self.stream.take(payload, |said| {
                each(match said {
                    nats::Said::Message { payload, .. } => Heard::Event(payload),
                    nats::Said::Pong => Heard::Ready,
                    nats::Said::Error(reason) => Heard::Refusal(String::from_utf8_lossy(reason).into_owned()),
                    nats::Said::Other => Heard::Nothing,
                    nats::Said::Ping => {
                        put_frame(answers, BINARY, nats::PONG);
                        Heard::Nothing
                    }
                });
            }),
            _ => each(Heard::Refusal(format!("a frame with opcode {opcode}"))),
        }
    }
}

fn native(text: &[u8]) -> Heard<'_> {
    // The order of keys is the server's, and stays: it writes them by hand.
    if text.strip_prefix(b"{\"type\":\"").and_then(|rest| rest.strip_prefix(KIND.as_bytes())).is_some_and(closes) {
        Heard::Event(text)
    } else if text.starts_with(b"{\"type\":\"subscription_response\",\"status\":\"success\"") {
        Heard::Ready
    } else if text.starts_with(b"{\"type\":\"publish_response\"") {
        Heard::Nothing
    } else {
        Heard::Refusal(String::from_utf8_lossy(text).into_owned())
    }
}

fn closes(rest: &[u8]) -> bool {
    rest.first() == Some(&b'"')
}

fn closing(payload: &[u8]) -> String {
    let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
    format!("{code} {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default()))
}

/// A text of exactly this size, as servers without an envelope pass it on.
fn put_text(out: &mut Vec<u8>, number: u64, size: usize) {
    const HEAD: &[u8] = b"{\"data\":";
    out.extend_from_slice(HEAD);
    put_data(out, number, size.saturating_sub(HEAD.len() + 1).max(SMALLEST));
    out.push(b'}');
}

/// Appends a body for `POST /v1/events` with an event in each line, and notes when.
pub fn put_ndjson(out: &mut Vec<u8>, items: &[Item<'_>], size: usize) {
    for item in items {
        put_object(out, *item, size);
        out.push(b'\n');
    }
    for item in items {
        mark(item.number);
    }
}

/// An event as a client of ours publishes it.
fn put_object(out: &mut Vec<u8>, Item { channel, number, offset }: Item<'_>, size: usize) {
    let head = format!("{{\"channel\":\"{channel}\",\"type\":\"{KIND}\",\"data\":");
    out.extend_from_slice(head.as_bytes());
    put_data(out, number, data_size(channel, offset, size));
    out.push(b'}');
}

/// How much data makes an event of ours that is received in `size` bytes.
fn data_size(channel: &str, offset: u64, size: usize) -> usize {
    size.saturating_sub(envelope(channel, offset).len()).max(SMALLEST)
}

/// What stands around the data of an event that a client published; what the daemon fills in has these lengths.
fn envelope(channel: &str, offset: u64) -> String {
    format!(
        "{{\"type\":\"{KIND}\",\"channel\":\"{channel}\",\"timestamp\":\"2026-11-20T09:30:00.123456Z\",\
         \"message_id\":\"01930000-0000-7000-8000-000000000000\",\"epoch\":\"00000000000000ab\",\
         \"offset\":{offset},\"source\":\"client\",\"data\":}}"
    )
}

/// The names of so many channels; of many, all have one length.
pub fn channels(count: usize) -> Vec<String> {
    if count == 1 { vec!["b".to_owned()] } else { (0..count).map(|number| format!("c{number:04}")).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frames::each_frame, payload::SIZE};

    fn text(tongue: Tongue, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let items = [Item { channel: "c0001", number: 7, offset: 123_456 }];
        tongue.put_events(&mut out, &items, size);
        // As a server sees it: without the mask.
        let mut texts = Vec::new();
        each_frame(&crate::frames::unmasked(&out), |_, payload| texts.push(payload.to_vec()));
        assert_eq!(texts.len(), 1);
        texts.remove(0)
    }

    #[test]
    fn every_tongue_publishes_texts_of_the_same_size() {
        for size in [SIZE, 2 * SIZE, 4_000] {
            let lines = text(Tongue::Lines, size);
            let passed_on = lines.strip_prefix(b"P c0001 ").unwrap();
            assert_eq!(passed_on.len(), size);
            assert!(serde_json::from_slice::<serde_json::Value>(passed_on).is_ok());
            let nats = text(Tongue::Nats, size);
            let passed_on = nats.strip_prefix(format!("PUB c0001 {size}\r\n").as_bytes()).unwrap();
            assert_eq!(passed_on.len(), size + 2);
            let native: serde_json::Value = serde_json::from_slice(&text(Tongue::Native, size)).unwrap();
            let data = serde_json::to_string(&native["events"][0]["data"]).unwrap();
            assert_eq!(envelope("c0001", 123_456).len() + data.len(), size);
        }
    }

    #[test]
    fn frames_are_understood() {
        let heard = |tongue: Tongue, opcode: u8, payload: &[u8]| {
            let (mut answers, mut heard) = (Vec::new(), Vec::new());
            tongue.ear().hear(opcode, payload, &mut answers, |one| heard.push(format!("{one:?}")));
            (heard.join(" "), answers.len())
        };
        let event = envelope("b", 1).replace("\"data\":", "\"data\":1");
        assert_eq!(heard(Tongue::Native, TEXT, event.as_bytes()).0, format!("{:?}", Heard::Event(event.as_bytes())));
        let gap = b"{\"type\":\"t_gap\"}";
        assert!(heard(Tongue::Native, TEXT, gap).0.starts_with("Refusal"));
        assert_eq!(heard(Tongue::Lines, TEXT, b"OK"), ("Ready".to_owned(), 0));
        assert_eq!(heard(Tongue::Lines, PING, b"x"), (String::new(), 7));
        assert_eq!(heard(Tongue::Nats, BINARY, b"PONG\r\nPING\r\n"), ("Ready Nothing".to_owned(), 12));
        assert!(heard(Tongue::Nats, TEXT, b"PONG\r\n").0.starts_with("Refusal"));
        assert!(heard(Tongue::Nats, CLOSE, b"\x03\xe8bye").0.contains("1000 bye"));
    }
}
