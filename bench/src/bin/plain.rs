//! What Headwater is compared with: a broadcast server on tokio-tungstenite as people write it, with a task and a bounded
//! queue for each client. Each message is sent by itself; with `--feed`, all that wait are written and flushed once.
//!
//! It speaks the part of Headwater's native protocol that the driver needs, so that both are measured by the same client
//! with the same frames. The handshake is tokio-tungstenite's; afterwards the calls of its `WebSocketStream` are made
//! here, in the same places: polling the stream tries to read, `send` is a write and a flush. (Its own form of them are
//! traits of a crate that Headwater does not depend on.)

use clap::Parser;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    io::{self, Read, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, protocol::Role};

/// Messages that may wait for a client; one that is further behind is dropped. More than the driver ever has in flight.
const QUEUE: usize = 8_192;

#[derive(Parser)]
struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Write all that wait, then flush once
    #[arg(long)]
    feed: bool,
}

/// Everybody who is connected.
#[derive(Default)]
struct Hub {
    clients: Mutex<HashMap<u64, Client>>,
    next: AtomicU64,
    offset: AtomicU64,
}

struct Client {
    queue: mpsc::Sender<Message>,
    channels: HashSet<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plain: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    headwater_bench::process::raise_open_files();
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let hub = Arc::new(Hub::default());
    let mut clients = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        clients.spawn(client(stream, hub.clone(), options.feed));
        while clients.try_join_next().is_some() {}
    }
}

async fn client(stream: TcpStream, hub: Arc<Hub>, feed: bool) {
    let Ok(accepted) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut socket = WebSocket::from_raw_socket(Ready(accepted.into_inner()), Role::Server, None);
    let number = hub.next.fetch_add(1, Relaxed);
    let (sender, queue) = mpsc::channel(QUEUE);
    hub.lock().insert(number, Client { queue: sender, channels: HashSet::new() });
    // Whatever ends it, there is nobody to tell.
    let _ = talk(&mut socket, queue, number, &hub, feed).await;
    hub.lock().remove(&number);
}

async fn talk(
    socket: &mut WebSocket<Ready>,
    mut queue: mpsc::Receiver<Message>,
    number: u64,
    hub: &Hub,
    feed: bool,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            message = next(socket) => {
                if let Message::Text(text) = message?
                    && let Some(answer) = hub.handle(number, &text)
                {
                    send(socket, Message::text(answer)).await?;
                }
            }
            message = queue.recv() => {
                let Some(message) = message else { return Ok(()) };
                if feed {
                    write(socket, message).await?;
                    while let Ok(message) = queue.try_recv() {
                        write(socket, message).await?;
                    }
                    flush(socket).await?;
                } else {
                    send(socket, message).await?;
                }
            }
        }
    }
}

/// The stream's next message: each poll tries to read.
async fn next(socket: &mut WebSocket<Ready>) -> Result<Message, Error> {
    loop {
        match socket.read() {
            Err(error) if would_block(&error) => socket.get_ref().0.readable().await?,
            result => return result,
        }
    }
}

async fn send(socket: &mut WebSocket<Ready>, message: Message) -> Result<(), Error> {
    write(socket, message).await?;
    flush(socket).await
}

/// Puts a message into the buffer; when that is full, into the socket.
async fn write(socket: &mut WebSocket<Ready>, message: Message) -> Result<(), Error> {
    match socket.write(message) {
        Err(error) if would_block(&error) => flush(socket).await,
        result => result,
    }
}

async fn flush(socket: &mut WebSocket<Ready>) -> Result<(), Error> {
    loop {
        match socket.flush() {
            Err(error) if would_block(&error) => socket.get_ref().0.writable().await?,
            result => return result,
        }
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a request. `type` and `status` stand first, as they do in Headwater's answers.
    fn handle(&self, number: u64, text: &str) -> Option<String> {
        let request: Value = serde_json::from_str(text).ok()?;
        match request["type"].as_str()? {
            "subscribe" => {
                let channel = request["channels"].as_str()?.to_owned();
                self.lock().get_mut(&number)?.channels.insert(channel.clone());
                Some(format!(
                    "{{\"type\":\"subscription_response\",\"status\":\"success\",\"subscribed_channels\":[\"{channel}\"]}}"
                ))
            }
            "publish" => {
                let events = request["events"].as_array()?;
                for event in events {
                    self.broadcast(event);
                }
                Some(format!("{{\"type\":\"publish_response\",\"status\":\"accepted\",\"count\":{}}}", events.len()))
            }
            _ => None,
        }
    }

    fn broadcast(&self, event: &Value) {
        let Some(channel) = event["channel"].as_str() else { return };
        let offset = self.offset.fetch_add(1, Relaxed) + 1;
        // An envelope of the same fields and size as Headwater's.
        let frame = format!(
            "{{\"type\":{},\"channel\":\"{channel}\",\"timestamp\":\"2026-11-20T09:30:00.123456Z\",\
             \"message_id\":\"01930000-0000-7000-8000-{offset:012}\",\"epoch\":\"00000000000000ab\",\
             \"offset\":{offset},\"source\":\"client\",\"data\":{}}}",
            event["event"], event["data"]
        );
        let message = Message::text(frame);
        self.lock().retain(|_, client| {
            // A client that is so far behind is dropped, as such servers do.
            !client.channels.contains(channel) || client.queue.try_send(message.clone()).is_ok()
        });
    }
}

/// A socket of tokio as tungstenite wants it: what cannot be done now is `WouldBlock`.
struct Ready(TcpStream);

impl Read for Ready {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Ready {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
