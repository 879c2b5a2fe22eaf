//! One publisher over WebSocket: batches out, and an eye on the answers.

use crate::{
    frames::{PING, PONG, TEXT, connect, each_frame, put_frame},
    payload::publish_message,
};
use std::{cell::RefCell, io, net::SocketAddr, rc::Rc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::Mutex,
    task::JoinSet,
};

/// A connection that publishes. Runs on a `LocalSet`; dropping it closes the connection.
pub struct Publisher {
    write: Rc<Mutex<OwnedWriteHalf>>,
    published: u64,
    size: usize,
    frame: Vec<u8>,
    failure: Rc<RefCell<Option<String>>>,
    _reader: JoinSet<()>,
}

impl Publisher {
    /// Connects; its events will have `size` bytes of data.
    pub async fn connect(address: SocketAddr, size: usize) -> io::Result<Self> {
        let (stream, carry) = connect(address, 0).await?;
        let (read, write) = stream.into_split();
        let write = Rc::new(Mutex::new(write));
        let failure = Rc::new(RefCell::new(None));
        let mut reader = JoinSet::new();
        let (pongs, failed) = (write.clone(), failure.clone());
        reader.spawn_local(async move {
            if let Err(error) = watch(read, carry, &pongs).await {
                failed.borrow_mut().get_or_insert(error.to_string());
            }
        });
        Ok(Self { write, published: 0, size, frame: Vec::new(), failure, _reader: reader })
    }

    /// Publishes so many events in one message. They may not have been taken yet when this returns.
    pub async fn publish(&mut self, count: usize) -> io::Result<()> {
        if let Some(failure) = &*self.failure.borrow() {
            return Err(io::Error::other(format!("publisher: {failure}")));
        }
        self.frame.clear();
        put_frame(&mut self.frame, TEXT, publish_message(self.published, count, self.size).as_bytes());
        self.write.lock().await.write_all(&self.frame).await?;
        self.published += count as u64;
        Ok(())
    }

    /// How many events were published so far.
    pub fn published(&self) -> u64 {
        self.published
    }
}

/// Reads the answers, so that the server never has to wait with them, and ends at the first that is no acceptance.
async fn watch(mut read: OwnedReadHalf, mut carry: Vec<u8>, write: &Mutex<OwnedWriteHalf>) -> io::Result<()> {
    loop {
        let (mut refusal, mut pongs) = (None, Vec::new());
        let used = each_frame(&carry, |opcode, payload| match opcode {
            TEXT if payload.starts_with(b"{\"type\":\"publish_response\"") => {}
            PING => put_frame(&mut pongs, PONG, payload),
            PONG => {}
            _ => refusal = Some(String::from_utf8_lossy(payload).into_owned()),
        });
        carry.drain(..used);
        if let Some(refusal) = refusal {
            return Err(io::Error::other(refusal));
        }
        if !pongs.is_empty() {
            write.lock().await.write_all(&pongs).await?;
        }
        if read.read_buf(&mut carry).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
