//! The hand-over to fan-out shards: one queue each, one wake-up per batch. The router fills it, the shard's own thread
//! empties it.

use crate::{ChannelLog, LogLimits, RouterError, router::Core};
use headwater_engine::Engine;
use headwater_event::{ChannelPattern, Event};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many shards there can be: one bit each in a channel's interest.
pub const MAX_SHARDS: usize = 64;

/// What [`Inbox::take`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after an overflow events are missing that only the logs hold"]
pub enum Taken {
    /// Every event since the last take is there.
    All,
    /// The queue was full and later events were left out. They are in the logs: read each watched channel from its
    /// cursor to its head. What then comes a second time is known by its offset.
    Overflowed,
}

/// A shard's end of its queue. Dropping it ends everything that it watches.
pub struct Inbox {
    core: Arc<Core>,
    engine: Arc<dyn Engine>,
    number: usize,
    queue: Arc<ShardQueue>,
}

/// Bounded by events and bytes; when it is full, the shard is told to read from the logs, which hold the same events.
pub(crate) struct ShardQueue {
    waiting: Mutex<Waiting>,
    wake: Box<dyn Fn() + Send + Sync>,
    max_events: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    events: Vec<Arc<Event>>,
    bytes: usize,
    overflowed: bool,
}

/// What [`ShardQueue::push`] did.
#[derive(Default)]
pub(crate) struct Pushed {
    /// It was empty: wake the shard when the batch is in.
    pub(crate) wake: bool,
    /// It has just run over.
    pub(crate) overflowed: bool,
}

impl ShardQueue {
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>, limits: &LogLimits) -> Self {
        let waiting = Mutex::default();
        Self { waiting, wake, max_events: limits.inbox_events, max_bytes: limits.inbox_bytes }
    }

    /// Adds a run of events, all or none: a run that is cut would look complete up to the cut.
    pub(crate) fn push(&self, run: &[Arc<Event>], bytes: usize) -> Pushed {
        let mut waiting = self.lock();
        if waiting.overflowed {
            return Pushed::default();
        }
        let wake = waiting.events.is_empty();
        // One run is taken whatever its size, or a batch above the bound could never pass here.
        if !wake && (waiting.events.len() + run.len() > self.max_events || waiting.bytes + bytes > self.max_bytes) {
            waiting.overflowed = true;
            return Pushed { wake: false, overflowed: true };
        }
        waiting.events.extend_from_slice(run);
        waiting.bytes += bytes;
        Pushed { wake, overflowed: false }
    }

    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    fn take(&self, into: &mut Vec<Arc<Event>>) -> Taken {
        let mut waiting = self.lock();
        if into.is_empty() {
            // The two vectors change places, so that neither is allocated anew each turn.
            std::mem::swap(&mut waiting.events, into);
        } else {
            into.append(&mut waiting.events);
        }
        waiting.bytes = 0;
        if std::mem::take(&mut waiting.overflowed) { Taken::Overflowed } else { Taken::All }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    pub(crate) fn new(core: Arc<Core>, engine: Arc<dyn Engine>, queue: Arc<ShardQueue>) -> Self {
        let number = core.write().add_shard(queue.clone());
        Self { core, engine, number, queue }
    }

    /// Everything that was handed over since the last take, behind what is in `into`; per channel in the order of
    /// offsets. Give an empty vector, best the one of the last turn: then this only swaps two pointers.
    ///
    /// An event may come that the subscription was attached behind: skip what lies below its cursor.
    pub fn take(&self, into: &mut Vec<Arc<Event>>) -> Taken {
        self.queue.take(into)
    }

    /// From the moment this returns, every later event of matching channels comes by [`Self::take`], also of channels that
    /// are created later. Returns the logs that match now; attach to them after this, not before. An exact name has
    /// its log made. Counted: as many [`Self::unwatch`] end it.
    pub fn watch(&self, pattern: &ChannelPattern) -> Result<Vec<Arc<ChannelLog>>, RouterError> {
        self.core.watch(&*self.engine, self.number, pattern)
    }

    /// Takes back one [`Self::watch`]. Events that are already handed over still come. Let go of the logs too: an exact
    /// name that nobody watches and that never had an event is forgotten.
    pub fn unwatch(&self, pattern: &ChannelPattern) {
        self.core.write().unwatch(self.number, pattern);
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.core.write().remove_shard(self.number);
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("number", &self.number).finish_non_exhaustive()
    }
}
