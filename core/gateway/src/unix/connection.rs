//! One connection of the unix socket: a session that reads, a writer, and one short queue between them, so that a client
//! that does not read is not read from either. A client that has gone has still said what it said: that is read to its end.

use super::{
    session::Session,
    writer::{Listener, write},
};
use crate::http::App;
use std::{pin::pin, sync::Arc};
use tokio::{net::UnixStream, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Pieces of text that may wait for the writer. Whoever has more to say waits.
const WAITING: usize = 4;

/// Serves one connection until it ends, or until `closing`.
pub(crate) async fn serve(app: Arc<App>, stream: UnixStream, closing: CancellationToken) {
    let (input, output) = stream.into_split();
    let (said, waiting) = mpsc::channel(WAITING);
    let mut writing = JoinSet::new();
    writing.spawn(write(output, waiting, app.options.stall_timeout));
    let conversation = async {
        let mut session = pin!(Session::new(app, said).run(input));
        let listener = tokio::select! {
            () = &mut session => return,
            listener = writing.join_next() => listener,
        };
        // Who stalls is cut off. What was said by one that has gone is still to be read.
        if matches!(listener, Some(Ok(Listener::Gone))) {
            session.await;
        }
    };
    tokio::select! {
        () = conversation => {}
        () = closing.cancelled() => {}
    }
    // What was said is still written.
    while writing.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::quiet_app;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What is answered to a client that says all this at once.
    async fn answers(input: &str) -> String {
        let (mut client, stream) = UnixStream::pair().unwrap();
        let client = async {
            client.write_all(input.as_bytes()).await.unwrap();
            // A line that is too long ends the connection before it is all said.
            let _ = client.shutdown().await;
            let mut answers = Vec::new();
            let _ = client.read_to_end(&mut answers).await;
            String::from_utf8(answers).unwrap()
        };
        tokio::join!(serve(quiet_app(), stream, CancellationToken::new()), client).1
    }

    /// Harm prevented: of a hundred events that were not published, the last one is named, or the line behind them.
    #[tokio::test]
    async fn events_that_are_refused_together_are_named_together() {
        let lines = (0..=100).map(|n| format!("{{\"channel\":\"c{n}\",\"type\":\"t\"}}\n"));
        let answers = answers(&format!("\n{}{{\n", lines.collect::<Vec<_>>().concat())).await;
        let mut lines = answers.lines();
        let refused = lines.next().unwrap();
        assert!(refused.contains("lines 2 to 102, which came together: "), "{refused}");
        assert!(refused.contains("`c100`") && refused.contains("nothing of this was published"), "{refused}");
        assert!(lines.next().unwrap().contains("\"line 103: "), "{answers}");
    }

    /// Harm prevented: a program that ends as soon as it has said all, and has read none of its errors, loses its last
    /// events.
    #[tokio::test]
    async fn what_was_said_before_the_client_went_is_published() {
        let app = quiet_app();
        // More errors than may wait for the writer. Which of the two halves is heard first is left to chance.
        let said = "nonsense\n".repeat(10) + "{\"channel\":\"a\",\"type\":\"t\"}";
        for times in 1..=30 {
            let (mut client, stream) = UnixStream::pair().unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            drop(client);
            serve(app.clone(), stream, CancellationToken::new()).await;
            assert_eq!(app.router.log("a").map(|log| log.head()), Some(times));
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_named_once() {
        let answers = answers(&format!("\n{}", "x".repeat(100_000))).await;
        assert!(answers.contains("\"line 2: longer than 65536 bytes"), "{answers}");
    }
}
