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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_event::{Draft, Epoch, Payload, Position};
    use uuid::Uuid;

    fn event(channel: &str, retention: Retention, offset: u64) -> Arc<Event> {
        let data = Payload::new(Bytes::from(offset.to_string())).unwrap();
        let draft = Draft { retention, ..Draft::new(ChannelName::new(channel).unwrap(), "tested", "test", data) };
        Arc::new(Event::new(draft, Position { epoch: Epoch(1), offset }, Uuid::nil()))
    }

    fn keep(key: &str) -> Retention {
        Retention::Keep(key.into())
    }

    fn offsets(snapshots: &Snapshots, pattern: &str) -> Vec<u64> {
        let found = snapshots.matching(&ChannelPattern::parse(pattern).unwrap());
        found.iter().map(|event| event.position.offset).collect()
    }

    #[test]
    fn the_last_of_each_key_until_it_is_forgotten() {
        let mut snapshots = Snapshots::new(100, 1 << 20);
        for (channel, retention, offset) in [
            ("b", keep("x"), 1),
            ("a", keep("y"), 2),
            ("a", keep("x"), 3),
            ("a", Retention::None, 4),
            ("a", keep("y"), 5),
            ("b", Retention::Forget("nothing".into()), 6),
        ] {
            snapshots.apply(&event(channel, retention, offset));
        }
        assert_eq!(offsets(&snapshots, "*"), [3, 5, 1]); // by channel, then by key
        assert_eq!(offsets(&snapshots, "b"), [1]);
        assert_eq!(offsets(&snapshots, "c"), [0; 0]);
        snapshots.apply(&event("b", Retention::Forget("x".into()), 7));
        assert_eq!((offsets(&snapshots, "*"), snapshots.len(), snapshots.evicted()), (vec![3, 5], 2, 0));
        for (key, offset) in [("x", 8), ("y", 9)] {
            snapshots.apply(&event("a", Retention::Forget(key.into()), offset));
        }
        assert!(snapshots.channels.is_empty() && snapshots.order.is_empty() && snapshots.bytes == 0);
    }

    #[test]
    fn the_one_updated_longest_ago_makes_room() {
        let mut snapshots = Snapshots::new(2, 1 << 20);
        for (key, offset) in [("x", 1), ("y", 2), ("x", 3), ("z", 4)] {
            snapshots.apply(&event("a", keep(key), offset));
        }
        assert_eq!((offsets(&snapshots, "a"), snapshots.evicted()), (vec![3, 4], 1)); // y went
    }

    #[test]
    fn the_size_of_all_is_bounded() {
        let weight = event("a", keep("x"), 1).weight();
        let mut snapshots = Snapshots::new(100, 3 * weight);
        for offset in 0..10 {
            snapshots.apply(&event("a", keep(&offset.to_string()), offset));
            assert!(snapshots.bytes <= 3 * weight);
        }
        assert_eq!(offsets(&snapshots, "a"), [7, 8, 9]);
    }
}
