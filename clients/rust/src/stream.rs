//! One connection to the event stream: requests with their answers, and the items that come in between.
//!
//! `Follow` builds on it and survives its end.

use crate::{
    Client, Closed, Error, Event, FailedChannel, Item, Notice, Places, PublishedAt, Subscription,
    message::{Message, Reply, read},
    socket::Socket,
};
use serde_json::value::RawValue;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How long an answer may take. The daemon answers all requests but commands at once.
const ANSWER: Duration = Duration::from_secs(30);
/// How often the daemon is asked for a sign of life. A machine that lost its network says nothing at all: without
/// asking, its clients would wait for ever. Two questions without any message in between are the end.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The most items that are held while an answer is awaited. More of them means that the answer is not coming, and the
/// connection is given up rather than memory filled.
const MOST_HELD: usize = 65_536;

/// A connection to `/v1/stream`. Dropping it ends the connection without a goodbye; [`Stream::close`] says one.
pub struct Stream {
    socket: Socket,
    /// Items that came while an answer was awaited, at most [`MOST_HELD`].
    held: VecDeque<Item>,
    requests: u64,
    next_heartbeat: Instant,
    heard: bool,
    ended: Option<Closed>,
}

/// What a subscription has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// Where each channel stands: events after these come.
    pub places: Places,
    /// The channels that could not be had, each with its reason.
    pub failed: Vec<FailedChannel>,
}

impl Client {
    /// Connects to the event stream.
    pub async fn stream(&self) -> Result<Stream, Error> {
        Ok(Stream {
            socket: Socket::open(self).await?,
            held: VecDeque::new(),
            requests: 0,
            next_heartbeat: Instant::now() + HEARTBEAT,
            heard: true,
            ended: None,
        })
    }
}

impl Stream {
    /// Asks for events. They come by [`Stream::next`].
    pub async fn subscribe(&mut self, subscription: &Subscription) -> Result<Subscribed, Error> {
        let id = self.id();
        match self.ask(&id, subscription.message(&id)).await? {
            Reply::Subscribed { places, failed } => Ok(Subscribed { places, failed }),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives up channels and patterns, as they were subscribed.
    pub async fn unsubscribe(&mut self, channels: &[String]) -> Result<(), Error> {
        let id = self.id();
        let message = serde_json::json!({"type": "unsubscribe", "request_id": id, "channels": channels});
        match self.ask(&id, message.to_string()).await? {
            Reply::Unsubscribed => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Publishes events, all or none. Each is an object `{"channel", "type", "data", …}`.
    pub async fn publish(&mut self, events: &[Box<RawValue>]) -> Result<Vec<PublishedAt>, Error> {
        let id = self.id();
        let events: Vec<&str> = events.iter().map(|event| event.get()).collect();
        let message = format!(r#"{{"type":"publish","request_id":"{id}","events":[{}]}}"#, events.join(","));
        match self.ask(&id, message).await? {
            Reply::Published(positions) => Ok(positions),
            other => Err(unexpected(&other)),
        }
    }

    /// The retained events of channels and patterns.
    pub async fn snapshot(&mut self, channels: &[String]) -> Result<Vec<Event>, Error> {
        let id = self.id();
        let message = serde_json::json!({"type": "snapshot", "request_id": id, "channels": channels});
        match self.ask(&id, message.to_string()).await? {
            Reply::Snapshot(events) => Ok(events),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks a source to do something: `command`, or `source/command`. What comes of it are [`Item::Answer`]s with the
    /// request id that is returned.
    pub async fn command(&mut self, name: &str, parameters: &RawValue) -> Result<String, Error> {
        let id = self.id();
        let name = serde_json::to_string(name).expect("invariant: a string serialises into memory");
        let message =
            format!(r#"{{"type":"command","command":{name},"parameters":{},"request_id":"{id}"}}"#, parameters.get());
        self.send(message).await.map_err(Error::Lost)?;
        Ok(id)
    }

    /// The next item. After [`Item::Closed`] nothing else comes. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Item {
        if let Some(item) = self.held.pop_front() {
            return item;
        }
        match self.message().await {
            Ok(Message::Item(item)) => item,
            Ok(Message::Reply(id, reply)) => Item::Notice(Notice {
                code: "UNEXPECTED_REPLY".into(),
                message: format!("the daemon answers request {id}, which nobody waits for: {reply:?}"),
            }),
            Err(closed) => Item::Closed(closed),
        }
    }

    /// Ends the connection with a goodbye.
    pub async fn close(self) {
        if self.ended.is_none() {
            self.socket.close().await;
        }
    }

    fn id(&mut self) -> String {
        self.requests += 1;
        self.requests.to_string()
    }

    async fn ask(&mut self, id: &str, message: String) -> Result<Reply, Error> {
        self.send(message).await.map_err(Error::Lost)?;
        let answered = tokio::time::timeout(ANSWER, self.answer(id)).await;
        answered.unwrap_or_else(|_| Err(Error::Protocol(format!("no answer within {} s", ANSWER.as_secs()))))
    }

    async fn answer(&mut self, id: &str) -> Result<Reply, Error> {
        loop {
            match self.message().await.map_err(Error::Lost)? {
                Message::Reply(to, Reply::Error(problem)) if to == id => return Err(problem.into()),
                Message::Reply(to, reply) if to == id => return Ok(reply),
                Message::Reply(..) => {}
                Message::Item(_) if self.held.len() == MOST_HELD => {
                    return Err(Error::Protocol(format!("no answer within {MOST_HELD} messages")));
                }
                Message::Item(item) => self.held.push_back(item),
            }
        }
    }

    async fn send(&mut self, message: String) -> Result<(), Closed> {
        if let Some(closed) = &self.ended {
            return Err(closed.clone());
        }
        let outcome = self.socket.send(message).await;
        outcome.inspect_err(|closed| self.ended = Some(closed.clone()))
    }

    /// The next message, with a question for life now and then.
    async fn message(&mut self) -> Result<Message, Closed> {
        loop {
            // A busy stream is always ready: without this its reader would never let the runtime see a signal.
            tokio::task::coop::consume_budget().await;
            if let Some(closed) = &self.ended {
                return Err(closed.clone());
            }
            // Also while messages come: the answer carries the positions of channels of which nothing comes.
            if Instant::now() >= self.next_heartbeat {
                self.next_heartbeat = Instant::now() + HEARTBEAT;
                if self.heard {
                    self.heard = false;
                    let _ = self.send(r#"{"type":"heartbeat"}"#.to_owned()).await;
                } else {
                    self.ended = Some(Closed::abnormal(format!("no sign of life for {} s", HEARTBEAT.as_secs())));
                }
                continue;
            }
            match tokio::time::timeout_at(self.next_heartbeat, self.socket.receive()).await {
                Ok(Ok(line)) => {
                    self.heard = true;
                    return Ok(read(line));
                }
                Ok(Err(closed)) => self.ended = Some(closed),
                Err(_) => {}
            }
        }
    }
}

fn unexpected(reply: &Reply) -> Error {
    Error::Protocol(format!("it answers another question: {reply:?}"))
}
