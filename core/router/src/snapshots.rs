//! Retained events: the last one of each channel and key, for those who come later. Filled by the router as events come,
//! read by its `snapshot`.

use headwater_event::{ChannelName, ChannelPattern, Event, Retention};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Bounded by number and bytes. When it is full, the event that was updated longest ago makes room: a key that nobody
/// updates is the likeliest to be stale.
#[derive(Debug)]
pub(crate) struct Snapshots {
    max_events: usize,
    max_bytes: usize,
    channels: HashMap<ChannelName, BTreeMap<Box<str>, Entry>>,
    /// Every entry by the number of its update, oldest first.
    order: BTreeMap<u64, (ChannelName, Box<str>)>,
    updates: u64,
    bytes: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Entry {
    event: Arc<Event>,
    update: u64,
}

impl Snapshots {
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            max_events,
            max_bytes,
            channels: HashMap::new(),
            order: BTreeMap::new(),
            updates: 0,
            bytes: 0,
            evicted: 0,
        }
    }

    /// Does what the event says of itself.
    pub(crate) fn apply(&mut self, event: &Arc<Event>) {
        match &event.retention {
            Retention::None => {}
            Retention::Forget(key) => self.remove(&event.channel, key),
            Retention::Keep(key) => {
                self.remove(&event.channel, key);
                self.insert(event, key);
                while self.order.len() > self.max_events || self.bytes > self.max_bytes {
                    let Some((_, (channel, key))) = self.order.first_key_value() else { break };
                    let (channel, key) = (channel.clone(), key.clone());
                    self.remove(&channel, &key);
                    self.evicted += 1;
                }
            }
        }
    }

    /// By channel, then by key.
    pub(crate) fn matching(&self, pattern: &ChannelPattern) -> Vec<Arc<Event>> {
        let mut channels: Vec<_> = match pattern {
            ChannelPattern::Exact(name) => self.channels.get_key_value(name).into_iter().collect(),
            ChannelPattern::Glob(glob) => {
                self.channels.iter().filter(|(name, _)| glob.matches(name.as_str())).collect()
            }
        };
        channels.sort_unstable_by_key(|(name, _)| *name);
        channels.into_iter().flat_map(|(_, keys)| keys.values().map(|entry| entry.event.clone())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn insert(&mut self, event: &Arc<Event>, key: &str) {
        self.updates += 1;
        let entry = Entry { event: event.clone(), update: self.updates };
        self.bytes += event.weight();
        self.order.insert(self.updates, (event.channel.clone(), key.into()));
        self.channels.entry(event.channel.clone()).or_default().insert(key.into(), entry);
    }

    fn remove(&mut self, channel: &ChannelName, key: &str) {
        let Some(keys) = self.channels.get_mut(channel) else { return };
        if let Some(entry) = keys.remove(key) {
            self.order.remove(&entry.update);
            self.bytes -= entry.event.weight();
        }
        if keys.is_empty() {
            self.channels.remove(channel);
        }
    }
}
