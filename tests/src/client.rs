//! A WebSocket client that a test drives message by message.

use crate::wait::PATIENCE;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{ClientRequestBuilder, Message, protocol::WebSocketConfig},
};

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code; `None` when the connection broke without one.
    pub code: Option<u16>,
    /// In words.
    pub reason: String,
}

/// One connection to `/v1/stream`.
pub struct Client {
    stream: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When the daemon does not take it.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::connect_to(to, "/v1/stream").await
    }

    /// Connects to another path.
    ///
    /// # Panics
    /// When nobody takes it.
    pub async fn connect_to(to: SocketAddr, path: &str) -> Self {
        Self::open(to, path, None).await
    }

    /// Connects and asks for a subprotocol.
    ///
    /// # Panics
    /// When the daemon does not take it, or chooses another one.
    pub async fn connect_as(to: SocketAddr, path: &str, subprotocol: &str) -> Self {
        Self::open(to, path, Some(subprotocol)).await
    }

    /// Connects with a receive buffer so small that little is on the way to one who does not read.
    ///
    /// # Panics
    /// When the daemon does not take it.
    pub async fn connect_narrow(to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.set_recv_buffer_size(8 * 1024).expect("a fresh socket takes options");
        let socket = socket.connect(to).await.expect("the daemon listens");
        Self::upgrade(socket, to, "/v1/stream", None).await
    }

    async fn open(to: SocketAddr, path: &str, subprotocol: Option<&str>) -> Self {
        let socket = TcpStream::connect(to).await.expect("the daemon listens");
        Self::upgrade(socket, to, path, subprotocol).await
    }

    async fn upgrade(socket: TcpStream, to: SocketAddr, path: &str, subprotocol: Option<&str>) -> Self {
        socket.set_nodelay(true).expect("a fresh socket takes options");
        let config = WebSocketConfig::default().read_buffer_size(8192);
        let uri = format!("ws://{to}{path}").parse().expect("an address and a path make a URI");
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(subprotocol) = subprotocol {
            request = request.with_sub_protocol(subprotocol);
        }
        let (stream, _) = client_async_with_config(request, socket, Some(config)).await.expect("the daemon upgrades");
        Self { stream }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends a message to a daemon that may be gone.
    pub async fn try_send(&mut self, message: &Value) -> Result<(), Closed> {
        let sent = self.stream.send(Message::text(message.to_string())).await;
        sent.map_err(|error| Closed { code: None, reason: error.to_string() })
    }

    /// Sends text, whatever it is.
    pub async fn send_text(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("the connection is open");
    }

    /// Sends any frame.
    pub async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.expect("the connection is open");
    }

    /// The next message, or how the connection ended.
    pub async fn try_next(&mut self) -> Result<Value, Closed> {
        let text = self.try_next_text().await?;
        Ok(serde_json::from_str(&text).expect("the daemon speaks JSON"))
    }

    /// The text of the next message, or how the connection ended.
    pub async fn try_next_text(&mut self) -> Result<String, Closed> {
        let broken = |reason: String| Closed { code: None, reason };
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("a message comes in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    return Ok(text.as_str().to_owned());
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or_else(
                        || broken("closed without a code".into()),
                        |frame| Closed { code: Some(frame.code.into()), reason: frame.reason.to_string() },
                    ));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(error.to_string())),
                None => return Err(broken("ended".into())),
            }
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// When the connection has ended.
    pub async fn next(&mut self) -> Value {
        self.try_next().await.expect("the connection is open")
    }

    /// The next message of this type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The next message that `fits`; others are passed over.
    pub async fn next_that(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await;
            if fits(&message) {
                return message;
            }
        }
    }

    /// Subscribes and waits for the answer.
    pub async fn subscribe(&mut self, channels: &[&str]) -> Value {
        self.subscribe_with(json!({"channels": channels})).await
    }

    /// Subscribes with all that a subscription can have.
    pub async fn subscribe_with(&mut self, mut subscription: Value) -> Value {
        subscription["type"] = "subscribe".into();
        self.send(&subscription).await;
        self.next_of("subscription_response").await
    }

    /// Publishes an event without waiting.
    pub async fn publish(&mut self, channel: &str, kind: &str, data: Value) {
        self.send(&json!({"type": "publish", "channel": channel, "event": kind, "data": data})).await;
    }

    /// Reads until the connection ends.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.try_next().await {
                return closed;
            }
        }
    }
}
