//! HTTP as far as a benchmark needs it: a `GET` with its answer, and a connection that posts.

use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A daemon that does not answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The JSON that a path answers with.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Value> {
    let body = get_text(address, path)?;
    serde_json::from_str(&body).map_err(|error| io::Error::other(format!("{path}: {error}: {body}")))
}

/// The text that a path answers with.
pub fn get_text(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(format!("{path}: {answer}")));
    }
    let in_pieces = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    if in_pieces { joined(body).ok_or_else(|| io::ErrorKind::InvalidData.into()) } else { Ok(body.to_owned()) }
}

/// A chunked body in one piece.
fn joined(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// A connection that posts one body after the other.
#[derive(Debug)]
pub struct Poster {
    stream: tokio::net::TcpStream,
    address: SocketAddr,
}

impl Poster {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address })
    }

    /// Posts a body and waits until it has been accepted.
    pub async fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> io::Result<()> {
        let (address, length) = (self.address, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        let mut answer = Vec::new();
        loop {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if whole(&answer)? {
                // 200 or 202; what is refused says why in a short text.
                let refusal =
                    || io::Error::other(String::from_utf8_lossy(&answer[..answer.len().min(1_000)]).into_owned());
                return if answer.starts_with(b"HTTP/1.1 20") { Ok(()) } else { Err(refusal()) };
            }
        }
    }
}

/// Whether an answer has come with its whole body.
fn whole(answer: &[u8]) -> io::Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| io::Error::other(format!("an answer without its length: {head}")))?;
    Ok(answer.len() >= end + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert!((0..answer.len()).all(|cut| !whole(&answer[..cut]).unwrap()));
        assert!(whole(answer).unwrap());
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_body_in_pieces_is_put_together() {
        assert_eq!(joined("4\r\nabcd\r\nb\r\n e\r\nf ghijk\r\n0\r\n\r\n").as_deref(), Some("abcd e\r\nf ghijk"));
        assert_eq!(joined("4\r\nab"), None);
        assert_eq!(joined("x\r\n"), None);
    }
}
