//! What a client of the unix socket says, line by line. Lines that stand together are published together. `connection.rs`
//! runs one per connection.

use crate::{
    http::{App, ndjson},
    limits::{Bucket, Rate},
    origin::{filter_of, origin_of},
    refusal,
};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Timestamp};
use headwater_follow::{Follow, Follower, Item, Lag, Until};
use headwater_protocol::{
    ErrorCode, LagPolicy, Reply, Request, RequestError, RequestId, Subscribe, dialects, publish::decode_next,
};
use std::{sync::Arc, time::Instant};
use tokio::{io::AsyncReadExt, net::unix::OwnedReadHalf, sync::mpsc, task::JoinSet};

/// How much is read at a time, beside what is left of a line.
const CHUNK: usize = 64 * 1024;
/// How much text is written at a time.
const PIECE: usize = 64 * 1024;
/// Publishes whose answer is awaited at once; with more, the client is not read from.
const UNANSWERED: usize = 64;

/// The reading half of a connection.
pub(super) struct Session {
    app: Arc<App>,
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

/// The client has said that it goes.
struct Left;

impl Session {
    /// A session whose answers and events are `said` to the writer.
    pub(super) fn new(app: Arc<App>, said: mpsc::Sender<Bytes>) -> Self {
        let rate = app.options.limits.publish_per_second;
        let rate = Rate::new(rate, rate);
        Self {
            published: Bucket::new(rate, Instant::now()),
            rate,
            items: Vec::new(),
            gathered: (0, 0),
            line: 0,
            answers: JoinSet::new(),
            streams: JoinSet::new(),
            app,
            said,
        }
    }

    /// Reads until the client has said all, or that it goes.
    pub(super) async fn run(mut self, mut input: OwnedReadHalf) {
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
                self.tell(RequestError::validation(message)).await;
                return;
            }
        }
        // The last line may have no end.
        text.push(b'\n');
        if self.lines(&mut text).await.is_ok() {
            // A client that has said all may still read.
            let Self { said, mut answers, mut streams, .. } = self;
            let all_said = async {
                while answers.join_next().await.is_some() {}
                while streams.join_next().await.is_some() {}
            };
            tokio::select! {
                () = all_said => {}
                () = said.closed() => {}
            }
        }
    }

    /// Handles the whole lines, and leaves what comes after them.
    async fn lines(&mut self, text: &mut Vec<u8>) -> Result<(), Left> {
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
        self.publish(None).await;
        Ok(())
    }

    async fn take(&mut self, line: &[u8]) -> Result<(), Left> {
        let Ok(line) = std::str::from_utf8(line) else {
            self.tell(RequestError::new(ErrorCode::InvalidJson, "no UTF-8")).await;
            return Ok(());
        };
        let request = match dialects::native().decode(line, self.items.last()) {
            // No request, then an event as `POST /v1/events` takes it.
            Err(error) if error.code == ErrorCode::UnknownMessageType => {
                match decode_next(line, self.items.last(), Timestamp::now()) {
                    Ok(item) => {
                        self.gather([item]);
                        return Ok(());
                    }
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        if let Ok(Request::Publish { items, request_id: None }) = request {
            self.gather(items);
            return Ok(());
        }
        // In the order that the client said it: what it published comes first.
        self.publish(None).await;
        match request {
            Ok(Request::Publish { items, request_id }) => {
                self.gather(items);
                self.publish(request_id).await;
            }
            Ok(request) => return self.request(request).await,
            Err(error) => self.tell(error).await,
        }
        Ok(())
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
    async fn publish(&mut self, request_id: Option<RequestId>) {
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            return;
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
        let published = match self.app.publisher.publish(items) {
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
            return;
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
    }

    async fn request(&mut self, request: Request) -> Result<(), Left> {
        match request {
            Request::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Request::Snapshot { channels, request_id } => {
                let events = channels.iter().flat_map(|pattern| self.app.router.snapshot(pattern)).collect();
                self.say(&Reply::Snapshot { events, request_id }).await;
            }
            Request::Heartbeat { timestamp } => {
                let connection_id = "unix";
                self.say(&Reply::Heartbeat { timestamp, connection_id, positions: Vec::new() }).await;
            }
            Request::Disconnect { .. } => return Err(Left),
            other => {
                let message = "this socket takes events, publish, subscribe, snapshot, heartbeat and disconnect; the \
                               rest is for the WebSocket at /v1/stream";
                self.tell(RequestError::new(ErrorCode::UnknownMessageType, message).answering(id_of(other))).await;
            }
        }
        Ok(())
    }

    async fn subscribe(&mut self, subscribe: Subscribe) {
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
        .await;
        self.streams.spawn(stream(follower, self.said.clone()));
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
    async fn tell(&self, error: RequestError) {
        self.tell_of(&format!("line {}", self.line), error).await;
    }

    async fn tell_of(&self, place: &str, error: RequestError) {
        self.app.metrics.error(error.code);
        let message = format!("{place}: {}", error.message);
        self.say(&told(RequestError { message, ..error })).await;
    }

    async fn say(&self, reply: &Reply<'_>) {
        // A client that has gone needs no answer; what it published before counts all the same.
        let _ = self.said.send(line_of(reply)).await;
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
