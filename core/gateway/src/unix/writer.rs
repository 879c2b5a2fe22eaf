//! The writing half of a connection: what is said goes out in its order, as fast as the client takes it, and ends when
//! the client takes nothing any more or has gone. `session.rs` runs one per connection.

use bytes::{Buf, Bytes};
use std::time::Duration;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, Interest},
    net::unix::OwnedWriteHalf,
    sync::mpsc,
    time::{interval, timeout},
};

/// How often a connection on which nothing is said is looked at for whether its client is gone.
const LOOK: Duration = Duration::from_secs(2);

/// What has become of who listens, when nothing more is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// It was told all there was to say.
    Told,
    /// It has closed the connection.
    Gone,
    /// It takes nothing, for longer than anybody waits.
    Stalled,
}

/// Writes what is said, until nobody says anything any more or nobody is there to hear it.
pub(super) async fn write(
    mut output: OwnedWriteHalf,
    mut waiting: mpsc::Receiver<Bytes>,
    patience: Duration,
) -> Listener {
    let mut look = interval(LOOK);
    loop {
        let text = tokio::select! {
            text = waiting.recv() => text,
            // A client that has only said all it had to say still listens; one that is gone shows here.
            _ = look.tick() => match output.ready(Interest::WRITABLE).await {
                Ok(ready) if !ready.is_write_closed() => continue,
                _ => return Listener::Gone,
            },
        };
        let Some(text) = text else { return Listener::Told };
        if let Err(listener) = taken(&mut output, text, patience).await {
            return listener;
        }
    }
}

/// Writes all of it, as long as the client takes some of it each time before patience is over: a snapshot may be many
/// megabytes.
async fn taken(output: &mut (impl AsyncWrite + Unpin), mut text: Bytes, patience: Duration) -> Result<(), Listener> {
    while !text.is_empty() {
        match timeout(patience, output.write(&text)).await {
            Ok(Ok(count @ 1..)) => text.advance(count),
            Ok(_) => return Err(Listener::Gone),
            Err(_) => return Err(Listener::Stalled),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// Harm prevented: a program that reads slowly is cut off in the middle of what it reads.
    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_not_cut_off() {
        let (mut client, mut output) = tokio::io::duplex(1_000);
        let patience = Duration::from_secs(10);
        let reading = async move {
            let (mut buffer, mut read) = ([0; 1_000], 0);
            while read < 9_000 {
                // Sleeps because reading slowly is what is tested; the clock is paused.
                tokio::time::sleep(patience / 2).await;
                read += client.read(&mut buffer).await.unwrap();
            }
            client
        };
        let (taken_all, mut client) = tokio::join!(taken(&mut output, vec![0; 9_000].into(), patience), reading);
        assert_eq!(taken_all, Ok(()));
        assert_eq!(taken(&mut output, vec![0; 9_000].into(), patience).await, Err(Listener::Stalled));
        client.read_exact(&mut [0; 1_000]).await.unwrap();
    }
}
