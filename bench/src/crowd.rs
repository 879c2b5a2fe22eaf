//! Many subscribers in one thread that only count: frames, bytes and, when asked, how old events are when they arrive.

use crate::{
    frames::{CLOSE, PING, PONG, TEXT, connect, each_frame, put_frame},
    payload::{CHANNEL, KIND, age},
};
use hdrhistogram::Histogram;
use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify, task::JoinSet, time::timeout};

/// How many connect at the same time: more would overrun a listen queue and measure the kernel's retransmits.
const CONNECTING: usize = 64;

/// Nothing for so long: the server has lost events, and the run fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for what one read may bring, and for a frame that is cut.
const BUFFER: usize = 1 << 20;

/// Subscribed connections. Runs on a `LocalSet`; dropping it closes them.
pub struct Crowd {
    tally: Rc<Tally>,
    count: usize,
    _readers: JoinSet<()>,
}

/// What the connections share.
struct Tally {
    /// Events by connection.
    received: RefCell<Vec<u64>>,
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
    pub async fn connect(address: SocketAddr, count: usize) -> io::Result<Self> {
        let mut waiting: JoinSet<io::Result<(TcpStream, Vec<u8>)>> = JoinSet::new();
        let mut sockets = Vec::with_capacity(count);
        for number in 0..count {
            if waiting.len() == CONNECTING {
                sockets.extend(next(&mut waiting).await?);
            }
            waiting.spawn_local(subscribe(address, number));
        }
        while !waiting.is_empty() {
            sockets.extend(next(&mut waiting).await?);
        }
        let tally = Rc::new(Tally {
            received: RefCell::new(vec![0; count]),
            bytes: Cell::new(0),
            goal: Cell::new(0),
            below: Cell::new(0),
            reached: Notify::new(),
            ages: RefCell::default(),
            failure: RefCell::default(),
            buffer: RefCell::new(vec![0; BUFFER]),
        });
        let mut readers = JoinSet::new();
        for (number, (socket, carry)) in sockets.into_iter().enumerate() {
            let tally = tally.clone();
            readers.spawn_local(async move {
                if let Err(error) = follow(socket, carry, number, &tally).await {
                    tally.failure.borrow_mut().get_or_insert(format!("subscriber {number}: {error}"));
                    tally.reached.notify_one();
                }
            });
        }
        Ok(Self { tally, count, _readers: readers })
    }

    /// Waits until each has received so many events since it connected. More than that is an error: an event came twice.
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

    /// Bytes received since the start, events with their frames.
    pub fn bytes(&self) -> u64 {
        self.tally.bytes.get()
    }

    /// How many subscribers there are.
    pub fn count(&self) -> usize {
        self.count
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

async fn next(waiting: &mut JoinSet<io::Result<(TcpStream, Vec<u8>)>>) -> io::Result<Option<(TcpStream, Vec<u8>)>> {
    waiting.join_next().await.map(|joined| joined.map_err(io::Error::other)?).transpose()
}

async fn subscribe(address: SocketAddr, number: usize) -> io::Result<(TcpStream, Vec<u8>)> {
    let (mut stream, mut carry) = connect(address, number).await?;
    let request = format!("{{\"type\":\"subscribe\",\"channels\":\"{CHANNEL}\",\"request_id\":\"s\"}}");
    let mut frame = Vec::new();
    put_frame(&mut frame, TEXT, request.as_bytes());
    stream.write_all(&frame).await?;
    loop {
        let mut answer = None;
        let used = each_frame(&carry, |opcode, payload| {
            answer.get_or_insert((opcode, String::from_utf8_lossy(payload).into_owned()));
        });
        if let Some((opcode, text)) = answer {
            let success = text.starts_with("{\"type\":\"subscription_response\",\"status\":\"success\"");
            if opcode != TEXT || !success {
                return Err(io::Error::other(format!("the subscription was answered by {text}")));
            }
            carry.drain(..used);
            return Ok((stream, carry));
        }
        if tokio::io::AsyncReadExt::read_buf(&mut stream, &mut carry).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn follow(mut stream: TcpStream, mut carry: Vec<u8>, number: usize, tally: &Tally) -> io::Result<()> {
    let event = format!("{{\"type\":\"{KIND}\"");
    loop {
        stream.readable().await?;
        let mut answers = Vec::new();
        let mut surprise = None;
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
            let used = each_frame(&buffer[..end], |opcode, payload| match opcode {
                TEXT if payload.starts_with(event.as_bytes()) => {
                    events += 1;
                    if let (Some(ages), Some(age)) = (&mut *ages, age(payload)) {
                        ages.saturating_record(age.as_nanos() as u64);
                    }
                }
                PING => put_frame(&mut answers, PONG, payload),
                PONG => {}
                CLOSE => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    surprise = Some(format!("the server closed with {code:?} {reason}"));
                }
                _ => surprise = Some(format!("unexpected: {}", String::from_utf8_lossy(payload))),
            });
            carry.clear();
            carry.extend_from_slice(&buffer[used..end]);
            tally.bytes.set(tally.bytes.get() + (end - begin) as u64);
            tally.count(number, events);
        }
        if let Some(surprise) = surprise {
            return Err(io::Error::other(surprise));
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
        if before < goal && before + events >= goal {
            self.below.set(self.below.get() - 1);
            if self.below.get() == 0 {
                self.reached.notify_one();
            }
        }
    }
}
