//! Opens the TCP connection to a daemon, in bounded time.

use crate::{Endpoint, Error};
use std::time::Duration;
use tokio::net::TcpStream;

/// A daemon on the same machine answers in microseconds and one across the world within a second; a person who has
/// mistyped an address should not wait for the system's two minutes.
const CONNECT: Duration = Duration::from_secs(5);

/// A connected socket without Nagle's delay.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<TcpStream, Error> {
    let away = |reason: String| Error::Away { url: endpoint.to_string(), reason };
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(endpoint.address()))
        .await
        .map_err(|_| away(format!("no connection within {} s", CONNECT.as_secs())))?
        .map_err(|error| away(plain(&error)))?;
    stream.set_nodelay(true).map_err(|error| away(plain(&error)))?;
    Ok(stream)
}

/// The system's words without `(os error 111)`, which says nothing to people.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
