//! The engine without a store: positions and ids under one lock, history none. Used by `headwater up` when no history is
//! configured, and by tests.

use crate::{Ack, Committed, Engine, EngineError, Head, Page, PageLimit, ids::Ids};
use headwater_event::{ChannelName, Draft, Epoch, Event, Position};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Keeps nothing but the last offset of each channel.
pub struct MemoryEngine {
    /// Without a bound, a publisher that invents names would take all memory; channels are never forgotten in a life.
    max_channels: usize,
    /// The seed of this life's epochs: an epoch is a keyed hash of the channel's name, so that a channel has one before
    /// its first event and costs nothing until then.
    life: RandomState,
    committed: OnceLock<Committed>,
    /// Held while events are handed back: two publishers to one channel must not hand back in the other order.
    state: Mutex<State>,
}

struct State {
    channels: HashMap<ChannelName, Channel>,
    ids: Ids,
}

struct Channel {
    /// Shared by all events of the channel, whatever allocation their drafts came with.
    name: ChannelName,
    epoch: Epoch,
    last: u64,
}

impl MemoryEngine {
    /// An engine that has at most this many channels.
    pub fn new(max_channels: usize) -> Self {
        Self {
            max_channels,
            life: RandomState::new(),
            committed: OnceLock::new(),
            state: Mutex::new(State { channels: HashMap::new(), ids: Ids::new() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in `committed` leaves counters that only rise: the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self, channel: &ChannelName) -> Epoch {
        Epoch(self.life.hash_one(channel.as_str()))
    }

    /// Refuses a batch that would create too many channels, before any of it has an offset.
    fn admit(&self, state: &State, batch: &[Draft]) -> Result<(), EngineError> {
        if state.channels.len() + batch.len() <= self.max_channels {
            return Ok(()); // even if every draft were a new channel
        }
        let mut new = HashSet::new();
        for draft in batch {
            if !state.channels.contains_key(draft.channel.as_str()) {
                new.insert(&draft.channel);
                if state.channels.len() + new.len() > self.max_channels {
                    return Err(EngineError::Refused(format!(
                        "channel `{}` would be one more than the {} that may exist; publish to fewer channels or raise \
                         `max_channels`",
                        draft.channel, self.max_channels
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Engine for MemoryEngine {
    fn start(&self, committed: Committed) {
        assert!(self.committed.set(committed).is_ok(), "an engine is started once");
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        let committed = self.committed.get().ok_or_else(|| EngineError::Down("it has not been started".into()))?;
        if batch.is_empty() {
            return Ok(Ack::ready(Ok(Vec::new())));
        }
        let mut guard = self.lock();
        self.admit(&guard, &batch)?;
        let State { channels, ids } = &mut *guard;
        ids.tick();
        let mut positions = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        let mut drafts = batch.into_iter().peekable();
        while let Some(mut draft) = drafts.next() {
            if !channels.contains_key(draft.channel.as_str()) {
                let (name, epoch) = (draft.channel.clone(), self.epoch(&draft.channel));
                channels.insert(name.clone(), Channel { name, epoch, last: 0 });
            }
            let channel = channels.get_mut(draft.channel.as_str()).expect("invariant: inserted above when absent");
            // Batches mostly go to one channel: look it up once for a run of drafts.
            loop {
                draft.channel = channel.name.clone();
                channel.last += 1;
                let position = Position { epoch: channel.epoch, offset: channel.last };
                positions.push(position);
                events.push(Arc::new(Event::new(draft, position, ids.next())));
                match drafts.next_if(|next| next.channel == channel.name) {
                    Some(next) => draft = next,
                    None => break,
                }
            }
        }
        committed(events);
        Ok(Ack::ready(Ok(positions)))
    }

    fn read(&self, channel: &ChannelName, next: u64, _limit: PageLimit) -> Result<Page, EngineError> {
        let first = self.open(channel)?.last + 1;
        Ok(if next < first { Page::Expired { first } } else { Page::Events { events: Vec::new(), next } })
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let last = self.lock().channels.get(channel.as_str()).map_or(0, |known| known.last);
        Ok(Head { name: channel.clone(), epoch: self.epoch(channel), first: last + 1, last })
    }

    fn heads(&self) -> Vec<Head> {
        let state = self.lock();
        let head = |c: &Channel| Head { name: c.name.clone(), epoch: c.epoch, first: c.last + 1, last: c.last };
        state.channels.values().map(head).collect()
    }
}

impl std::fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryEngine").field("max_channels", &self.max_channels).finish_non_exhaustive()
    }
}
