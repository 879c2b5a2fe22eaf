//! One connection of the unix socket. Lines that stand together are published together; answers and events go through
//! one short queue to one writer, so that a client that does not read is not read from either.

use super::writer::write;
use crate::{
    http::{App, ndjson},
    limits::{Bucket, Rate},
    origin::{filter_of, origin_of},
    refusal,
};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft};
use headwater_follow::{Follow, Follower, Item, Lag, Until};
use headwater_protocol::{
    ErrorCode, LagPolicy, Reply, Request, RequestError, RequestId, Subscribe, dialects, publish::decode_item,
};
use std::{sync::Arc, time::Instant};
use tokio::{
    io::AsyncReadExt,
    net::{UnixStream, unix::OwnedReadHalf},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Pieces of text that may wait for the writer. Whoever has more to say waits.
const WAITING: usize = 4;
/// How much is read at a time, beside what is left of a line.
const CHUNK: usize = 64 * 1024;
/// How much text is written at a time.
const PIECE: usize = 64 * 1024;
/// Publishes whose answer is awaited at once; with more, the client is not read from.
const UNANSWERED: usize = 64;
/// What events have as their source when a client brings them.
const SOURCE: &str = "client";

/// Serves one connection until it ends, or until `closing`.
pub(crate) async fn serve(app: Arc<App>, stream: UnixStream, closing: CancellationToken) {
    let (input, output) = stream.into_split();
    let (said, waiting) = mpsc::channel(WAITING);
    let patience = app.options.stall_timeout;
    let mut tasks = JoinSet::new();
    tasks.spawn(write(output, waiting, patience));
    let rate = app.options.limits.publish_per_second;
    let session = Session {
        published: Bucket::new(Rate::new(rate, rate), Instant::now()),
        rate: Rate::new(rate, rate),
        source: SOURCE.into(),
        items: Vec::new(),
        gathered: (0, 0),
        line: 0,
        answers: JoinSet::new(),
        streams: JoinSet::new(),
        app,
        said,
    };
    tokio::select! {
        () = session.run(input) => {}
        () = closing.cancelled() => {}
        // The writer ends before the session only when nobody takes what it writes.
        _ = tasks.join_next() => return,
    }
    // What was said is still written.
    while tasks.join_next().await.is_some() {}
}

struct Session {
    app: Arc<App>,
    source: Arc<str>,
    rate: Rate,
    published: Bucket,
    /// Read, and not yet handed to the router.
    items: Vec<Draft>,
    /// The line of the first of them, and of the last.
    gathered: (u64, u64),
    /// The number of the line at hand, from 1.
    line: u64,
    said: mpsc::Sender<Bytes>,
    answers: JoinSet<()>,
    streams: JoinSet<()>,
}

/// Nobody takes what is said: the connection has ended.
struct Gone;

impl Session {
    async fn run(mut self, mut input: OwnedReadHalf) {
        let longest = self.app.options.max_message_bytes;
        let mut text = Vec::new();
        loop {
            text.reserve(CHUNK);
            match input.read_buf(&mut text).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if self.lines(&mut text).await.is_err() {
                return;
            }
            if text.len() > longest {
                self.line += 1;
                let message = format!("longer than {longest} bytes, gateway.max_message_bytes");
                let _ = self.tell(RequestError::validation(message)).await;
                return;
            }
        }
        // The last line may have no end.
        text.push(b'\n');
        if self.lines(&mut text).await.is_ok() {
            // A client that has said all may still read.
            while self.answers.join_next().await.is_some() {}
            while self.streams.join_next().await.is_some() {}
        }
    }

    /// Handles the whole lines, and leaves what comes after them.
    async fn lines(&mut self, text: &mut Vec<u8>) -> Result<(), Gone> {
        let mut done = 0;
        while let Some(length) = text[done..].iter().position(|byte| *byte == b'\n') {
            self.line += 1;
            let line = text[done..done + length].trim_ascii();
            done += length + 1;
            if !line.is_empty() {
                self.take(line).await?;
            }
        }
        text.drain(..done);
        self.publish(None).await
    }

    async fn take(&mut self, line: &[u8]) -> Result<(), Gone> {
        let Ok(line) = std::str::from_utf8(line) else {
            return self.tell(RequestError::new(ErrorCode::InvalidJson, "no UTF-8")).await;
        };
        let request = match dialects::native().decode(line) {
            // No request, then an event as `POST /v1/events` takes it.
            Err(error) if error.code == ErrorCode::UnknownMessageType => match decode_item(line.as_bytes()) {
                Ok(item) => {
                    self.gather([item]);
                    return Ok(());
                }
                Err(error) => Err(error),
            },
            other => other,
        };
        match request {
            Ok(Request::Publish { items, request_id: None }) => {
                self.gather(items);
                Ok(())
            }
            Ok(Request::Publish { items, request_id }) => {
                self.publish(None).await?;
                self.gather(items);
                self.publish(request_id).await
            }
            Ok(request) => {
                // In the order that the client said it: what it published comes first.
                self.publish(None).await?;
                self.request(request).await
            }
            Err(error) => {
                self.publish(None).await?;
                self.tell(error).await
            }
        }
    }

    /// Keeps the events of the line at hand until those that stand with it are there.
    fn gather(&mut self, items: impl IntoIterator<Item = Draft>) {
        if self.items.is_empty() {
            self.gathered.0 = self.line;
        }
        self.gathered.1 = self.line;
        self.items.extend(items);
    }

    /// Hands what was gathered to the router, and sees to the answer if one is awaited.
    async fn publish(&mut self, request_id: Option<RequestId>) -> Result<(), Gone> {
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return Ok(());
        }
        let amount = u32::try_from(items.len()).unwrap_or(u32::MAX);
        while let Err(wait) = self.published.take(self.rate, amount, Instant::now()) {
            // Not read from meanwhile: the program on the other side waits in its own write.
            tokio::time::sleep(wait).await;
        }
        let channels: Vec<ChannelName> = match &request_id {
            Some(_) => items.iter().map(|item| item.channel.clone()).collect(),
            None => Vec::new(),
        };
        let published = match self.app.publisher.publish(items, &self.source) {
            Ok(published) => published,
            Err(error) => {
                let place = match self.gathered {
                    (first, last) if first == last => format!("line {first}"),
                    (first, last) => format!("lines {first} to {last}, which came together"),
                };
                let error = refusal::by_router(&error).answering(request_id);
                let message = format!("{}; nothing of this was published", error.message);
                return self.tell_of(&place, RequestError { message, ..error }).await;
            }
        };
        if request_id.is_none() {
            return Ok(());
        }
        while self.answers.len() >= UNANSWERED {
            self.answers.join_next().await;
        }
        let said = self.said.clone();
        self.answers.spawn(async move {
            let reply = match published.await {
                Ok(positions) => {
                    Reply::Published { positions: channels.into_iter().zip(positions).collect(), request_id }
                }
                Err(error) => told(refusal::by_router(&error.into()).answering(request_id)),
            };
            // Nobody may be there any more to hear it.
            let _ = said.send(line_of(&reply)).await;
        });
        Ok(())
    }

    async fn request(&mut self, request: Request) -> Result<(), Gone> {
        match request {
            Request::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Request::Snapshot { channels, request_id } => {
                let events = channels.iter().flat_map(|pattern| self.app.router.snapshot(pattern)).collect();
                self.say(&Reply::Snapshot { events, request_id }).await
            }
            Request::Heartbeat { timestamp } => {
                let connection_id = "unix";
                self.say(&Reply::Heartbeat { timestamp, connection_id, positions: Vec::new() }).await
            }
            Request::Disconnect { .. } => Err(Gone),
            other => {
                let message = "this socket takes events, publish, subscribe, snapshot, heartbeat and disconnect; the \
                               rest is for the WebSocket at /v1/stream";
                self.tell(RequestError::new(ErrorCode::UnknownMessageType, message).answering(id_of(other))).await
            }
        }
    }

    async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), Gone> {
        let request_id = subscribe.request_id.clone();
        let limit = self.app.options.limits.max_subscriptions;
        if self.streams.len() >= limit {
            let message = format!("a connection has at most {limit} subscriptions");
            return self.tell(RequestError::validation(message).answering(request_id)).await;
        }
        let (held, follower) = match self.follow(subscribe) {
            Ok(followed) => followed,
            Err(error) => return self.tell(error.answering(request_id)).await,
        };
        let positions = follower.positions();
        self.say(&Reply::Subscribed {
            held,
            failed: Vec::new(),
            positions,
            connection_id: "unix",
            reconnect_token: None,
            request_id,
        })
        .await?;
        self.streams.spawn(stream(follower, self.said.clone()));
        Ok(())
    }

    fn follow(&self, subscribe: Subscribe) -> Result<(Vec<String>, Follower), RequestError> {
        let Subscribe { channels, refused, filter, start, options, .. } = subscribe;
        if let Some((channel, reason)) = refused.into_iter().next() {
            return Err(RequestError::validation(format!("channel `{channel}`: {reason}")));
        }
        let lag = match options.lag_policy {
            None | Some(LagPolicy::Store) => Lag::Store,
            Some(LagPolicy::Gap) => Lag::Gap,
            Some(_) => {
                let message = "`lag_policy` on this socket is \"store\" or \"gap\"";
                return Err(RequestError::validation(message));
            }
        };
        let filter = filter_of(&filter, &options)?;
        let held = channels.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let from = move |name: &ChannelName| origin_of(&start, &options, name);
        let follow = Follow { channels, filter, from: Box::new(from), lag, until: Until::Forever };
        let follower = self.app.followers.follow(follow);
        follower.map(|follower| (held, follower)).map_err(|error| refusal::by_follow(&error))
    }

    /// What is wrong with the line at hand.
    async fn tell(&self, error: RequestError) -> Result<(), Gone> {
        self.tell_of(&format!("line {}", self.line), error).await
    }

    async fn tell_of(&self, place: &str, error: RequestError) -> Result<(), Gone> {
        self.app.metrics.error(error.code);
        let message = format!("{place}: {}", error.message);
        self.say(&told(RequestError { message, ..error })).await
    }

    async fn say(&self, reply: &Reply<'_>) -> Result<(), Gone> {
        self.said.send(line_of(reply)).await.map_err(|_| Gone)
    }
}

/// Writes what a follower gives, as long as somebody takes it.
async fn stream(mut follower: Follower, said: mpsc::Sender<Bytes>) {
    while let Some(page) = follower.next().await {
        let mut text = Vec::new();
        for item in page.items {
            match item {
                Item::Event(event) => ndjson::event(&mut text, &event),
                Item::Gap(gap) => ndjson::gap(&mut text, gap),
            }
            if text.len() >= PIECE && said.send(std::mem::take(&mut text).into()).await.is_err() {
                return;
            }
        }
        if !text.is_empty() && said.send(text.into()).await.is_err() {
            return;
        }
    }
}

/// The name that a client has given a request which is not served here.
fn id_of(request: Request) -> Option<RequestId> {
    match request {
        Request::Unsubscribe { request_id, .. }
        | Request::Authenticate { request_id, .. }
        | Request::ReplayControl { request_id, .. } => request_id,
        Request::Command(command) => Some(command.request_id),
        Request::History(history) => history.request_id,
        Request::Replay(replay) => replay.request_id,
        _ => None,
    }
}

fn told(error: RequestError) -> Reply<'static> {
    Reply::Error {
        code: error.code,
        message: error.message,
        positions: Vec::new(),
        session: None,
        request_id: error.request_id,
    }
}

fn line_of(reply: &Reply<'_>) -> Bytes {
    let mut text = Vec::new();
    dialects::native().reply(reply, &mut text);
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::quiet_app;
    use tokio::io::AsyncWriteExt;

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

    #[tokio::test]
    async fn a_line_that_is_too_long_is_named_once() {
        let answers = answers(&format!("\n{}", "x".repeat(100_000))).await;
        assert!(answers.contains("\"line 2: longer than 65536 bytes"), "{answers}");
    }
}
