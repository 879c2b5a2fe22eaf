//! A subscription that outlives its connection: it comes back and goes on where it was.
//!
//! What the daemon still holds is sent again from the position; what it no longer holds is announced as a gap. So a
//! reader loses nothing without being told, across restarts of the daemon and of the network.

use crate::{
    Backoff, Client, Closed, Error, Event, Gap, Item, Lag, Notice, Places, Problem, Start, Stream, Subscription,
};
use headwater_event::Position;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// The most positions that a daemon takes in one subscribe message.
const MOST_POSITIONS: usize = 128;

/// What following tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// An event.
    Event(Event),
    /// Events that will not come.
    Gap(Gap),
    /// This reader is slow and will lose events soon.
    Lag(Lag),
    /// Something else that the daemon has to say.
    Notice(Notice),
    /// The connection is gone; the next attempt is made after this time.
    Lost {
        /// Why, for people.
        reason: String,
        /// The wait.
        retry_in: Duration,
    },
    /// Connected again, and subscribed from where it was.
    Back,
}

/// A subscription with its reconnection.
pub struct Follow {
    client: Client,
    subscription: Subscription,
    backoff: Backoff,
    /// What has been seen of each channel.
    places: Places,
    /// Where the current connection resumed: what is sent again up to there has been seen.
    resumed: Places,
    link: Link,
    /// What was learnt while connecting, to be told first. Bounded by the channels asked for.
    news: VecDeque<Followed>,
}

enum Link {
    Up { stream: Box<Stream>, since: Instant },
    Down { retry_at: Instant },
}

impl Follow {
    /// Connects and subscribes. The first attempt must succeed: whoever starts a program wants to be told of a wrong
    /// address at once.
    pub async fn start(client: Client, subscription: Subscription, backoff: Backoff) -> Result<Self, Error> {
        let mut stream = client.stream().await?;
        let subscribed = stream.subscribe(&subscription).await?;
        Ok(Self {
            client,
            subscription,
            backoff,
            places: subscribed.places,
            resumed: Places::default(),
            link: Link::Up { stream: Box::new(stream), since: Instant::now() },
            news: subscribed.failed.iter().map(|failed| Followed::Notice(failed.notice())).collect(),
        })
    }

    /// The next thing to know. An error is final: the token, or what was asked for, is refused. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Result<Followed, Error> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Ok(news);
            }
            match &mut self.link {
                Link::Up { stream, .. } => {
                    let item = stream.next().await;
                    if let Some(followed) = self.take(item)? {
                        return Ok(followed);
                    }
                }
                Link::Down { retry_at } => {
                    tokio::time::sleep_until(*retry_at).await;
                    match self.resume().await {
                        Ok(()) => {}
                        Err(Error::Away { reason, .. } | Error::Protocol(reason)) => return Ok(self.lost(reason)),
                        Err(Error::Lost(closed)) => return self.closed(closed),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Where each channel stands.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Ends with a goodbye.
    pub async fn close(self) {
        if let Link::Up { stream, .. } = self.link {
            stream.close().await;
        }
    }

    /// Keeps the books and passes on what is news.
    fn take(&mut self, item: Item) -> Result<Option<Followed>, Error> {
        Ok(Some(match item {
            Item::Event(event) => {
                let (channel, position) = (event.channel(), event.position());
                let seen = |known: Position| known.epoch == position.epoch && position.offset <= known.offset;
                if self.resumed.get(channel).is_some_and(seen) {
                    return Ok(None);
                }
                let known = self.places.get(channel);
                let channel = channel.to_owned();
                self.places.advance(&channel, position);
                // Another epoch alone is no break: numbering goes on under a new one after a daemon was killed. It began anew
                // where it is no further than it was; the daemon had forgotten the channel, so it could not tell.
                if known.is_some_and(|known| known.epoch != position.epoch && position.offset <= known.offset) {
                    let (epoch, to) = (position.epoch.to_string(), position.offset.saturating_sub(1));
                    self.news.push_back(Followed::Event(event));
                    return Ok(Some(Followed::Gap(Gap { channel, epoch, from: 1, to, reason: "epoch_change".into() })));
                }
                Followed::Event(event)
            }
            Item::Gap(gap) => {
                if let Some(end) = gap.end() {
                    self.places.set(&gap.channel, end);
                }
                Followed::Gap(gap)
            }
            Item::Places(places) => {
                self.places.advance_all(&places);
                return Ok(None);
            }
            Item::Lag(lag) => Followed::Lag(lag),
            Item::Notice(notice) => Followed::Notice(notice),
            Item::Answer(_) => return Ok(None),
            Item::Closed(closed) => return self.closed(closed).map(Some),
        }))
    }

    fn closed(&mut self, closed: Closed) -> Result<Followed, Error> {
        if closed.denied() {
            let problem = Problem {
                code: "AUTHENTICATION_FAILED".into(),
                detail: format!("the daemon ended the connection: {closed}"),
                ..Problem::default()
            };
            return Err(Error::Denied(Box::new(problem)));
        }
        if !closed.worth_another_try() {
            return Err(Error::Lost(closed));
        }
        Ok(self.lost(closed.to_string()))
    }

    fn lost(&mut self, reason: String) -> Followed {
        // Only a connection that held shows that the trouble is over; a daemon that accepts and drops is still in it.
        if let Link::Up { since, .. } = &self.link
            && since.elapsed() > Duration::from_secs(5)
        {
            self.backoff.reset();
        }
        let retry_in = self.backoff.next_wait();
        self.link = Link::Down { retry_at: Instant::now() + retry_in };
        Followed::Lost { reason, retry_in }
    }

    /// Connects and subscribes from the places that were reached.
    async fn resume(&mut self) -> Result<(), Error> {
        let mut stream = self.client.stream().await?;
        // What is named goes on from its position. What is not was born while nobody listened, or has no room in the
        // message: that is read from its beginning, and what has been seen of it is left out here.
        let start = self.start_again();
        let subscription = Subscription { start, include_historical: true, ..self.subscription.clone() };
        let mut subscribed = stream.subscribe(&subscription).await?;
        // The daemon has not got as far as this reader: it lost its tail. What stands there now is new.
        let ahead: Vec<String> =
            subscribed.failed.iter().filter(|f| f.code == "POSITION_AHEAD").map(|f| f.channel.clone()).collect();
        if !ahead.is_empty() {
            for channel in &ahead {
                self.places.remove(channel);
            }
            let again = Subscription { channels: ahead, start: Start::Earliest, ..subscription };
            let second = stream.subscribe(&again).await?;
            subscribed.places.advance_all(&second.places);
            subscribed.failed.extend(second.failed);
        }
        self.resumed = self.places.clone();
        // Of a known channel the old position is the truth until its events, or a gap, say otherwise.
        for (channel, position) in subscribed.places.iter() {
            if self.places.get(channel).is_none() {
                self.places.set(channel, position);
            }
        }
        self.link = Link::Up { stream: Box::new(stream), since: Instant::now() };
        self.news.push_back(Followed::Back);
        self.news.extend(subscribed.failed.iter().map(|failed| Followed::Notice(failed.notice())));
        Ok(())
    }

    /// Where to go on.
    fn start_again(&self) -> Start {
        if self.places.is_empty() && self.subscription.start != Start::Latest {
            return self.subscription.start.clone();
        }
        let mut places = Places::default();
        for (channel, position) in self.places.iter().take(MOST_POSITIONS) {
            places.set(channel, position);
        }
        Start::Each(places)
    }
}
