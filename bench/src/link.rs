//! One connection to a server under test: made, greeted, subscribed. [`crate::crowd`] reads such connections and
//! [`crate::publisher`] writes to one.

use crate::{
    frames::{dial, upgrade},
    tongue::{Ear, Heard, Opening, Tongue},
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A server that does not answer a greeting by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose subscriptions stand.
#[derive(Debug)]
pub struct Link {
    /// The socket.
    pub stream: TcpStream,
    /// What came and is not a whole frame.
    pub carry: Vec<u8>,
    /// Understands what comes.
    pub ear: Ear,
}

impl Link {
    /// Connects as the client of this number and subscribes. When this returns, the server has answered.
    pub async fn open(address: SocketAddr, tongue: Tongue, number: usize, channels: &[String]) -> io::Result<Self> {
        match timeout(PATIENCE, Self::subscribe(address, tongue, number, channels)).await {
            Ok(link) => link,
            Err(_) => Err(io::Error::other("the server does not answer a subscription")),
        }
    }

    async fn subscribe(address: SocketAddr, tongue: Tongue, number: usize, channels: &[String]) -> io::Result<Self> {
        let mut stream = dial(address, number).await?;
        let mut carry = match tongue.opening() {
            Opening::WebSocket(path) => upgrade(&mut stream, address, path).await?,
            Opening::Bare => Vec::new(),
        };
        let mut ear = tongue.ear();
        let mut hello = Vec::new();
        let mut awaited = tongue.put_hello(&mut hello, channels);
        stream.write_all(&hello).await?;
        let mut answers = Vec::new();
        while awaited > 0 {
            let mut surprise = None;
            let used = ear.take(&carry, &mut answers, |heard| match heard {
                Heard::Ready if awaited > 0 => awaited -= 1,
                Heard::Nothing => {}
                other => surprise = Some(format!("the subscription was answered by {other:?}")),
            });
            if let Some(surprise) = surprise {
                return Err(io::Error::other(surprise));
            }
            carry.drain(..used);
            if awaited > 0 && stream.read_buf(&mut carry).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        stream.write_all(&answers).await?;
        Ok(Self { stream, carry, ear })
    }
}
