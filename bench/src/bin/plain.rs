//! What Headwater is compared with: a broadcast server on tokio-tungstenite as people write it, with a task and a bounded
//! queue for each client. Each message is sent by itself; with `--feed`, all that wait are written and flushed once.
//!
//! `S channel` subscribes and is answered by `OK`; `P channel text` sends the text to everyone who has.

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, Utf8Bytes},
};

/// Messages that may wait for a client; one that is further behind is dropped. More than the driver ever has in flight.
const QUEUE: usize = 8_192;
/// tokio's own 128 would measure the kernel's retransmits when thousands connect.
const BACKLOG: u32 = 4_096;

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
    channels: Mutex<HashMap<String, HashMap<u64, mpsc::Sender<Message>>>>,
    next: AtomicU64,
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
    let listener: TcpListener = {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(options.listen)?;
        socket.listen(BACKLOG)?
    };
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
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let number = hub.next.fetch_add(1, Relaxed);
    // Whatever ends it, there is nobody to tell.
    let _ = talk(&mut socket, number, &hub, feed).await;
    hub.lock().values_mut().for_each(|readers| drop(readers.remove(&number)));
}

async fn talk(socket: &mut WebSocketStream<TcpStream>, number: u64, hub: &Hub, feed: bool) -> Result<(), Error> {
    let (sender, mut queue) = mpsc::channel(QUEUE);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                None => return Ok(()),
                Some(message) => if let Message::Text(text) = message?
                    && let Some(answer) = hub.handle(number, &sender, &text)
                {
                    socket.send(answer).await?;
                }
            },
            message = queue.recv() => {
                let Some(message) = message else { return Ok(()) };
                if feed {
                    socket.feed(message).await?;
                    while let Ok(message) = queue.try_recv() {
                        socket.feed(message).await?;
                    }
                    socket.flush().await?;
                } else {
                    socket.send(message).await?;
                }
            }
        }
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<u64, mpsc::Sender<Message>>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, number: u64, sender: &mpsc::Sender<Message>, text: &Utf8Bytes) -> Option<Message> {
        if let Some(channel) = text.strip_prefix("S ") {
            self.lock().entry(channel.to_owned()).or_default().insert(number, sender.clone());
            return Some(Message::text("OK"));
        }
        let (channel, text) = text.strip_prefix("P ")?.split_once(' ')?;
        let message = Message::text(text);
        if let Some(readers) = self.lock().get_mut(channel) {
            // A client that is so far behind is dropped, as such servers do.
            readers.retain(|_, reader| reader.try_send(message.clone()).is_ok());
        }
        None
    }
}
