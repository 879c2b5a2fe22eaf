//! One publisher over WebSocket: events round the channels, and an eye on the answers. It sends as told, or by a clock in
//! a thread of its own.

use crate::{
    frames::each_frame,
    link::Link,
    tongue::{Ear, Heard, Item, Tongue},
};
use std::{
    cell::RefCell,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::Mutex,
    task::{JoinSet, LocalSet},
};

/// The number that a publisher's connection has among the clients.
const FIRST: usize = 0;

/// What is published.
#[derive(Clone, Debug)]
pub struct Content {
    /// How the server is spoken to.
    pub tongue: Tongue,
    /// Where, one after the other.
    pub channels: Vec<String>,
    /// Bytes of each event as it is received.
    pub size: usize,
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
    failure: Rc<RefCell<Option<String>>>,
    _reader: JoinSet<()>,
}

impl Publisher {
    /// Connects.
    pub async fn connect(address: SocketAddr, content: Content) -> io::Result<Self> {
        let Link { stream, carry, ear } = Link::open(address, content.tongue, FIRST, &[]).await?;
        let (read, write) = stream.into_split();
        let write = Rc::new(Mutex::new(write));
        let failure = Rc::new(RefCell::new(None));
        let mut reader = JoinSet::new();
        let (answers, failed) = (write.clone(), failure.clone());
        reader.spawn_local(async move {
            if let Err(error) = watch(read, carry, ear, &answers).await {
                failed.borrow_mut().get_or_insert(error.to_string());
            }
        });
        Ok(Self { write, content, published: 0, bytes: Vec::new(), failure, _reader: reader })
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

    fn put(&mut self, count: usize) {
        let items = self.content.items(self.published, count);
        self.content.tongue.put_events(&mut self.bytes, &items, self.content.size);
        self.published += count as u64;
    }

    async fn flush(&mut self) -> io::Result<()> {
        if let Some(failure) = &*self.failure.borrow() {
            return Err(io::Error::other(format!("publisher: {failure}")));
        }
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
) -> io::Result<()> {
    loop {
        let (mut refusal, mut answers) = (None, Vec::new());
        let used = each_frame(&carry, |opcode, payload| {
            ear.hear(opcode, payload, &mut answers, |heard| match heard {
                Heard::Nothing => {}
                other => refusal = Some(format!("{other:?}")),
            });
        });
        carry.drain(..used);
        if let Some(refusal) = refusal {
            return Err(io::Error::other(refusal));
        }
        if !answers.is_empty() {
            write.lock().await.write_all(&answers).await?;
        }
        if read.read_buf(&mut carry).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A publisher that keeps a pace, in a thread of its own: the crowd's work must not delay what it sends.
pub struct Pacer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<u64>>>,
}

impl Pacer {
    /// Connects and publishes so many events a second, each in a message of its own.
    pub fn start(address: SocketAddr, content: Content, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(LocalSet::new().run_until(pace(address, content, rate, &stopped)))
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it; returns how many events it has published.
    pub fn stop(mut self) -> io::Result<u64> {
        self.stop.store(true, Relaxed);
        let thread = self.thread.take().expect("it is taken here and at the end only");
        thread.join().map_err(|_| io::Error::other("the publisher panicked"))?
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Another error is on its way already.
            let _ = thread.join();
        }
    }
}

async fn pace(address: SocketAddr, content: Content, rate: u32, stop: &AtomicBool) -> io::Result<u64> {
    let mut publisher = Publisher::connect(address, content).await?;
    // The kernel may end a sleep this much later, so that wake-ups fall together; an event of 10,000 a second is due
    // every 100 µs. Where it cannot be set, events come in twos.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let period = Duration::from_secs(1) / rate;
    let mut due = Instant::now();
    while !stop.load(Relaxed) {
        // An event that is late is sent late, and the pace is made up for: the rate holds.
        due += period;
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        publisher.publish(1).await?;
        // For the reader, which shares this thread.
        tokio::task::yield_now().await;
    }
    Ok(publisher.published())
}
