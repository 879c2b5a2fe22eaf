//! The bytes of one HTTP connection: a TCP stream that fails when its client takes nothing for too long, and that ends
//! so that the last answer arrives.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// How long, and how many bytes, a client may go on sending after its last answer. Closing a socket with unread bytes
/// makes the kernel send a reset, which throws away an answer that is still on its way: the client would see "connection
/// reset" instead of the 413 that explains it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// A stream with a limit to stalling: who asks for a large answer and reads none of it would otherwise keep a task and
/// a descriptor for ever.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Ends the connection after its last answer.
    pub(super) async fn finish(mut self) {
        if self.stream.shutdown().await.is_err() {
            return; // it is gone already
        }
        let drain = async {
            let (mut buffer, mut left) = ([0; 4096], LINGER_BYTES);
            while let Ok(read @ 1..) = self.stream.read(&mut buffer).await {
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
        };
        // Whether the client has ended too or the time is over: it is closed.
        let _ = tokio::time::timeout(LINGER, drain).await;
    }

    fn watched<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        // What the kernel holds for it goes with it: a closed window would keep that in memory otherwise.
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    /// Harm prevented: clients that ask and do not read hold tasks and descriptors for ever.
    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (_client, server) = pair().await;
        let mut socket = Socket::new(server, Duration::from_millis(50));
        let large = vec![0; 64 << 20];
        let written = tokio::time::timeout(Duration::from_secs(10), socket.write_all(&large)).await;
        assert_eq!(written.expect("it is given up").unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// Harm prevented: the answer to a body that is too large is lost in a reset.
    #[tokio::test]
    async fn the_last_answer_arrives_although_the_client_was_still_sending() {
        let (mut client, server) = pair().await;
        let mut socket = Socket::new(server, Duration::from_secs(5));
        socket.write_all(b"no").await.unwrap();
        let ((), answer) = tokio::join!(socket.finish(), async move {
            let mut answer = [0; 2];
            // More than the buffers of both sides hold: it fails when the server has closed.
            client.write_all(&vec![1; 12 << 20]).await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            answer
        });
        assert_eq!(&answer, b"no");
    }
}
