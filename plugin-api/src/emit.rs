//! The way out: from a value to the host's queue, with patience when it is full.

use crate::{
    event::{Evidence, Severity},
    link::Link,
};
use headwater_abi::{
    AttributeRef, EventRef,
    abi_stable::std_types::{RSlice, RStr},
    flags,
};
use serde::Serialize;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::task::{consume_budget, yield_now};

/// A larger buffer is given back after use: one huge event would otherwise hold its memory for good.
const KEPT_BUFFER: usize = 256 * 1024;

/// How often a full queue is looked at again at once, before a timer is set. tokio's timers tick at 1 ms; the queue of a
/// busy host often has room again within microseconds.
const EAGER_TRIES: u32 = 8;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How long a source that was asked to stop waits for a full queue. A host that has given the source up never makes
/// room, and without an end the source's thread would stay for ever.
const STOPPING_PATIENCE: Duration = Duration::from_secs(30);

/// Why an event was not emitted.
#[derive(Debug)]
pub enum EmitError {
    /// The value has no JSON form.
    Encode(serde_json::Error),
    /// The source was asked to stop, and the host's queue stayed full.
    Stopping,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => write!(f, "the event has no JSON form: {error}"),
            Self::Stopping => f.write_str("the host's queue stayed full while the source was stopping"),
        }
    }
}

impl std::error::Error for EmitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Stopping => None,
        }
    }
}

/// Emits events. [`Context`](crate::Context) has one; [`Context::emitter`](crate::Context::emitter) gives further ones to
/// tasks of the source.
///
/// An event goes to the host before the call returns: there is no queue on this side, and nothing waits for a timer.
#[derive(Debug)]
pub struct Emitter {
    link: Arc<Link>,
    buffer: Vec<u8>,
}

impl Clone for Emitter {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.link))
    }
}

impl Emitter {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, buffer: Vec::new() }
    }

    /// Emits an event, and waits while the host's queue is full. Dropped before it is ready, it has emitted nothing.
    pub async fn emit(&mut self, channel: &str, kind: &str, data: &(impl Serialize + ?Sized)) -> Result<(), EmitError> {
        self.event(channel, kind).emit(data).await
    }

    /// Emits an event if the host's queue has room. `false`: it had none, the event is dropped and counted, and the
    /// count is announced.
    pub fn try_emit(&mut self, channel: &str, kind: &str, data: &(impl Serialize + ?Sized)) -> Result<bool, EmitError> {
        self.event(channel, kind).try_emit(data)
    }

    /// Emits an event that stays as the snapshot of its channel and key: late subscribers get the last one.
    pub async fn retain(
        &mut self,
        channel: &str,
        kind: &str,
        key: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), EmitError> {
        self.event(channel, kind).key(key).emit(data).await
    }

    /// Emits an event that takes the snapshot of its channel and key away. Its data is `null`.
    pub async fn forget(&mut self, channel: &str, kind: &str, key: &str) -> Result<(), EmitError> {
        let mut event = self.event(channel, kind).key(key);
        event.flags = (event.flags & !flags::RETAIN) | flags::FORGET;
        event.emit(&()).await
    }

    /// Begins an event with more than a channel, a type and data.
    pub fn event<'a>(&'a mut self, channel: &'a str, kind: &'a str) -> EventBuilder<'a> {
        EventBuilder { emitter: self, channel, kind, key: "", attributes: Vec::new(), time_ns: 0, flags: 0 }
    }

    /// Whether the host has asked the source to stop: for a loop that emits without waiting for anything.
    pub fn is_stopping(&self) -> bool {
        self.link.is_stopping()
    }

    /// How many events [`Emitter::try_emit`] has dropped since the source started.
    pub fn dropped(&self) -> u64 {
        self.link.drops.total()
    }
}

/// An event with all its parts; [`EventBuilder::emit`] sends it.
#[must_use = "an event is sent by `.emit(&data).await`"]
#[derive(Debug)]
pub struct EventBuilder<'a> {
    emitter: &'a mut Emitter,
    channel: &'a str,
    kind: &'a str,
    key: &'a str,
    attributes: Vec<AttributeRef<'a>>,
    time_ns: i64,
    flags: u64,
}

impl<'a> EventBuilder<'a> {
    /// How bad it is; without, it counts as info.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.flags &= !(flags::SEVERITY_MASK << flags::SEVERITY_SHIFT);
        self.flags |= flags::pack(false, severity as u8, 0);
        self
    }

    /// How the source knows.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.flags &= !(flags::EVIDENCE_MASK << flags::EVIDENCE_SHIFT);
        self.flags |= flags::pack(false, 0, evidence as u8);
        self
    }

    /// A flat string to filter by.
    pub fn attribute(mut self, name: &'a str, value: &'a str) -> Self {
        self.attributes.push(AttributeRef { name: RStr::from_str(name), value: RStr::from_str(value) });
        self
    }

    /// When it was observed; without, it is now.
    pub fn time(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        self.time_ns = i64::try_from(since).unwrap_or(i64::MAX);
        self
    }

    /// It stays as the snapshot of its channel and this key.
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = key;
        self.flags |= flags::RETAIN;
        self
    }

    /// Emits it, and waits while the host's queue is full. Dropped before it is ready, it has emitted nothing.
    pub async fn emit(self, data: &(impl Serialize + ?Sized)) -> Result<(), EmitError> {
        self.emitter.encode(data)?;
        let payload = std::mem::take(&mut self.emitter.buffer);
        let sent = self.send(&payload).await;
        self.emitter.give_back(payload);
        sent
    }

    /// Emits it with data that is JSON already. The host checks it.
    pub async fn emit_json(self, json: &[u8]) -> Result<(), EmitError> {
        self.send(json).await
    }

    /// Emits it if the host's queue has room: see [`Emitter::try_emit`].
    pub fn try_emit(self, data: &(impl Serialize + ?Sized)) -> Result<bool, EmitError> {
        self.emitter.encode(data)?;
        let taken = self.offer(&self.emitter.buffer);
        if !taken {
            self.emitter.link.drops.count(self.channel);
        }
        Ok(taken)
    }

    fn offer(&self, payload: &[u8]) -> bool {
        let link = &self.emitter.link;
        let taken = link.publish(EventRef {
            channel: RStr::from_str(self.channel),
            kind: RStr::from_str(self.kind),
            key: RStr::from_str(self.key),
            attributes: RSlice::from_slice(&self.attributes),
            payload: RSlice::from_slice(payload),
            time_ns: self.time_ns,
            flags: self.flags,
        });
        if taken && link.drops.is_waiting() {
            link.announce_drops(false);
        }
        taken
    }

    async fn send(&self, payload: &[u8]) -> Result<(), EmitError> {
        // A source that emits without end must still let its runtime answer the heartbeat.
        consume_budget().await;
        if self.offer(payload) { Ok(()) } else { self.insist(payload).await }
    }

    /// Tries again, ever more slowly, until the host's queue has room.
    #[cold]
    async fn insist(&self, payload: &[u8]) -> Result<(), EmitError> {
        let mut tries = 0;
        let mut pause = Duration::from_millis(1);
        let mut stopping: Option<Instant> = None;
        loop {
            if self.emitter.link.is_stopping()
                && stopping.get_or_insert_with(Instant::now).elapsed() > STOPPING_PATIENCE
            {
                return Err(EmitError::Stopping);
            }
            if tries < EAGER_TRIES {
                tries += 1;
                yield_now().await;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            if self.offer(payload) {
                return Ok(());
            }
        }
    }
}

impl Emitter {
    fn encode(&mut self, data: &(impl Serialize + ?Sized)) -> Result<(), EmitError> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, data).map_err(EmitError::Encode)
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() <= KEPT_BUFFER {
            self.buffer = buffer;
        }
    }
}
