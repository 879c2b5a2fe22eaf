//! How each server is spoken to: subscribing, publishing, and what comes back. One client with several tongues measures all
//! servers; what it says is what such a server's usual client says.

mod native;
pub mod nats;
pub mod sse;

pub use native::put_ndjson;

use crate::{
    frames::{BINARY, CLOSE, PING, PONG, TEXT, each_frame, put_frame},
    payload::{SMALLEST, mark, put_data},
};

/// The way one server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// Our own: JSON over WebSocket, and an envelope around the data.
    Native,
    /// For broadcast servers as people write them, over WebSocket: `S channel`, answered by `OK`, and `P channel text`. The
    /// text is passed on as it is.
    Lines,
    /// The NATS protocol over WebSocket, in binary frames.
    Nats,
    /// The NATS protocol over TCP, into a stream of `JetStream`'s; each event is acknowledged.
    JetStream,
    /// Server-sent events over HTTP. For subscribers only.
    Sse,
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With a WebSocket's handshake at this path.
    WebSocket(&'static str),
    /// With what is said first.
    Bare,
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

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// An event, with its text as the client receives it.
    Event(&'a [u8]),
    /// A subscription stands.
    Ready,
    /// A publish has been taken.
    Accepted,
    /// Nothing to care for.
    Nothing,
    /// The server refuses something, or ends.
    Refusal(String),
}

/// One connection's understanding of what comes.
#[derive(Debug)]
pub struct Ear {
    tongue: Tongue,
    nats: nats::Stream,
    records: sse::Records,
}

impl Tongue {
    /// How its connections begin.
    pub fn opening(self) -> Opening {
        match self {
            Self::Native => Opening::WebSocket("/v1/stream"),
            Self::Lines | Self::Nats => Opening::WebSocket("/"),
            Self::JetStream | Self::Sse => Opening::Bare,
        }
    }

    /// Appends what a client says at first, with its subscriptions; returns how often it hears [`Heard::Ready`] for it.
    pub fn put_hello(self, out: &mut Vec<u8>, channels: &[String]) -> usize {
        match self {
            Self::Native if channels.is_empty() => 0,
            Self::Native => {
                put_frame(out, TEXT, native::subscribe(channels).as_bytes());
                1
            }
            Self::Lines => {
                for channel in channels {
                    put_frame(out, TEXT, format!("S {channel}").as_bytes());
                }
                channels.len()
            }
            Self::Nats => {
                put_frame(out, BINARY, &nats::hello(channels));
                1
            }
            Self::JetStream => {
                out.extend_from_slice(&nats::storing_hello());
                1
            }
            Self::Sse => {
                out.extend_from_slice(sse::request(channels).as_bytes());
                1
            }
        }
    }

    /// Appends what publishes these events, each of `size` bytes as a subscriber receives it, and notes when. When asked,
    /// our own protocol's message is answered; `JetStream` always answers, to each event.
    pub fn put_events(self, out: &mut Vec<u8>, items: &[Item<'_>], size: usize, ask: bool) {
        let mut text = Vec::with_capacity(items.len() * (size + 64));
        match self {
            Self::Native => {
                native::put_publish(&mut text, items, size, ask);
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
            Self::Nats | Self::JetStream => {
                let reply = (self == Self::JetStream).then_some(nats::INBOX);
                let mut payload = Vec::with_capacity(size);
                for Item { channel, number, .. } in items {
                    payload.clear();
                    put_text(&mut payload, *number, size);
                    nats::put_message(&mut text, channel, reply, &payload);
                }
                match self {
                    Self::Nats => put_frame(out, BINARY, &text),
                    _ => out.extend_from_slice(&text),
                }
            }
            Self::Sse => unreachable!("server-sent events only come; publishing is an HTTP request"),
        }
        // Made first, stamped then: making them is not the server's time.
        for item in items {
            mark(item.number);
        }
    }

    /// A new connection's ear.
    pub fn ear(self) -> Ear {
        Ear { tongue: self, nats: nats::Stream::default(), records: sse::Records::default() }
    }
}

impl Ear {
    /// Understands what has come; returns how many bytes of it were used. The rest is the beginning of something that has
    /// not come yet. Appends to `answers` what the server wants back.
    pub fn take(&mut self, bytes: &[u8], answers: &mut Vec<u8>, mut each: impl FnMut(Heard<'_>)) -> usize {
        match self.tongue {
            Tongue::Native | Tongue::Lines | Tongue::Nats => {
                return each_frame(bytes, |opcode, payload| self.frame(opcode, payload, answers, &mut each));
            }
            Tongue::JetStream => self.nats.take(bytes, |said| {
                each(match said {
                    nats::Said::Message { payload, .. } => nats::stored(payload),
                    other => nats_hear(&other, answers, |answers| answers.extend_from_slice(nats::PONG)),
                });
            }),
            Tongue::Sse => self.records.take(bytes, |said| {
                each(match said {
                    sse::Said::Begun => Heard::Ready,
                    sse::Said::Data(text) => Heard::Event(text.as_bytes()),
                    sse::Said::Other => Heard::Nothing,
                    sse::Said::Wrong(what) => Heard::Refusal(what),
                });
            }),
        }
        bytes.len()
    }

    fn frame(&mut self, opcode: u8, payload: &[u8], answers: &mut Vec<u8>, mut each: impl FnMut(Heard<'_>)) {
        match (opcode, self.tongue) {
            (PING, _) => put_frame(answers, PONG, payload),
            (PONG, _) => {}
            (CLOSE, _) => each(Heard::Refusal(format!("the server closed: {}", closing(payload)))),
            (TEXT, Tongue::Native) => each(native::hear(payload)),
            (TEXT, Tongue::Lines) if payload == b"OK" => each(Heard::Ready),
            (TEXT, Tongue::Lines) => each(Heard::Event(payload)),
            (BINARY, Tongue::Nats) => self.nats.take(payload, |said| {
                each(match said {
                    nats::Said::Message { payload, .. } => Heard::Event(payload),
                    other => nats_hear(&other, answers, |answers| put_frame(answers, BINARY, nats::PONG)),
                });
            }),
            _ => each(Heard::Refusal(format!("a frame with opcode {opcode}"))),
        }
    }
}

/// What NATS says besides messages.
fn nats_hear(said: &nats::Said<'_>, answers: &mut Vec<u8>, pong: impl FnOnce(&mut Vec<u8>)) -> Heard<'static> {
    match said {
        nats::Said::Pong => Heard::Ready,
        nats::Said::Error(reason) => Heard::Refusal(String::from_utf8_lossy(reason).into_owned()),
        nats::Said::Ping => {
            pong(answers);
            Heard::Nothing
        }
        nats::Said::Other | nats::Said::Message { .. } => Heard::Nothing,
    }
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

/// The names of so many channels; of many, all have one length.
pub fn channels(count: usize) -> Vec<String> {
    if count == 1 { vec!["b".to_owned()] } else { (0..count).map(|number| format!("c{number:04}")).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frames::unmasked, payload::SIZE};

    fn text(tongue: Tongue, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let items = [Item { channel: "c0001", number: 7, offset: 123_456 }];
        tongue.put_events(&mut out, &items, size, false);
        if tongue == Tongue::JetStream {
            return out;
        }
        // As a server sees it: without the mask.
        let mut texts = Vec::new();
        each_frame(&unmasked(&out), |_, payload| texts.push(payload.to_vec()));
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
            for (tongue, reply) in [(Tongue::Nats, ""), (Tongue::JetStream, "_a ")] {
                let text = text(tongue, size);
                let passed_on = text.strip_prefix(format!("PUB c0001 {reply}{size}\r\n").as_bytes()).unwrap();
                assert_eq!(passed_on.len(), size + 2);
            }
            let native: serde_json::Value = serde_json::from_slice(&text(Tongue::Native, size)).unwrap();
            let data = serde_json::to_string(&native["events"][0]["data"]).unwrap();
            assert_eq!(native::envelope("c0001", 123_456).len() + data.len(), size);
        }
    }

    #[test]
    fn frames_are_understood() {
        let heard = |tongue: Tongue, opcode: u8, payload: &[u8]| {
            let (mut frame, mut answers, mut heard) = (Vec::new(), Vec::new(), Vec::new());
            put_frame(&mut frame, opcode, payload);
            let frame = unmasked(&frame);
            let used = tongue.ear().take(&frame, &mut answers, |one| heard.push(format!("{one:?}")));
            assert_eq!(used, frame.len());
            (heard.join(" "), answers.len())
        };
        assert_eq!(heard(Tongue::Lines, TEXT, b"OK"), ("Ready".to_owned(), 0));
        assert_eq!(heard(Tongue::Lines, PING, b"x"), (String::new(), 7));
        assert_eq!(heard(Tongue::Nats, BINARY, b"PONG\r\nPING\r\n"), ("Ready Nothing".to_owned(), 12));
        assert!(heard(Tongue::Nats, TEXT, b"PONG\r\n").0.starts_with("Refusal"));
        assert!(heard(Tongue::Nats, CLOSE, b"\x03\xe8bye").0.contains("1000 bye"));
        let publish = b"{\"type\":\"publish_response\",\"status\":\"accepted\"}";
        assert_eq!(heard(Tongue::Native, TEXT, publish), ("Accepted".to_owned(), 0));
    }
}
