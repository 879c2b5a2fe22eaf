//! Everything that any client was told in any life of the daemon, and the comparison of it with what the history has.

use super::load::{CHANNELS, Place, Seen, Told};
use headwater_tests::Daemon;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

/// How many epochs of a channel the history remembers. Events of one that is older are told under the oldest of these,
/// which has never given their offsets to others.
const EPOCHS: usize = 64;

/// What is known of the past.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The event of each place, by its data and its id, whoever told it. An acknowledgement tells no id.
    places: HashMap<Place, (String, Option<String>)>,
    acknowledged: Vec<Acknowledged>,
    /// Those before this one have been found since they were noted.
    checked: usize,
    /// By channel; the offset is one more than the index.
    stored: BTreeMap<String, Vec<Seen>>,
    /// The data of everything that is stored.
    data: HashSet<String>,
    /// How often a daemon has begun with the history.
    starts: usize,
    /// What was seen live and is not stored.
    lost: usize,
    /// What was seen in the life that ended last.
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Acknowledged {
    place: Place,
    what: String,
    /// As many starts there had been.
    starts: usize,
}

impl Ledger {
    /// A daemon begins with the history.
    pub(super) fn starts(&mut self) {
        self.starts += 1;
    }

    /// Notes what the clients of a life have learnt.
    pub(super) fn note(&mut self, all: Vec<Told>) {
        for told in all {
            for (place, what) in told.acknowledged {
                self.stands(&place, &what, None);
                self.acknowledged.push(Acknowledged { place, what, starts: self.starts });
            }
            for seen in &told.seen {
                self.stands(&seen.place, &seen.what, Some(&seen.id));
            }
            self.seen.extend(told.seen);
        }
    }

    /// What is stored at an offset.
    pub(super) fn stored(&self, channel: &str, offset: u64) -> Option<&Seen> {
        self.stored.get(channel)?.get(usize::try_from(offset).ok()?.checked_sub(1)?)
    }

    /// The last offset of a channel.
    pub(super) fn last(&self, channel: &str) -> u64 {
        self.stored.get(channel).map_or(0, |stored| stored.len() as u64)
    }

    /// The data of everything that was acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = &str> {
        self.acknowledged.iter().map(|acknowledged| acknowledged.what.as_str())
    }

    /// Reads the history back, all of it or what came since the last time, and compares.
    pub(super) async fn read_back(&mut self, daemon: &Daemon, whole: bool) {
        for channel in CHANNELS {
            let known = self.stored.remove(channel).unwrap_or_default();
            let read = match known.last().filter(|_| !whole) {
                None => history(daemon, channel).await,
                Some(last) => behind(daemon, &last.place).await,
            };
            let stored = self.compared(channel, known, read, whole);
            self.stored.insert(channel.to_owned(), stored);
        }
        for acknowledged in &self.acknowledged[if whole { 0 } else { self.checked }..] {
            let Acknowledged { place, what, starts } = acknowledged;
            let stored = self.stored(&place.channel, place.offset);
            let stored = stored.unwrap_or_else(|| panic!("{what} was acknowledged at {place:?} and is lost"));
            assert_eq!(&stored.what, what, "another one stands at {place:?}");
            if self.starts - starts < EPOCHS {
                assert_eq!(stored.place.epoch, place.epoch, "{what} has another epoch than was acknowledged");
            }
        }
        self.checked = self.acknowledged.len();
        let is_lost = |seen: &Seen| {
            self.stored(&seen.place.channel, seen.place.offset).map(|stored| &stored.id) != Some(&seen.id)
        };
        let lost: HashSet<&str> = self.seen.iter().filter(|seen| is_lost(seen)).map(|seen| seen.id.as_str()).collect();
        self.lost += lost.len();
        self.seen.clear();
        self.snapshots_are_the_last(daemon).await;
    }

    /// The events of a channel, known and newly read, as one row without a hole.
    fn compared(&mut self, channel: &str, mut known: Vec<Seen>, read: Vec<Seen>, whole: bool) -> Vec<Seen> {
        let first = if whole { 1 } else { known.len() as u64 + 1 };
        assert!(!whole || read.len() >= known.len(), "the end of `{channel}` has been lost");
        for (seen, offset) in read.into_iter().zip(first..) {
            assert_eq!(seen.place.offset, offset, "the offsets of `{channel}` are not contiguous");
            self.stands(&seen.place, &seen.what, Some(&seen.id));
            if let Some(before) = known.get_mut(offset as usize - 1) {
                assert_eq!((&before.what, &before.id), (&seen.what, &seen.id), "`{channel}` {offset} has changed");
                *before = seen;
            } else {
                assert!(self.data.insert(seen.what.clone()), "{} is stored twice", seen.what);
                known.push(seen);
            }
        }
        known
    }

    /// At no time has a place another event.
    fn stands(&mut self, place: &Place, what: &str, id: Option<&str>) {
        let (known, known_id) = self.places.entry(place.clone()).or_insert_with(|| (what.to_owned(), None));
        assert_eq!(known, what, "{place:?} was used for two events");
        let Some(id) = id else { return };
        assert_eq!(known_id.get_or_insert_with(|| id.to_owned()), id, "{place:?} has two events of the same data");
    }

    async fn snapshots_are_the_last(&self, daemon: &Daemon) {
        let mut last = HashMap::new();
        for seen in self.stored.values().flatten() {
            if let Some(key) = &seen.key {
                last.insert((seen.place.channel.as_str(), key.as_str()), seen);
            }
        }
        let answer = daemon.get("/v1/snapshot?channel=load:*").await.json();
        let events: Vec<Seen> = answer["events"].as_array().expect("a list of events").iter().map(Seen::of).collect();
        for event in &events {
            let key = (event.place.channel.as_str(), event.key.as_deref().unwrap());
            let stored = last.get(&key).unwrap_or_else(|| panic!("a snapshot of nothing: {event:?}"));
            assert_eq!((event.place.offset, &event.id), (stored.place.offset, &stored.id), "an old snapshot");
        }
        assert_eq!(events.len(), last.len(), "snapshots are missing");
    }
}

/// Reads a channel's history from its beginning to its end.
async fn history(daemon: &Daemon, channel: &str) -> Vec<Seen> {
    let mut events = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = daemon.get(&format!("/v1/history?channel={channel}&limit=10000{cursor}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = answer.json();
        assert_eq!(answer["gaps"], Value::Null, "a kill makes no gap in `{channel}`");
        events.extend(answer["events"].as_array().expect("a list of events").iter().map(Seen::of));
        let Some(next) = answer["cursor"].as_str() else { return events };
        cursor = format!("&cursor={next}");
    }
}

/// Reads what a channel has behind an event. A gap would be no event, and fail.
async fn behind(daemon: &Daemon, Place { channel, epoch, offset }: &Place) -> Vec<Seen> {
    let answer = daemon.get(&format!("/v1/events?channel={channel}&from={channel}@{epoch}:{offset}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.lines().map(|line| Seen::of(&serde_json::from_str(line).expect("a line is JSON"))).collect()
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored: usize = self.stored.values().map(Vec::len).sum();
        write!(
            f,
            "{} events acknowledged, 0 of them lost; {stored} stored on {} channels, offsets contiguous; {} seen live and \
             lost; no position used twice, no duplicate",
            self.acknowledged.len(),
            self.stored.len(),
            self.lost
        )
    }
}
