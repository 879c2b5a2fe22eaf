//! The log of one channel: its events in memory, read by offset, and which shards want to hear of new ones. Made by the
//! directory, appended to by the router, read by the gateway's sessions.

use crate::{
    ChannelInfo, LogLimits, ReadLimit,
    ring::{Ring, Trimmed},
};
use headwater_engine::Head;
use headwater_event::{ChannelName, Epoch, Event, Timestamp};
use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// What [`ChannelLog::read`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The events from the asked offset up to this one, exclusive, were copied; none when that is the end.
    Ok {
        /// Where to read next.
        next: u64,
    },
    /// The log no longer holds the asked offset; nothing was copied.
    Behind {
        /// The first offset that it holds.
        tail: u64,
    },
}

/// One channel.
#[derive(Debug)]
pub struct ChannelLog {
    name: ChannelName,
    /// The events and the interest change under one lock. A shard sets its interest and then reads the head; a
    /// publisher appends and then looks who is interested. With one lock no event can slip between the two.
    inner: Mutex<Inner>,
    /// A copy of the ring's bytes, to find the longest logs without taking every lock.
    bytes: AtomicUsize,
}

#[derive(Debug)]
struct Inner {
    ring: Ring,
    /// One bit for each shard that watches this channel.
    interest: u64,
    /// How many of each shard's patterns match; a bit of `interest` stands for a number above 0. As long as the
    /// highest shard needs.
    patterns: Vec<u32>,
}

/// The bytes of all logs.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limit: usize,
    pub(crate) used: AtomicUsize,
}

/// What [`ChannelLog::append`] did.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    /// How many events of the run are in, from the first on. Fewer than given: the budget is used up.
    pub(crate) events: usize,
    /// Their weight.
    pub(crate) bytes: usize,
    /// Who has to be told.
    pub(crate) interest: u64,
    pub(crate) trimmed: Trimmed,
}

impl ChannelLog {
    pub(crate) fn new(head: Head) -> Self {
        Self {
            name: head.name,
            inner: Mutex::new(Inner { ring: Ring::new(head.epoch, head.last), interest: 0, patterns: Vec::new() }),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// The epoch of its offsets.
    pub fn epoch(&self) -> Epoch {
        self.lock().ring.epoch()
    }

    /// The last offset; 0 before the first event.
    pub fn head(&self) -> u64 {
        self.lock().ring.head()
    }

    /// The first offset held; `head + 1` when none is.
    pub fn tail(&self) -> u64 {
        self.lock().ring.tail()
    }

    /// Epoch, tail, head and sizes at one moment.
    pub fn info(&self) -> ChannelInfo {
        let inner = self.lock();
        ChannelInfo {
            channel: self.name.clone(),
            epoch: inner.ring.epoch(),
            first: inner.ring.tail(),
            head: inner.ring.head(),
            events: inner.ring.len() as u64,
            bytes: inner.ring.bytes() as u64,
        }
    }

    /// Copies the events from `next` on behind those in `out`: at most the limit, at least one where there is one. An
    /// offset ahead of the log copies none and comes back as it is. Costs nothing for the events before `next`.
    pub fn read(&self, next: u64, limit: ReadLimit, out: &mut Vec<Arc<Event>>) -> Read {
        self.lock().ring.read(next, limit, out)
    }

    /// Epoch, tail and head at one moment.
    pub(crate) fn bounds(&self) -> (Epoch, u64, u64) {
        let inner = self.lock();
        (inner.ring.epoch(), inner.ring.tail(), inner.ring.head())
    }

    /// The smallest range of offsets that holds every event in memory observed from `since` to `until`, both included.
    pub(crate) fn within(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Range<u64> {
        self.lock().ring.within(since, until)
    }

    /// Appends a run of events of this channel, as far as the budget goes. `force` takes the first one even so: it is
    /// set after memory has been reclaimed, so that an event larger than the whole budget does not stop the bus.
    pub(crate) fn append(
        &self,
        run: &[Arc<Event>],
        limits: &LogLimits,
        budget: &Budget,
        now: Instant,
        mut force: bool,
    ) -> Appended {
        let mut inner = self.lock();
        let trimmed = inner.ring.expire(limits.channel_age, now);
        let mut done = Appended { interest: inner.interest, trimmed, ..Appended::default() };
        // Once for the run, here and at its end: all publishers count in this one place.
        let used = budget.used.load(Relaxed);
        for event in run {
            let weight = event.weight();
            done.trimmed += inner.ring.make_room(event, weight, limits);
            if used + done.bytes + weight > budget.limit + done.trimmed.bytes && !force {
                break;
            }
            force = false;
            inner.ring.push(event.clone(), weight, limits.channel_age, now);
            done.events += 1;
            done.bytes += weight;
        }
        budget.used.fetch_add(done.bytes, Relaxed);
        budget.used.fetch_sub(done.trimmed.bytes, Relaxed);
        self.bytes.store(inner.ring.bytes(), Relaxed);
        done
    }

    /// Drops the oldest events until at most `bytes` are held.
    pub(crate) fn keep(&self, bytes: usize, budget: &Budget) -> Trimmed {
        self.trim(budget, |ring| ring.keep(bytes))
    }

    /// Drops what is too old.
    pub(crate) fn expire(&self, limits: &LogLimits, budget: &Budget, now: Instant) -> Trimmed {
        self.trim(budget, |ring| ring.expire(limits.channel_age, now))
    }

    fn trim(&self, budget: &Budget, trim: impl FnOnce(&mut Ring) -> Trimmed) -> Trimmed {
        let mut inner = self.lock();
        let trimmed = trim(&mut inner.ring);
        budget.used.fetch_sub(trimmed.bytes, Relaxed);
        self.bytes.store(inner.ring.bytes(), Relaxed);
        trimmed
    }

    /// The bytes held, without the lock: a moment old.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// One more pattern of this shard matches.
    pub(crate) fn add_interest(&self, shard: usize) {
        let mut inner = self.lock();
        if inner.patterns.len() <= shard {
            inner.patterns.resize(shard + 1, 0);
        }
        inner.patterns[shard] += 1;
        inner.interest |= 1 << shard;
    }

    /// One pattern less.
    pub(crate) fn remove_interest(&self, shard: usize) {
        let mut inner = self.lock();
        let Some(count) = inner.patterns.get_mut(shard) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            inner.interest &= !(1 << shard);
        }
    }

    /// Whether it can be forgotten: it never had an event, and nobody waits for one.
    pub(crate) fn is_idle(&self) -> bool {
        let inner = self.lock();
        inner.interest == 0 && inner.ring.head() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in these sections panics half-way through a change that would matter.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
