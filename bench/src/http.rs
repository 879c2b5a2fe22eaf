//! `GET` as far as a benchmark needs it: one request, one answer.

use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

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
    Ok(body.to_owned())
}
