//! Just enough of WebSocket (RFC 6455) for a client that counts: the opening handshake, masked frames out, whole frames
//! in. What they mean is [`crate::tongue`]'s; used by [`crate::link`].

use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// A text message.
pub const TEXT: u8 = 1;
/// A binary message.
pub const BINARY: u8 = 2;
/// The end; the payload is a code and a reason.
pub const CLOSE: u8 = 8;
/// To be answered by a pong with the same payload.
pub const PING: u8 = 9;
/// The answer to a ping.
pub const PONG: u8 = 10;

/// The bit beside the length that says that a key follows.
const MASKED: u8 = 0x80;
/// Instead of a length: it follows in two bytes, or in eight.
const TWO_BYTES: u8 = 0x7e;
const EIGHT_BYTES: u8 = 0x7f;

/// Any key will do: masking protects proxies from browsers, not us.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];

/// How many connections may have one local address. Beyond that, the next loopback address is used: a local address and a
/// server's port have fewer than 30,000 ephemeral ports.
const PER_ADDRESS: usize = 20_000;

/// Connects as the client of this number.
pub async fn dial(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if number >= PER_ADDRESS {
        socket.bind(SocketAddr::from(([127, 0, 0, 1 + (number / PER_ADDRESS) as u8], 0)))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Does the handshake. Bytes that came behind it are returned: the first frames.
pub async fn upgrade(stream: &mut TcpStream, address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            if !answer.starts_with(b"HTTP/1.1 101 ") {
                let head = String::from_utf8_lossy(&answer[..end]).into_owned();
                return Err(io::Error::other(format!("the server did not upgrade: {head}")));
            }
            return Ok(answer.split_off(end + 4));
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Appends one masked frame.
pub fn put_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ ..126 => out.push(MASKED | length as u8),
        length @ ..0x1_0000 => {
            out.push(MASKED | TWO_BYTES);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | EIGHT_BYTES);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Passes each whole frame of a server to `each`, as opcode and payload; returns how many bytes they took. The rest is
/// the beginning of a frame that has not come yet.
pub fn each_frame<'a>(bytes: &'a [u8], mut each: impl FnMut(u8, &'a [u8])) -> usize {
    let mut at = 0;
    while let Some((opcode, payload, end)) = frame(bytes, at) {
        each(opcode, payload);
        at = end;
    }
    at
}

fn frame(bytes: &[u8], at: usize) -> Option<(u8, &[u8], usize)> {
    let head = bytes.get(at..at + 2)?;
    let (start, length) = match head[1] & 0x7f {
        TWO_BYTES => (at + 4, u64::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?))),
        EIGHT_BYTES => (at + 10, u64::from_be_bytes(bytes.get(at + 2..at + 10)?.try_into().ok()?)),
        length => (at + 2, u64::from(length)),
    };
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    Some((head[0] & 0x0f, bytes.get(start..end)?, end))
}

/// Masked frames as a server would send them.
#[cfg(test)]
pub(crate) fn unmasked(frames: &[u8]) -> Vec<u8> {
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < frames.len() {
        // The length is the same with and without a mask; the key stands before the payload.
        let mut head = frames[at..].to_vec();
        head[1] &= 0x7f;
        head.extend_from_slice(&[0; MASK.len()]);
        let (_, payload, end) = frame(&head, 0).expect("whole frames");
        let start = end - payload.len();
        plain.extend_from_slice(&head[..start]);
        let masked = &frames[at + start + MASK.len()..at + end + MASK.len()];
        plain.extend(masked.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        at += end + MASK.len();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        put_frame(&mut masked, opcode, payload);
        unmasked(&masked)
    }

    #[test]
    fn frames_of_every_length_come_whole_however_the_bytes_are_cut() {
        let payloads: Vec<Vec<u8>> = [0, 1, 125, 126, 70_000].map(|length| vec![b'x'; length]).to_vec();
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| server_frame(TEXT, payload)).collect();
        for cut in [1, 2, 3, 5, 127, 4_096, stream.len()] {
            let (mut carry, mut seen) = (Vec::new(), Vec::new());
            for part in stream.chunks(cut) {
                carry.extend_from_slice(part);
                let used = each_frame(&carry, |opcode, payload| seen.push((opcode, payload.to_vec())));
                carry.drain(..used);
            }
            assert_eq!(seen.len(), payloads.len(), "cut at every {cut} bytes");
            assert!(seen.iter().zip(&payloads).all(|(seen, payload)| seen.0 == TEXT && seen.1 == *payload));
            assert!(carry.is_empty());
        }
    }

    #[test]
    fn what_goes_out_is_masked_and_unmasks() {
        let mut out = Vec::new();
        put_frame(&mut out, PONG, b"hello");
        assert_eq!(out[..2], [0x80 | PONG, 0x80 | 5]);
        let plain: Vec<u8> = out[6..].iter().zip(out[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(plain, b"hello");
    }
}
