//! A daemon that follows a script: each connection is handled by the next closure, which says what it expects and what
//! it answers. The client's tests use it for what a real daemon does only rarely.

use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket, accept_hdr,
    handshake::server::{ErrorResponse, Request, Response},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// What the client has said on one connection is read, and answered, by one of these.
pub(crate) type Scene = Box<dyn FnOnce(TcpStream) + Send>;

/// A listening script.
pub(crate) struct Daemon {
    url: String,
    thread: JoinHandle<()>,
}

impl Daemon {
    /// Plays one scene for each connection, then listens no more.
    pub(crate) fn play(scenes: Vec<Scene>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            for scene in scenes {
                let (stream, _) = listener.accept().unwrap();
                // A client that never says what the script waits for must fail the test, not hang it.
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                scene(stream);
            }
        });
        Self { url, thread }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the script's end; a scene that was disappointed panics here.
    pub(crate) fn done(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A scene that speaks WebSocket.
pub(crate) fn stream(scene: impl FnOnce(&mut Peer) + Send + 'static) -> Scene {
    #[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the signature is tungstenite's")]
    fn native(request: &Request, mut answer: Response) -> Result<Response, ErrorResponse> {
        let asked = request.headers()["sec-websocket-protocol"].clone();
        assert_eq!(asked, "headwater.v1");
        answer.headers_mut().insert("sec-websocket-protocol", asked);
        Ok(answer)
    }
    Box::new(move |stream| scene(&mut Peer(accept_hdr(stream, native).unwrap())))
}

/// A scene that reads one HTTP request and gives one answer.
pub(crate) fn http(scene: impl FnOnce(&str) -> (&'static str, String) + Send + 'static) -> Scene {
    Box::new(move |mut stream| {
        let mut request = String::new();
        let mut buffer = [0; 4096];
        let wanted = |request: &str| {
            let (head, body) = request.split_once("\r\n\r\n")?;
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            (body.len() >= length.unwrap_or(0)).then_some(())
        };
        while wanted(&request).is_none() {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the request broke off: {request}");
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        let (status, body) = scene(&request);
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    })
}

/// The daemon's side of one WebSocket.
pub(crate) struct Peer(WebSocket<TcpStream>);

impl Peer {
    /// The next message, which must be of this type.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(message["type"], kind, "{message}");
                    return message;
                }
                Message::Close(_) => panic!("the client closed instead of sending {kind}"),
                _ => {}
            }
        }
    }

    /// Answers a subscribe message with these positions.
    pub(crate) fn subscribed(&mut self, positions: &Value) -> Value {
        let message = self.expect("subscribe");
        self.say(&serde_json::json!({
            "type": "subscription_response", "status": "success", "request_id": message["request_id"],
            "subscribed_channels": message["channels"], "positions": positions,
        }));
        message
    }

    /// Sends a message.
    pub(crate) fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    /// Sends an event of channel `a`.
    pub(crate) fn event(&mut self, epoch: &str, offset: u64) {
        self.event_on("a", epoch, offset);
    }

    /// Sends an event.
    pub(crate) fn event_on(&mut self, channel: &str, epoch: &str, offset: u64) {
        self.say(&serde_json::json!({
            "type": "tick", "channel": channel, "timestamp": "2026-11-20T10:02:11Z", "message_id": format!("{epoch}-{offset}"),
            "epoch": epoch, "offset": offset, "source": "s", "data": {"n": offset},
        }));
    }

    /// Closes with a code and waits for the client's answer.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.0.close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() })).unwrap();
        while self.0.read().is_ok() {}
    }

    /// Waits for the connection's end without a goodbye.
    pub(crate) fn expect_end(&mut self) {
        let end = self.0.read();
        assert!(matches!(end, Err(Error::Protocol(_) | Error::Io(_))), "{end:?}");
    }

    /// Waits for the client's goodbye.
    pub(crate) fn expect_close(&mut self) {
        loop {
            match self.0.read().unwrap() {
                Message::Close(frame) => {
                    assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1000));
                    return;
                }
                Message::Text(text) => panic!("expected a goodbye, got {text}"),
                _ => {}
            }
        }
    }
}
