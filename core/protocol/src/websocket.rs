//! WebSocket frames (RFC 6455): building a server's, reading a client's, below the message layer so that every frame
//! can be counted, empty ones too.

use crate::CloseCode;

/// Appends one whole text frame of a server: unmasked, not fragmented.
pub fn text_frame(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, 0x1, payload);
}

/// Appends a text frame of a server whose payload `write` appends. `expected` is about how long that is: only where it
/// means another header does the payload move.
pub fn text_frame_of(out: &mut Vec<u8>, expected: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let (begin, guess) = (out.len(), Head::new(0x1, expected));
    out.reserve(guess.length + expected);
    out.extend_from_slice(guess.bytes());
    let payload = out.len();
    write(out);
    let head = Head::new(0x1, out.len() - payload);
    if head.length == guess.length {
        out[begin..payload].copy_from_slice(head.bytes());
    } else {
        out.splice(begin..payload, head.bytes().iter().copied());
    }
}

/// The payload of a frame that [`text_frame`] made.
pub fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

/// Appends a ping.
pub fn ping_frame(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, 0x9, payload);
}

/// Appends a pong that answers this payload.
pub fn pong_frame(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, 0xa, payload);
}

/// Appends a close frame; the reason is cut to the 123 bytes that fit.
pub fn close_frame(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let cut = (0..=reason.len().min(123)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..cut]);
    frame(out, 0x8, &payload);
}

fn frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.extend_from_slice(Head::new(opcode, payload.len()).bytes());
    out.extend_from_slice(payload);
}

/// What stands before a server's payload.
struct Head {
    bytes: [u8; 10],
    length: usize,
}

impl Head {
    fn new(opcode: u8, payload: usize) -> Self {
        let mut bytes = [0; 10];
        bytes[0] = 0x80 | opcode;
        let length = match payload {
            short @ 0..126 => {
                bytes[1] = short as u8;
                2
            }
            medium @ 126..0x1_0000 => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
                4
            }
            long => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(long as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// What one frame of a client brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A ping, to be answered with its payload.
    Ping(&'a [u8]),
    /// A pong, with the payload of the ping that it answers, or with anything.
    Pong(&'a [u8]),
    /// The client closes, with its code if it gave one.
    Close(Option<u16>),
    /// A fragment that completes nothing yet.
    Fragment,
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FrameError {
    /// To be closed with.
    pub code: CloseCode,
    /// In words.
    pub reason: &'static str,
}

const fn broken(reason: &'static str) -> FrameError {
    FrameError { code: CloseCode::Protocol, reason }
}

/// Reads the frames of one client. Holds nothing but the parts of a fragmented message.
#[derive(Debug, Default)]
pub struct Reader {
    parts: Vec<u8>,
    open: bool,
}

impl Reader {
    /// Takes the first frame of `buffer`, unmasking it in place. `Ok(None)`: it is not whole yet. Otherwise the number
    /// of bytes used and what they brought; call again with the rest. `limit` bounds a whole message.
    pub fn next<'a>(
        &'a mut self,
        buffer: &'a mut [u8],
        limit: usize,
    ) -> Result<Option<(usize, Incoming<'a>)>, FrameError> {
        if !self.open && self.parts.capacity() > 0 {
            // The message that these parts made was handed out by the call before.
            self.parts = Vec::new();
        }
        let Some(header) = Header::read(buffer)? else { return Ok(None) };
        if !header.control() && header.length > limit.saturating_sub(self.parts.len()) as u64 {
            return Err(FrameError { code: CloseCode::TooBig, reason: "the message is larger than the limit" });
        }
        let end = header.size + header.length as usize;
        if buffer.len() < end {
            return Ok(None);
        }
        let payload = &mut buffer[header.size..end];
        unmask(header.mask, payload);
        let payload: &'a [u8] = payload;
        let incoming = match header.opcode {
            0x8 => close(payload)?,
            0x9 => Incoming::Ping(payload),
            0xa => Incoming::Pong(payload),
            0x1 if self.open => return Err(broken("a new message inside a fragmented one")),
            0x1 if header.last => Incoming::Text(text(payload)?),
            0x0 if !self.open => return Err(broken("a continuation of no message")),
            0x0 | 0x1 => {
                self.parts.extend_from_slice(payload);
                self.open = !header.last;
                if self.open { Incoming::Fragment } else { Incoming::Text(text(&self.parts)?) }
            }
            0x2 => {
                return Err(FrameError { code: CloseCode::Unsupported, reason: "binary messages are not understood" });
            }
            _ => return Err(broken("a reserved opcode")),
        };
        Ok(Some((end, incoming)))
    }
}

struct Header {
    last: bool,
    opcode: u8,
    mask: [u8; 4],
    length: u64,
    /// Bytes before the payload.
    size: usize,
}

impl Header {
    fn control(&self) -> bool {
        self.opcode >= 0x8
    }

    fn read(buffer: &[u8]) -> Result<Option<Self>, FrameError> {
        let &[first, second, ..] = buffer else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(broken("a reserved bit is set; no extension was agreed"));
        }
        if second & 0x80 == 0 {
            return Err(broken("a client's frame is not masked"));
        }
        let (extended, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, u64::from(short)),
        };
        let size = 2 + extended + 4;
        let last = first & 0x80 != 0;
        let opcode = first & 0x0f;
        if opcode >= 0x8 && (extended > 0 || !last) {
            return Err(broken("a control frame is longer than 125 bytes, or fragmented"));
        }
        let Some(head) = buffer.get(..size) else { return Ok(None) };
        let length = head[2..2 + extended].iter().fold(short, |length, byte| length << 8 | u64::from(*byte));
        if length > i64::MAX as u64 {
            return Err(broken("a frame's length has its highest bit set"));
        }
        let mask = head[size - 4..].try_into().expect("the slice has four bytes");
        Ok(Some(Self { last, opcode, mask, length, size }))
    }
}

fn close(payload: &[u8]) -> Result<Incoming<'_>, FrameError> {
    match payload {
        [] => Ok(Incoming::Close(None)),
        [_] => Err(broken("a close code has two bytes")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let known = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            if !known {
                return Err(broken("no such close code"));
            }
            text(reason)?;
            Ok(Incoming::Close(Some(code)))
        }
    }
}

fn text(payload: &[u8]) -> Result<&str, FrameError> {
    std::str::from_utf8(payload)
        .map_err(|_| FrameError { code: CloseCode::InvalidText, reason: "a text message is not UTF-8" })
}

/// Undoes the mask, eight bytes at a time.
fn unmask(mask: [u8; 4], payload: &mut [u8]) {
    let word = u32::from_ne_bytes(mask);
    let wide = u64::from(word) << 32 | u64::from(word);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let value = u64::from_ne_bytes((&*chunk).try_into().expect("the chunk has eight bytes")) ^ wide;
        chunk.copy_from_slice(&value.to_ne_bytes());
    }
    for (index, byte) in chunks.into_remainder().iter_mut().enumerate() {
        *byte ^= mask[index & 3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame(&mut out, first & 0x0f, payload);
        out[0] = first;
        out[1] |= 0x80;
        let header = out.len() - payload.len();
        let mask = [1, 2, 3, 4];
        out.splice(header..header, mask);
        unmask(mask, &mut out[header + 4..]);
        out
    }

    fn read(reader: &mut Reader, mut bytes: Vec<u8>) -> Result<String, FrameError> {
        reader.next(&mut bytes, 1000).map(|step| format!("{:?}", step.expect("the frame is whole").1))
    }

    #[test]
    fn a_frame_that_is_written_in_place_is_the_same_whatever_length_was_expected() {
        for length in [0, 1, 125, 126, 200, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let mut whole = b"before".to_vec();
            text_frame(&mut whole, &payload);
            for expected in [0, 125, 126, 65_535, 65_536, 1 << 20] {
                let mut out = b"before".to_vec();
                text_frame_of(&mut out, expected, |out| out.extend_from_slice(&payload));
                assert!(out == whole, "{length} bytes where {expected} were expected");
            }
        }
    }

    #[test]
    fn messages_come_whole_or_in_parts_with_control_frames_between() {
        let mut reader = Reader::default();
        assert_eq!(read(&mut reader, client_frame(0x81, b"whole")).unwrap(), "Text(\"whole\")");
        assert_eq!(read(&mut reader, client_frame(0x01, b"in ")).unwrap(), "Fragment");
        assert_eq!(read(&mut reader, client_frame(0x89, b"p")).unwrap(), "Ping([112])");
        assert_eq!(read(&mut reader, client_frame(0x00, b"")).unwrap(), "Fragment");
        assert_eq!(read(&mut reader, client_frame(0x80, b"parts")).unwrap(), "Text(\"in parts\")");
        assert_eq!(read(&mut reader, client_frame(0x81, b"again")).unwrap(), "Text(\"again\")");
        assert_eq!(read(&mut reader, client_frame(0x88, &[3, 232])).unwrap(), "Close(Some(1000))");
    }

    #[test]
    fn what_the_protocol_forbids_closes_with_its_code() {
        let cases: [(Vec<u8>, CloseCode); 9] = [
            (vec![0x81, 0x01, b'x'], CloseCode::Protocol),
            (client_frame(0xc1, b"x"), CloseCode::Protocol),
            (client_frame(0x80, b"x"), CloseCode::Protocol),
            (client_frame(0x09, b"x"), CloseCode::Protocol),
            (client_frame(0x83, b"x"), CloseCode::Protocol),
            (client_frame(0x88, &[0]), CloseCode::Protocol),
            (client_frame(0x82, b"x"), CloseCode::Unsupported),
            (client_frame(0x81, b"\xff"), CloseCode::InvalidText),
            (client_frame(0x81, &[b'x'; 1001]), CloseCode::TooBig),
        ];
        for (bytes, code) in cases {
            assert_eq!(read(&mut Reader::default(), bytes.clone()).unwrap_err().code, code, "{bytes:02x?}");
        }
        let mut reader = Reader::default();
        read(&mut reader, client_frame(0x01, &[b'x'; 600])).unwrap();
        assert_eq!(read(&mut reader, client_frame(0x80, &[b'x'; 600])).unwrap_err().code, CloseCode::TooBig);
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character() {
        let mut out = Vec::new();
        close_frame(&mut out, CloseCode::SlowConsumer, &"é".repeat(100));
        assert_eq!(out.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }

    proptest! {
        #[test]
        fn a_frame_split_anywhere_is_read_the_same(payload in ".{0,300}", cut in 0usize..400) {
            let bytes = client_frame(0x81, payload.as_bytes());
            let mut reader = Reader::default();
            let cut = cut.min(bytes.len() - 1);
            let mut begun = bytes[..cut].to_vec();
            prop_assert_eq!(reader.next(&mut begun, 10_000), Ok(None));
            let mut whole = bytes.clone();
            prop_assert_eq!(reader.next(&mut whole, 10_000), Ok(Some((bytes.len(), Incoming::Text(&payload)))));
        }

        #[test]
        fn any_bytes_are_an_answer_and_no_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader::default().next(&mut bytes, 100);
        }
    }
}
