//! What the tests stand on: an engine that keeps everything in memory and fails as it is told, a router over it, and readers
//! that write down what they are given.

use bytes::Bytes;
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine, Page as Stored, PageLimit};
use headwater_event::{ChannelName, ChannelPattern, Draft, Epoch, Event, Gap, GapReason, Payload, Position, Timestamp};
use headwater_filter::Filter;
use headwater_follow::{Follow, Follower, Followers, Item, Lag, Until};
use headwater_router::{From, LogLimits, Router};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// Only reached when something is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine whose store is a map.
#[derive(Default)]
pub(crate) struct Shelf {
    committed: OnceLock<Committed>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    channels: BTreeMap<ChannelName, Channel>,
    /// Reads fail while this is set.
    pub(crate) failing: bool,
    pub(crate) reads: usize,
}

struct Channel {
    epoch: Epoch,
    first: u64,
    last: u64,
    events: BTreeMap<u64, Arc<Event>>,
    /// Earlier epochs, and the last offset that was kept of each.
    kept: Vec<(Epoch, u64)>,
}

impl Shelf {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Retention drops what lies below.
    pub(crate) fn drop_below(&self, channel: &str, first: u64) {
        let mut state = self.state();
        let channel = state.channels.get_mut(channel).unwrap();
        channel.first = first;
        channel.events.retain(|offset, _| *offset >= first);
    }

    /// A write that failed.
    pub(crate) fn lose(&self, channel: &str, offset: u64) {
        self.state().channels.get_mut(channel).unwrap().events.remove(&offset);
    }

    /// The numbering goes on under a new epoch, behind what was kept of the old one.
    pub(crate) fn new_epoch(&self, channel: &str, kept: u64) {
        let mut state = self.state();
        let channel = state.channels.get_mut(channel).unwrap();
        channel.kept.push((channel.epoch, kept));
        channel.epoch = Epoch(channel.epoch.0 + 1);
        channel.last = kept;
        channel.events.retain(|offset, _| *offset <= kept);
    }
}

fn epoch_of(channel: &ChannelName) -> Epoch {
    Epoch(channel.as_str().bytes().fold(1, |sum, byte| sum * 131 + u64::from(byte)) << 8)
}

impl Engine for Shelf {
    fn start(&self, committed: Committed) {
        assert!(self.committed.set(committed).is_ok());
    }

    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError> {
        let mut state = self.state();
        let mut events = Vec::new();
        for draft in batch {
            let name = draft.channel.clone();
            let channel = state.channels.entry(name.clone()).or_insert_with(|| Channel {
                epoch: epoch_of(&name),
                first: 1,
                last: 0,
                events: BTreeMap::new(),
                kept: Vec::new(),
            });
            channel.last += 1;
            let position = Position { epoch: channel.epoch, offset: channel.last };
            let event = Arc::new(Event::new(draft, position, Uuid::nil()));
            channel.events.insert(channel.last, event.clone());
            events.push(event);
        }
        let positions = events.iter().map(|event| event.position).collect();
        self.committed.get().unwrap()(events);
        Ok(Ack::ready(Ok(positions)))
    }

    fn has_history(&self) -> bool {
        true
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Stored, EngineError> {
        let mut state = self.state();
        state.reads += 1;
        if state.failing {
            return Err(EngineError::Busy("the disk is on holiday".into()));
        }
        let Some(channel) = state.channels.get(channel) else { return Ok(Stored::Events { events: Vec::new(), next }) };
        if next < channel.first {
            return Ok(Stored::Expired { first: channel.first });
        }
        if next <= channel.last && !channel.events.contains_key(&next) {
            let to = channel.events.range(next..).next().map_or(channel.last, |(offset, _)| offset - 1);
            return Ok(Stored::Missing { to, reason: GapReason::Corruption });
        }
        let run = channel.events.range(next..).zip(next..).take_while(|((offset, _), expected)| *offset == expected);
        let events: Vec<_> = run.take(limit.events.max(1)).map(|((_, event), _)| event.clone()).collect();
        let next = next + events.len() as u64;
        Ok(Stored::Events { events, next })
    }

    fn within(
        &self,
        channel: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        let mut state = self.state();
        state.reads += 1;
        if state.failing {
            return Err(EngineError::Busy("the disk is on holiday".into()));
        }
        let Some(channel) = state.channels.get(channel) else { return Ok(1..1) };
        let fits = |event: &Event| {
            since.is_none_or(|since| event.time >= since) && until.is_none_or(|until| event.time <= until)
        };
        let mut found = channel.events.iter().filter(|(_, event)| fits(event)).map(|(offset, _)| *offset);
        let Some(first) = found.next() else { return Ok(channel.last + 1..channel.last + 1) };
        Ok(first..found.next_back().unwrap_or(first) + 1)
    }

    fn kept(&self, channel: &ChannelName, epoch: Epoch) -> Option<u64> {
        let state = self.state();
        let Some(channel) = state.channels.get(channel) else { return (epoch == epoch_of(channel)).then_some(0) };
        if epoch == channel.epoch {
            return Some(channel.last);
        }
        channel.kept.iter().find(|(earlier, _)| *earlier == epoch).map(|(_, kept)| *kept)
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        let state = self.state();
        let known = state.channels.get(channel);
        let (epoch, first, last) = known.map_or((epoch_of(channel), 1, 0), |c| (c.epoch, c.first, c.last));
        Ok(Head { name: channel.clone(), epoch, first: first.min(last + 1), last })
    }

    fn heads(&self) -> Vec<Head> {
        let names: Vec<_> = self.state().channels.keys().cloned().collect();
        names.iter().map(|name| self.open(name).unwrap()).collect()
    }
}

/// A router over an engine, and its followers.
pub(crate) struct World {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) router: Arc<Router>,
    pub(crate) followers: Arc<Followers>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl World {
    /// With a store below logs of this many events.
    pub(crate) fn stored(channel_events: usize) -> Self {
        let shelf = Arc::new(Shelf::default());
        Self::over(shelf.clone(), shelf, LogLimits { channel_events, ..LogLimits::default() })
    }

    /// Without a store.
    pub(crate) fn forgetful(limits: LogLimits) -> Self {
        Self::over(Arc::new(MemoryEngine::new(10_000)), Arc::default(), limits)
    }

    /// The next life of the daemon, over the same store.
    pub(crate) fn restarted(self) -> Self {
        let old = self.shelf;
        let shelf = Arc::new(Shelf { committed: OnceLock::new(), state: Mutex::new(std::mem::take(&mut old.state())) });
        Self::over(shelf.clone(), shelf, LogLimits::default())
    }

    fn over(engine: Arc<dyn Engine>, shelf: Arc<Shelf>, limits: LogLimits) -> Self {
        let router = Router::new(engine, limits);
        let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
        let followers = Followers::start(&router, &tasks, cancel.clone());
        Self { shelf, router, followers, cancel, tasks }
    }

    /// As many events on one channel, in one batch; gives the last position.
    pub(crate) fn publish(&self, channel: &str, count: usize) -> Position {
        let batch = vec![draft(channel); count];
        *self.router.publish(batch).unwrap().wait().unwrap().last().unwrap()
    }

    pub(crate) fn publish_one(&self, draft: Draft) -> Position {
        self.router.publish(vec![draft]).unwrap().wait().unwrap()[0]
    }

    pub(crate) fn follow(&self, channels: &[&str], from: From) -> Reader {
        self.follow_as(channels, from, |_| {})
    }

    pub(crate) fn follow_as(&self, channels: &[&str], from: From, change: impl FnOnce(&mut Follow)) -> Reader {
        let mut follow = follow(channels, from);
        change(&mut follow);
        Reader::new(self.followers.follow(follow).unwrap())
    }
}

pub(crate) fn follow(channels: &[&str], from: From) -> Follow {
    Follow {
        channels: channels.iter().map(|text| ChannelPattern::parse(text).unwrap()).collect(),
        filter: Filter::default(),
        from: Box::new(move |_| from),
        lag: Lag::Store,
        until: Until::Forever,
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

pub(crate) fn draft(channel: &str) -> Draft {
    sized(channel, 1)
}

pub(crate) fn sized(channel: &str, size: usize) -> Draft {
    let data = Payload::new(Bytes::from(format!("\"{}\"", "x".repeat(size)))).unwrap();
    Draft::new(name(channel), "tested", "test", data)
}

/// A draft that was observed then.
pub(crate) fn at(channel: &str, seconds: i64) -> Draft {
    Draft { time: time(seconds), ..draft(channel) }
}

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

/// A follower, and what it has been given.
pub(crate) struct Reader {
    pub(crate) follower: Follower,
    /// In the order in which it came, as `a1` for the event and `a[1-3 retention]` for a gap.
    pub(crate) seen: Vec<String>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) pages: Vec<usize>,
}

impl Reader {
    pub(crate) fn new(follower: Follower) -> Self {
        Self { follower, seen: Vec::new(), gaps: Vec::new(), pages: Vec::new() }
    }

    /// One page more; `false` at the end.
    pub(crate) async fn page(&mut self) -> bool {
        let page = tokio::time::timeout(PATIENCE, self.follower.next()).await;
        let Some(page) = page.unwrap_or_else(|_| panic!("nothing came behind {:?}", self.seen.last())) else {
            return false;
        };
        assert!(!page.items.is_empty(), "a page of nothing");
        self.pages.push(page.items.len());
        for item in page.items {
            self.seen.push(match item {
                Item::Event(event) => format!("{}{}", event.channel, event.position.offset),
                Item::Gap(gap) => {
                    let text = format!("{}[{}-{} {}]", gap.channel, gap.from.offset, gap.to, gap.reason);
                    self.gaps.push(gap);
                    text
                }
            });
        }
        true
    }

    /// Reads until this many items have come.
    pub(crate) async fn until(&mut self, count: usize) -> &[String] {
        while self.seen.len() < count {
            assert!(self.page().await, "it ended after {} of {count}", self.seen.len());
        }
        assert_eq!(self.seen.len(), count, "more came than was meant: {:?}", &self.seen[count.min(self.seen.len())..]);
        &self.seen
    }

    /// Reads until it ends.
    pub(crate) async fn rest(&mut self) -> &[String] {
        while self.page().await {}
        &self.seen
    }

    /// Whether it has nothing to give at the moment: asked often enough for every task to have had its turn.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        for _ in 0..50 {
            let next = self.follower.next();
            tokio::select! {
                biased;
                _ = next => return false,
                () = tokio::task::yield_now() => {}
            }
        }
        true
    }

    pub(crate) fn position(&self, channel: &str) -> Option<Position> {
        let positions = self.follower.positions();
        positions.into_iter().find(|(name, _)| name.as_str() == channel).map(|(_, position)| position)
    }
}

/// `a1 a2 …` up to the last offset.
pub(crate) fn run(channel: &str, offsets: impl IntoIterator<Item = u64>) -> Vec<String> {
    offsets.into_iter().map(|offset| format!("{channel}{offset}")).collect()
}
