//! One publisher: events round the channels, and an eye on the answers.

use crate::{
    link::Link,
    tongue::{Ear, Heard, Item, Tongue},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{Mutex, Notify},
    task::JoinSet,
    time::timeout,
};

/// The number that a publisher's connection has among the clients.
const FIRST: usize = 0;

/// No acknowledgement for so long: the server has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is published.
#[derive(Clone, Debug)]
pub struct Content {
    /// How the server is spoken to.
    pub tongue: Tongue,
    /// Where, one after the other.
    pub channels: Vec<String>,
    /// Bytes of each event as it is received.
    pub size: usize,
    /// Whether the server is asked to acknowledge.
    pub ask: bool,
}

impl Content {
    /// So many events from this number on, round the channels.
    pub fn items(&self, first: u64, count: usize) -> Vec<Item<'_>> {
        let all = self.channels.len() as u64;
        let channel = |number: u64| &self.channels[(number % all) as usize];
        (first..first + count as u64)
            .map(|number| Item { channel: channel(number), number, offset: number / all + 1 })
            .collect()
    }
}

/// A connection that publishes. Runs on a `LocalSet`; dropping it closes the connection.
pub struct Publisher {
    write: Rc<Mutex<OwnedWriteHalf>>,
    content: Content,
    published: u64,
    bytes: Vec<u8>,
    answers: Rc<Answers>,
    _reader: JoinSet<()>,
}

/// What came back.
#[derive(Default)]
struct Answers {
    /// Messages that are not acknowledged, by the number of events in them.
    asked: RefCell<VecDeque<u64>>,
    /// Events that are.
    acknowledged: Cell<u64>,
    news: Notify,
    failure: RefCell<Option<String>>,
}

impl Publisher {
    /// Connects.
    pub async fn connect(address: SocketAddr, content: Content) -> io::Result<Self> {
        let Link { stream, carry, ear } = Link::open(address, content.tongue, FIRST, &[]).await?;
        let (read, write) = stream.into_split();
        let write = Rc::new(Mutex::new(write));
        let answers = Rc::new(Answers::default());
        let mut reader = JoinSet::new();
        let (back, theirs) = (write.clone(), answers.clone());
        reader.spawn_local(async move {
            if let Err(error) = watch(read, carry, ear, &back, &theirs).await {
                theirs.failure.borrow_mut().get_or_insert(error.to_string());
                theirs.news.notify_one();
            }
        });
        Ok(Self { write, content, published: 0, bytes: Vec::new(), answers, _reader: reader })
    }

    /// Publishes so many events in one write: our own protocol's as one list, the others' one after the other. They may
    /// not have been taken yet when this returns.
    pub async fn publish(&mut self, count: usize) -> io::Result<()> {
        self.put(count);
        self.flush().await
    }

    /// Publishes so many events in one write, each in a message of its own.
    pub async fn publish_singly(&mut self, count: usize) -> io::Result<()> {
        (0..count).for_each(|_| self.put(1));
        self.flush().await
    }

    /// How many events were published so far.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Waits until so many events are acknowledged.
    pub async fn acknowledged(&self, events: u64) -> io::Result<()> {
        while self.answers.acknowledged.get() < events {
            self.check()?;
            if timeout(PATIENCE, self.answers.news.notified()).await.is_err() {
                let acknowledged = self.answers.acknowledged.get();
                return Err(io::Error::other(format!("{acknowledged} of {events} events are acknowledged")));
            }
        }
        self.check()
    }

    fn put(&mut self, count: usize) {
        let items = self.content.items(self.published, count);
        let Content { tongue, size, ask, .. } = self.content;
        tongue.put_events(&mut self.bytes, &items, size, ask);
        if tongue == Tongue::JetStream {
            self.answers.asked.borrow_mut().extend(items.iter().map(|_| 1));
        } else if ask {
            self.answers.asked.borrow_mut().push_back(count as u64);
        }
        self.published += count as u64;
    }

    fn check(&self) -> io::Result<()> {
        let failure = self.answers.failure.borrow();
        failure.as_ref().map_or(Ok(()), |failure| Err(io::Error::other(format!("publisher: {failure}"))))
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        self.write.lock().await.write_all(&self.bytes).await?;
        self.bytes.clear();
        Ok(())
    }
}

/// Reads the answers, so that the server never has to wait with them, and ends at the first refusal.
async fn watch(
    mut read: OwnedReadHalf,
    mut carry: Vec<u8>,
    mut ear: Ear,
    write: &Mutex<OwnedWriteHalf>,
    answers: &Answers,
) -> io::Result<()> {
    loop {
        let (mut refusal, mut back, mut acknowledged) = (None, Vec::new(), 0);
        let used = ear.take(&carry, &mut back, |heard| match heard {
            Heard::Nothing => {}
            Heard::Accepted => match answers.asked.borrow_mut().pop_front() {
                Some(events) => acknowledged += events,
                None => refusal = Some("more acknowledgements than messages".to_owned()),
            },
            other => refusal = Some(format!("{other:?}")),
        });
        carry.drain(..used);
        if let Some(refusal) = refusal {
            return Err(io::Error::other(refusal));
        }
        if acknowledged > 0 {
            answers.acknowledged.set(answers.acknowledged.get() + acknowledged);
            answers.news.notify_one();
        }
        if !back.is_empty() {
            write.lock().await.write_all(&back).await?;
        }
        if read.read_buf(&mut carry).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
