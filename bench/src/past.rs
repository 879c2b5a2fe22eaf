//! Reading everything that a server has stored: over HTTP from Headwater, from its file, and from `JetStream`.

use crate::{
    http::get,
    tongue::nats::{Said, Stream, reading_hello},
};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Events that one page may hold.
const PAGE: usize = 1_000;
/// A server that does not say more by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where `JetStream` is to send what it has stored.
const SUBJECT: &str = "_d";

/// Reads a channel of Headwater's page by page; returns how many events came.
pub fn pages(address: SocketAddr, channel: &str) -> io::Result<u64> {
    let mut cursor = String::new();
    let mut count = 0;
    loop {
        let page = get(address, &format!("/v1/history?channel={channel}&limit={PAGE}{cursor}"))?;
        count += page["count"].as_u64().ok_or_else(|| io::Error::other(format!("a page without a count: {page}")))?;
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}

/// Reads all events of a history file with `sqlite3`, while the daemon writes to it; returns how many there are.
pub fn file(path: &Path) -> io::Result<u64> {
    let mut command = Command::new("sqlite3");
    command.arg("-readonly").arg(path).arg("SELECT at, id, time, type, source, data FROM event ORDER BY at");
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = 0;
    let mut buffer = vec![0; 1 << 16];
    let mut output = child.stdout.take().expect("it was piped a line ago");
    loop {
        match output.read(&mut buffer)? {
            0 => break,
            read => lines += buffer[..read].split(|byte| *byte == b'\n').count() as u64 - 1,
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(lines) } else { Err(io::Error::other(format!("sqlite3 ended with {status}"))) }
}

/// Has `JetStream` send so many events that its stream holds.
pub fn stream(address: SocketAddr, events: u64) -> io::Result<u64> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&reading_hello(SUBJECT))?;
    let (mut stream, mut count, mut failure) = (Stream::default(), 0, None);
    let mut buffer = vec![0; 1 << 18];
    while count < events {
        let read = socket.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.take(&buffer[..read], |said| match said {
            Said::Message { .. } => count += 1,
            Said::Error(reason) => failure = Some(String::from_utf8_lossy(reason).into_owned()),
            Said::Ping | Said::Pong | Said::Other => {}
        });
        if let Some(failure) = failure.take() {
            return Err(io::Error::other(failure));
        }
    }
    Ok(count)
}
