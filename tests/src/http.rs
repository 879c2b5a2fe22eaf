//! HTTP by hand, so that tests decide every byte.

use crate::wait::PATIENCE;
use serde_json::Value;
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// As in 200.
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn request(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let bytes = exchange(to, method, path, headers, body).await;
    parse(&bytes.expect("the daemon listens, reads and answers"))
}

/// The same to a daemon that may end at any moment: `None` when it did so before the whole answer was there.
///
/// # Panics
/// When neither happens in time.
pub async fn try_post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    let bytes = exchange(to, "POST", path, headers, body).await.ok()?;
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let answer = parse(&bytes);
    let length = answer.headers.iter().find(|(name, _)| name == "content-length")?;
    (length.1.parse() == Ok(bytes.len() - head)).then_some(answer)
}

async fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Vec<u8>> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.extend([*name, ": ", *value, "\r\n"]);
    }
    text.extend(["content-length: ", &body.len().to_string(), "\r\n\r\n", body]);
    let bytes = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok(bytes)
    });
    bytes.await.expect("the daemon answers in time")
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { dechunk(body) } else { body.to_owned() };
    Answer { status: status.expect("an answer has a status"), headers, body }
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk has a size");
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    whole
}
