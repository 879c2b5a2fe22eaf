//! The router itself: takes batches to the engine, and events from the engine to the logs and to the shards. Made by the
//! assembly, called by the gateway and by the host's port.

use crate::{
    ChannelInfo, ChannelLog, Counters, Inbox, LogLimits, RouterError,
    counters::{Totals, add},
    directory::Directory,
    fanout::ShardQueue,
    log::{Appended, Budget},
    snapshots::Snapshots,
};
use headwater_engine::{Ack, Engine, Head};
use headwater_event::{ChannelName, ChannelPattern, Draft, Event, Retention};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// When the budget is used up, this part of it is freed at once: looking for the longest logs costs time in proportion to
/// the number of channels, so it must not happen for each event.
const RECLAIM_PART: usize = 16;

/// Channel logs over an engine.
pub struct Router {
    pub(crate) engine: Arc<dyn Engine>,
    core: Arc<Core>,
}

/// What the engine's hand-back needs; apart from [`Router`], so that the engine does not own itself.
pub(crate) struct Core {
    limits: LogLimits,
    budget: Budget,
    directory: RwLock<Directory>,
    snapshots: Mutex<Snapshots>,
    totals: Totals,
}

/// How far a batch has been handed over to the shards.
#[derive(Default)]
struct Handover {
    /// Events before this one are done.
    done: usize,
    /// Who wants those that are not, and what they weigh.
    interest: u64,
    bytes: usize,
    /// Whom to wake.
    wake: u64,
}

impl Router {
    /// Takes over the engine: learns its channels and its retained events, and starts it. May block on a disk.
    pub fn new(engine: Arc<dyn Engine>, limits: LogLimits) -> Arc<Self> {
        let core = Arc::new(Core {
            budget: Budget { limit: limits.memory, used: AtomicUsize::new(0) },
            directory: RwLock::default(),
            snapshots: Mutex::new(Snapshots::new(limits.snapshots, limits.snapshot_bytes)),
            totals: Totals::default(),
            limits,
        });
        // Before the start: afterwards an event could make a log that knows nothing of the store's offsets.
        for head in engine.heads() {
            core.write().create(head);
        }
        match engine.retained() {
            Ok(events) => {
                let mut snapshots = core.snapshots();
                for event in &events {
                    snapshots.apply(event);
                }
            }
            // The bus is worth more than its snapshots; the next event of each key makes them whole again.
            Err(error) => tracing::error!(%error, "cannot read the retained events; snapshots begin empty"),
        }
        let sink = core.clone();
        engine.start(Box::new(move |events| sink.commit(&events)));
        Arc::new(Self { engine, core })
    }

    /// Publishes a batch, all or nothing. When this returns, the events of a local engine are in the logs; the ack comes
    /// when the engine has them at its configured durability. Quick and without waiting for any reader.
    pub fn publish(&self, batch: Vec<Draft>) -> Result<Ack, RouterError> {
        let count = batch.len() as u64;
        self.core
            .admit(&batch)
            .and_then(|()| self.engine.publish(batch).map_err(RouterError::from))
            .inspect_err(|_| add(&self.core.totals.rejected, count))
    }

    /// Makes a queue for a fan-out shard. `wake` is called once for each batch that finds the queue empty; it must be
    /// quick and must not call the router. A wake-up may find nothing.
    ///
    /// # Panics
    /// When there are already [`crate::MAX_SHARDS`].
    pub fn shard(&self, wake: Box<dyn Fn() + Send + Sync>) -> Inbox {
        let queue = Arc::new(ShardQueue::new(wake, &self.core.limits));
        Inbox::new(self.core.clone(), self.engine.clone(), queue)
    }

    /// Every channel, by name.
    pub fn channels(&self) -> Vec<ChannelInfo> {
        let mut channels: Vec<_> = self.core.read().logs.values().map(|log| log.info()).collect();
        channels.sort_unstable_by(|a, b| a.channel.cmp(&b.channel));
        channels
    }

    /// The log of a channel, if it exists.
    pub fn log(&self, name: &str) -> Option<Arc<ChannelLog>> {
        self.core.read().logs.get(name).cloned()
    }

    /// The logs of the channels that a pattern means now, by name.
    pub fn logs(&self, pattern: &ChannelPattern) -> Vec<Arc<ChannelLog>> {
        let mut logs = self.core.read().matching(pattern);
        logs.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        logs
    }

    /// The retained events of matching channels, by channel and key.
    pub fn snapshot(&self, pattern: &ChannelPattern) -> Vec<Arc<Event>> {
        self.core.snapshots().matching(pattern)
    }

    /// Whether anybody reads this channel now who has asked for it by its name. Patterns do not count: who reads all that
    /// there is has not asked for what would not be there otherwise.
    pub fn is_asked_for(&self, name: &ChannelName) -> bool {
        self.core.read().is_named(name)
    }

    /// How many subscriptions there are now: of clients, of sources, of webhooks; each channel and pattern counts as one.
    pub fn subscriptions(&self) -> u64 {
        self.core.read().watches()
    }

    /// Cuts the log of a channel to the newest events of so many bytes: for who publishes what counts for a moment only,
    /// and would fill the memory with it for an hour.
    pub fn cut(&self, name: &ChannelName, bytes: usize) {
        if let Some(log) = self.core.read().logs.get(name) {
            add(&self.core.totals.trimmed, log.keep(bytes, &self.core.budget).events as u64);
        }
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        let core = &self.core;
        let (snapshots, snapshots_evicted) = {
            let held = core.snapshots();
            (held.len() as u64, held.evicted())
        };
        Counters {
            published: core.totals.published.load(Relaxed),
            rejected: core.totals.rejected.load(Relaxed),
            bytes: core.totals.bytes.load(Relaxed),
            trimmed: core.totals.trimmed.load(Relaxed),
            overflows: core.totals.overflows.load(Relaxed),
            held_bytes: core.budget.used.load(Relaxed) as u64,
            channels: core.read().logs.len() as u64,
            snapshots,
            snapshots_evicted,
        }
    }

    /// Drops what is too old in channels that have fallen quiet; busy ones do so as they go. Call it now and then, say
    /// every ten seconds.
    pub fn sweep(&self) {
        self.core.sweep_at(Instant::now());
    }
}

impl Core {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshots(&self) -> MutexGuard<'_, Snapshots> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a batch that would create too many channels. Two publishers at the same moment may pass together; the
    /// engine's own bound is the exact one.
    fn admit(&self, batch: &[Draft]) -> Result<(), RouterError> {
        let directory = self.read();
        let (limit, existing) = (self.limits.channels, directory.logs.len());
        if existing + batch.len() <= limit {
            return Ok(()); // even if every draft were a new channel
        }
        let mut new = std::collections::HashSet::new();
        for name in batch.iter().map(|draft| &draft.channel) {
            if !directory.logs.contains_key(name) && new.insert(name) && existing + new.len() > limit {
                return Err(RouterError::TooManyChannels { name: name.clone(), limit });
            }
        }
        Ok(())
    }

    pub(crate) fn watch(
        &self,
        engine: &dyn Engine,
        shard: usize,
        pattern: &ChannelPattern,
    ) -> Result<Vec<Arc<ChannelLog>>, RouterError> {
        let ChannelPattern::Exact(name) = pattern else { return Ok(self.write().watch(shard, pattern)) };
        let mut head = None;
        loop {
            let mut directory = self.write();
            if directory.logs.contains_key(name) {
                return Ok(directory.watch(shard, pattern));
            }
            if directory.logs.len() >= self.limits.channels {
                return Err(RouterError::TooManyChannels { name: name.clone(), limit: self.limits.channels });
            }
            if let Some(head) = head.take() {
                directory.create(head);
                return Ok(directory.watch(shard, pattern));
            }
            // Not under our lock: the engine may be waiting for it with its own lock held.
            drop(directory);
            head = Some(engine.open(name)?);
        }
    }

    /// What the engine calls with events that have positions.
    fn commit(&self, events: &[Arc<Event>]) {
        let now = Instant::now();
        let mut directory = self.read();
        let mut handover = Handover::default();
        let mut done = 0;
        while let Some(first) = events.get(done) {
            let Some(log) = directory.logs.get(&first.channel) else {
                drop(directory);
                let last = first.position.offset.saturating_sub(1);
                let head = Head { name: first.channel.clone(), epoch: first.position.epoch, first: last + 1, last };
                self.write().create(head);
                directory = self.read();
                continue;
            };
            let rest = &events[done..];
            let run = rest.iter().position(|event| event.channel != first.channel).unwrap_or(rest.len());
            self.append(&directory, log, &rest[..run], now, |appended| {
                // Neighbours that go to the same shards go in one piece. After the log, not before: a shard whose
                // queue is full reads the same events from there.
                if appended.interest != handover.interest {
                    self.hand_over(&directory, &events[..done], &mut handover);
                    handover.interest = appended.interest;
                }
                handover.bytes += appended.bytes;
                done += appended.events;
            });
        }
        self.hand_over(&directory, events, &mut handover);
        if events.iter().any(|event| event.retention != Retention::None) {
            let mut snapshots = self.snapshots();
            for event in events {
                snapshots.apply(event);
            }
        }
        add(&self.totals.published, events.len() as u64);
        add(&self.totals.bytes, events.iter().map(|event| event.data.as_bytes().len() as u64).sum());
        // Once, at the end: a shard that is woken for the first event should find the whole batch.
        for_each_bit(handover.wake, |shard| {
            if let Some(Some(queue)) = directory.shards.get(shard) {
                queue.wake();
            }
        });
    }

    /// Appends a run of one channel to its log, in as many parts as the budget makes of it, and tells each.
    fn append(
        &self,
        directory: &Directory,
        log: &ChannelLog,
        mut run: &[Arc<Event>],
        now: Instant,
        mut appended: impl FnMut(Appended),
    ) {
        let mut reclaimed = false;
        while !run.is_empty() {
            let part = log.append(run, &self.limits, &self.budget, now, reclaimed);
            add(&self.totals.trimmed, part.trimmed.events as u64);
            run = &run[part.events..];
            if part.events > 0 {
                appended(part);
            }
            reclaimed = !run.is_empty();
            if reclaimed {
                self.reclaim(directory);
            }
        }
    }

    /// Hands over everything up to the end of `events` that has not been yet.
    fn hand_over(&self, directory: &Directory, events: &[Arc<Event>], handover: &mut Handover) {
        let part = &events[handover.done..];
        let bytes = std::mem::take(&mut handover.bytes);
        handover.done = events.len();
        if part.is_empty() {
            return;
        }
        for_each_bit(handover.interest, |shard| {
            let Some(Some(queue)) = directory.shards.get(shard) else { return };
            let pushed = queue.push(part, bytes);
            handover.wake |= u64::from(pushed.wake) << shard;
            add(&self.totals.overflows, u64::from(pushed.overflowed));
        });
    }

    /// Frees a part of the budget: cuts the longest logs to one common length.
    fn reclaim(&self, directory: &Directory) {
        let target = self.budget.limit - self.budget.limit / RECLAIM_PART;
        let sizes: Vec<usize> = directory.logs.values().map(|log| log.bytes()).collect();
        let level = level(&sizes, target);
        for log in directory.logs.values().filter(|log| log.bytes() > level) {
            add(&self.totals.trimmed, log.keep(level, &self.budget).events as u64);
        }
    }

    fn sweep_at(&self, now: Instant) {
        for log in self.read().logs.values() {
            add(&self.totals.trimmed, log.expire(&self.limits, &self.budget, now).events as u64);
        }
    }
}

/// The largest length for which all logs, cut to it, sum to at most `target`.
fn level(sizes: &[usize], target: usize) -> usize {
    let fits = |level: usize| sizes.iter().map(|size| size.min(&level)).sum::<usize>() <= target;
    let (mut low, mut high) = (0, target);
    // 0 fits; the answer lies in low..=high.
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

fn for_each_bit(mut bits: u64, mut f: impl FnMut(usize)) {
    while bits != 0 {
        f(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
