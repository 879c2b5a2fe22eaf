//! Many subscribers in one thread that only count: events, bytes and, when asked, how old events are when they arrive.

use crate::{
    link::Link,
    payload::age,
    tongue::{Heard, Tongue},
};
use hdrhistogram::Histogram;
use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, sync::Notify, task::JoinSet, time::timeout};

/// How many connect at the same time: more would overrun a listen queue and measure the kernel's retransmits.
const CONNECTING: usize = 64;

/// Nothing for so long: the server has lost events, and the run fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for what one read may bring, and for a frame that is cut.
const BUFFER: usize = 1 << 20;

/// Which channels the connections read.
#[derive(Clone, Debug)]
pub struct Reads {
    /// All channels.
    pub channels: Vec<String>,
    /// How many of them each connection reads, beginning with its own number.
    pub each: usize,
}

impl Reads {
    /// The channels of one connection: neighbours, round the list.
    fn of(&self, number: usize) -> Vec<String> {
        let start = number % self.channels.len();
        self.channels.iter().cycle().skip(start).take(self.each).cloned().collect()
    }
}

/// Subscribed connections. Runs on a `LocalSet`; dropping it closes them.
pub struct Crowd {
    tally: Rc<Tally>,
    count: usize,
    _readers: JoinSet<()>,
}

/// What the connections share.
struct Tally {
    /// Events by connection, and all together.
    received: RefCell<Vec<u64>>,
    total: Cell<u64>,
    bytes: Cell<u64>,
    /// Everybody has to reach this number; so many are still below it.
    goal: Cell<u64>,
    below: Cell<usize>,
    reached: Notify,
    ages: RefCell<Option<Histogram<u64>>>,
    failure: RefCell<Option<String>>,
    buffer: RefCell<Vec<u8>>,
}

impl Crowd {
    /// Connects and subscribes `count` clients; when this returns, each has its answer.
    pub async fn connect(address: SocketAddr, tongue: Tongue, count: usize, reads: &Reads) -> io::Result<Self> {
        let mut waiting: JoinSet<io::Result<Link>> = JoinSet::new();
        let mut links = Vec::with_capacity(count);
        for number in 0..count {
            if waiting.len() == CONNECTING {
                links.extend(next(&mut waiting).await?);
            }
            let channels = reads.of(number);
            waiting.spawn_local(async move { Link::open(address, tongue, number, &channels).await });
        }
        while !waiting.is_empty() {
            links.extend(next(&mut waiting).await?);
        }
        let tally = Rc::new(Tally {
            received: RefCell::new(vec![0; count]),
            total: Cell::new(0),
            bytes: Cell::new(0),
            goal: Cell::new(0),
            below: Cell::new(0),
            reached: Notify::new(),
            ages: RefCell::default(),
            failure: RefCell::default(),
            buffer: RefCell::new(vec![0; BUFFER]),
        });
        let mut readers = JoinSet::new();
        for (number, link) in links.into_iter().enumerate() {
            let tally = tally.clone();
            readers.spawn_local(async move {
                if let Err(error) = follow(link, number, &tally).await {
                    tally.failure.borrow_mut().get_or_insert(format!("subscriber {number}: {error}"));
                    tally.reached.notify_one();
                }
            });
        }
        Ok(Self { tally, count, _readers: readers })
    }

    /// Waits until each has received so many events since it connected.
    pub async fn reach(&self, events: u64) -> io::Result<()> {
        let below = self.tally.received.borrow().iter().filter(|received| **received < events).count();
        self.tally.goal.set(events);
        self.tally.below.set(below);
        while self.tally.below.get() > 0 && self.tally.failure.borrow().is_none() {
            if timeout(PATIENCE, self.tally.reached.notified()).await.is_err() {
                let least = self.tally.received.borrow().iter().min().copied().unwrap_or(0);
                return Err(io::Error::other(format!(
                    "{} of {} subscribers wait for events: one has {least} of {events}",
                    self.tally.below.get(),
                    self.count
                )));
            }
        }
        self.tally.failure.borrow().as_ref().map_or(Ok(()), |failure| Err(io::Error::other(failure.clone())))
    }

    /// Waits for `events` and fails when anybody has more: all arrived, each once.
    pub async fn reach_exactly(&self, events: u64) -> io::Result<()> {
        self.reach(events).await?;
        match self.tally.received.borrow().iter().max() {
            Some(most) if *most > events => {
                Err(io::Error::other(format!("{most} events arrived of {events} published")))
            }
            _ => Ok(()),
        }
    }

    /// Events received since the start, by all together.
    pub fn deliveries(&self) -> u64 {
        self.tally.total.get()
    }

    /// Bytes received since the start, events with their frames.
    pub fn bytes(&self) -> u64 {
        self.tally.bytes.get()
    }

    /// Begins to record how old events are when they arrive.
    pub fn record_ages(&self) {
        *self.tally.ages.borrow_mut() = Histogram::new_with_bounds(1, PATIENCE.as_nanos() as u64, 3).ok();
    }

    /// What was recorded, in nanoseconds.
    pub fn ages(&self) -> Option<Histogram<u64>> {
        self.tally.ages.borrow_mut().take()
    }
}

async fn next(waiting: &mut JoinSet<io::Result<Link>>) -> io::Result<Option<Link>> {
    waiting.join_next().await.map(|joined| joined.map_err(io::Error::other)?).transpose()
}

async fn follow(link: Link, number: usize, tally: &Tally) -> io::Result<()> {
    let Link { mut stream, mut carry, mut ear } = link;
    loop {
        stream.readable().await?;
        let mut answers = Vec::new();
        let mut refusal = None;
        {
            // One buffer for all connections; nothing is awaited while it is borrowed.
            let mut buffer = tally.buffer.borrow_mut();
            let begin = carry.len();
            buffer[..begin].copy_from_slice(&carry);
            let end = match stream.try_read(&mut buffer[begin..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => begin + read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let mut ages = tally.ages.borrow_mut();
            let mut events = 0;
            let used = ear.take(&buffer[..end], &mut answers, |heard| match heard {
                Heard::Event(text) => {
                    events += 1;
                    if let (Some(ages), Some(age)) = (&mut *ages, age(text)) {
                        ages.saturating_record(age.as_nanos() as u64);
                    }
                }
                Heard::Nothing => {}
                Heard::Ready | Heard::Accepted => refusal = Some("an answer to nothing that was asked".to_owned()),
                Heard::Refusal(reason) => refusal = Some(reason),
            });
            carry.clear();
            carry.extend_from_slice(&buffer[used..end]);
            tally.bytes.set(tally.bytes.get() + (end - begin) as u64);
            tally.count(number, events);
        }
        if let Some(refusal) = refusal {
            return Err(io::Error::other(refusal));
        }
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
        }
    }
}

impl Tally {
    fn count(&self, number: usize, events: u64) {
        let mut received = self.received.borrow_mut();
        let (before, goal) = (received[number], self.goal.get());
        received[number] = before + events;
        self.total.set(self.total.get() + events);
        if before < goal && before + events >= goal {
            self.below.set(self.below.get() - 1);
            if self.below.get() == 0 {
                self.reached.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reads_its_share_and_every_channel_has_as_many_readers() {
        let reads = Reads { channels: crate::tongue::channels(10), each: 3 };
        assert_eq!(reads.of(9), ["c0009", "c0000", "c0001"]);
        let mut readers = std::collections::HashMap::new();
        (0..20).flat_map(|number| reads.of(number)).for_each(|channel| *readers.entry(channel).or_insert(0) += 1);
        assert!(readers.len() == 10 && readers.values().all(|count| *count == 6));
    }
}
