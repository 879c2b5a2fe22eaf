//! A WebSocket over a tokio socket: text messages in and out.
//!
//! tungstenite does the protocol; reading and writing are tried without blocking and awaited by readiness. So the
//! stream needs no adapter crate, no task and no lock.

use crate::{Client, Closed, Error, Problem, client::AGENT, connect};
use std::{
    io::{self, Read, Write},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{
    self, Utf8Bytes, WebSocket,
    client::client_with_config,
    handshake::HandshakeError,
    http::Request,
    protocol::{CloseFrame, Message, WebSocketConfig, frame::coding::CloseCode},
};

/// The daemon gives a handshake 5 s; so does this side.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// tungstenite's own 128 KiB are zeroed on every read and held by every process; events are small.
const READ_BUFFER: usize = 8 << 10;
/// No single message of a daemon is larger; more would be another program's.
const LARGEST_MESSAGE: usize = 16 << 20;

/// The path of the native protocol, and its name.
const ROUTE: &str = "/v1/stream";
const SUBPROTOCOL: &str = "headwater.v1";

/// An open WebSocket.
pub(crate) struct Socket {
    websocket: WebSocket<Tried>,
}

impl Socket {
    /// Connects and shakes hands.
    pub(crate) async fn open(client: &Client) -> Result<Self, Error> {
        let stream = connect::connect(client.endpoint()).await?;
        let away = |reason: String| Error::Away { url: client.endpoint().to_string(), reason };
        tokio::time::timeout(HANDSHAKE, Self::handshake(client, stream))
            .await
            .map_err(|_| away(format!("no handshake within {} s", HANDSHAKE.as_secs())))?
    }

    async fn handshake(client: &Client, stream: TcpStream) -> Result<Self, Error> {
        let endpoint = client.endpoint();
        let mut request = Request::builder()
            .uri(format!("ws://{}{}", endpoint.authority(), endpoint.path(ROUTE)))
            .header("Host", endpoint.authority())
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", tungstenite::handshake::client::generate_key())
            .header("Sec-WebSocket-Protocol", SUBPROTOCOL)
            .header("User-Agent", AGENT);
        if let Some(authorization) = client.authorization() {
            request = request.header("Authorization", authorization);
        }
        let request =
            request.body(()).map_err(|error| Error::Url { url: endpoint.to_string(), reason: error.to_string() })?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        let mut outcome = client_with_config(request, Tried(stream), Some(config));
        loop {
            match outcome {
                Ok((websocket, _)) => return Ok(Self { websocket }),
                Err(HandshakeError::Failure(error)) => return Err(refusal(client, error)),
                Err(HandshakeError::Interrupted(half)) => {
                    // The request is small and goes out at once, so what is awaited is the answer.
                    half.get_ref().get_ref().0.readable().await.map_err(|error| lost(&error))?;
                    outcome = half.handshake();
                }
            }
        }
    }

    /// The next text message, or the end. Dropping the future loses nothing.
    pub(crate) async fn receive(&mut self) -> Result<Utf8Bytes, Closed> {
        loop {
            match self.websocket.read() {
                Ok(Message::Text(text)) => return Ok(text),
                Ok(Message::Close(frame)) => {
                    // The answer to it waits in the buffer; the peer holds the connection until it comes.
                    let _ = self.websocket.flush();
                    return Err(ended(frame));
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_)) => {}
                Err(error) if would_block(&error) => self.wait(Interest::Read).await?,
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Sends a text message. On return it is with the system.
    pub(crate) async fn send(&mut self, text: String) -> Result<(), Closed> {
        let outcome = self.websocket.send(Message::Text(text.into()));
        self.flushed(outcome).await
    }

    /// Says goodbye. What the daemon still sends is not read.
    pub(crate) async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        let outcome = self.websocket.close(Some(frame));
        // A peer that does not read must not keep this program from ending.
        let _ = tokio::time::timeout(Duration::from_millis(200), self.flushed(outcome)).await;
    }

    async fn flushed(&mut self, mut outcome: Result<(), tungstenite::Error>) -> Result<(), Closed> {
        loop {
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if would_block(&error) => self.wait(Interest::Write).await?,
                Err(error) => return Err(broken(&error)),
            }
            outcome = self.websocket.flush();
        }
    }

    async fn wait(&self, interest: Interest) -> Result<(), Closed> {
        let stream = &self.websocket.get_ref().0;
        let ready = match interest {
            Interest::Read => stream.readable().await,
            Interest::Write => stream.writable().await,
        };
        ready.map_err(|error| Closed::abnormal(connect::plain(&error)))
    }
}

enum Interest {
    Read,
    Write,
}

/// Reads and writes that fail instead of waiting.
struct Tried(TcpStream);

impl Read for Tried {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Tried {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn would_block(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn lost(error: &io::Error) -> Error {
    Error::Lost(Closed::abnormal(connect::plain(error)))
}

fn ended(frame: Option<CloseFrame>) -> Closed {
    match frame {
        Some(frame) => Closed { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
        None => Closed { code: CloseCode::Status.into(), reason: String::new() },
    }
}

fn broken(error: &tungstenite::Error) -> Closed {
    match error {
        tungstenite::Error::Io(error) => Closed::abnormal(connect::plain(error)),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
        | tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed => Closed::abnormal(""),
        other => Closed { code: CloseCode::Protocol.into(), reason: other.to_string() },
    }
}

fn refusal(client: &Client, error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Http(answer) => {
            let body = answer.body().as_deref().unwrap_or_default();
            Problem::from_http(answer.status().as_u16(), body).into()
        }
        tungstenite::Error::Io(error) => {
            Error::Away { url: client.endpoint().to_string(), reason: connect::plain(&error) }
        }
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::HandshakeIncomplete) => {
            Error::Away { url: client.endpoint().to_string(), reason: "the connection ended in the handshake".into() }
        }
        other => Error::Protocol(other.to_string()),
    }
}
