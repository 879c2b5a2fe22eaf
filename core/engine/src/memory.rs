//! The engine without a store: positions and ids under one lock, history none. Used by `headwater up` when no history is
//! configured, and by tests.

use crate::{Ack, Committed, Engine, EngineError, Head, Page, PageLimit, ids::Ids};
use headwater_event::{ChannelMap, ChannelName, Draft, Epoch, Event, Position};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
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
    channels: Vec<Channel>,
    names: ChannelMap<usize>,
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
            state: Mutex::new(State { channels: Vec::new(), names: ChannelMap::default(), ids: Ids::new() }),
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
            if !state.names.contains_key(draft.channel.as_str()) {
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
        let State { channels, names, ids } = &mut *guard;
        ids.tick();
        let mut positions = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        let mut known: Option<usize> = None;
        for mut draft in batch {
            // Batches mostly go to one channel: it is looked up once for a run of drafts.
            let index = match known {
                Some(index) if channels[index].name == draft.channel => index,
                _ => names.get(&draft.channel).copied().unwrap_or_else(|| {
                    let name = draft.channel.clone();
                    names.insert(name.clone(), channels.len());
                    channels.push(Channel { epoch: self.epoch(&name), name, last: 0 });
                    channels.len() - 1
                }),
            };
            known = Some(index);
            let channel = &mut channels[index];
            draft.channel = channel.name.clone();
            channel.last += 1;
            let position = Position { epoch: channel.epoch, offset: channel.last };
            positions.push(position);
            events.push(Event::shared(draft, position, ids.next()));
        }
        committed(events);
        Ok(Ack::ready(Ok(positions)))
    }

    fn has_history(&self) -> bool {
        false
    }

    fn read(&self, channel: &ChannelName, next: u64, _limit: PageLimit) -> Result<Page, EngineError> {
        let first = self.open(channel)?.last + 1;
        Ok(if next < first { Page::Expired { first } } else { Page::Events { events: Vec::new(), next } })
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let state = self.lock();
        let last = state.names.get(channel.as_str()).map_or(0, |index| state.channels[*index].last);
        Ok(Head { name: channel.clone(), epoch: self.epoch(channel), first: last + 1, last })
    }

    fn heads(&self) -> Vec<Head> {
        let state = self.lock();
        let head = |c: &Channel| Head { name: c.name.clone(), epoch: c.epoch, first: c.last + 1, last: c.last };
        state.channels.iter().map(head).collect()
    }
}

impl std::fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryEngine").field("max_channels", &self.max_channels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{a_refused_batch_leaves_nothing, conformance};
    use bytes::Bytes;
    use headwater_event::Payload;
    use std::sync::Arc;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    fn draft(channel: &str) -> Draft {
        Draft::new(name(channel), "tested", "test", Payload::new(Bytes::from_static(b"1")).unwrap())
    }

    #[test]
    fn it_keeps_every_promise_of_an_engine() {
        conformance(|| Box::new(MemoryEngine::new(200)));
    }

    #[test]
    fn it_has_no_history() {
        let engine = MemoryEngine::new(1);
        engine.start(Box::new(|_| {}));
        engine.publish(vec![draft("a"), draft("a")]).unwrap().wait().unwrap();
        let page = engine.read(&name("a"), 1, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Expired { first: 3 }), "{page:?}");
    }

    #[test]
    fn one_channel_too_many_is_refused_by_name_with_the_whole_batch() {
        let engine = MemoryEngine::new(2);
        let batch = ["a", "b", "b", "a", "c"].map(draft).to_vec();
        a_refused_batch_leaves_nothing(&engine, &draft("a"), batch.clone());
        let EngineError::Refused(reason) = engine.publish(batch).unwrap_err() else { panic!("not refused") };
        assert!(reason.contains("`c`") && reason.contains('2'), "{reason}");
        // Up to the limit it works, also when the quick look cannot tell.
        assert_eq!(engine.publish(["a", "b", "b", "a"].map(draft).to_vec()).unwrap().wait().unwrap().len(), 4);
    }

    #[test]
    fn events_of_a_channel_share_its_name() {
        let engine = MemoryEngine::new(1);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        engine.start(Box::new(move |events| record.lock().unwrap().extend(events)));
        for _ in 0..2 {
            engine.publish(vec![draft("a"), draft("a")]).unwrap().wait().unwrap();
        }
        let seen = seen.lock().unwrap();
        assert!(seen.iter().all(|event| std::ptr::eq(event.channel.as_str(), seen[0].channel.as_str())));
    }
}
