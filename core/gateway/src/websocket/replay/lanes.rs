//! The events of a replay: a lane for each channel with a little read ahead, merged by the time of the events. Each
//! channel keeps the order of its offsets, also where its clock went back.

use headwater_event::{ChannelName, Event, Gap, GapReason, Position, Timestamp};
use headwater_filter::Filter;
use headwater_router::{ChannelLog, EngineError, PageLimit, Paged, Read, Router};
use std::{collections::VecDeque, ops::Range, sync::Arc};

/// What all lanes together read ahead: half a second of a busy bus, and little for one that waits.
const AHEAD: PageLimit = PageLimit { events: 512, bytes: 128 * 1024 };
/// One lane reads at least this many ahead: a read of the store for each event would be slow.
const LEAST: usize = 8;
/// How many pages are looked through in one read for an event that is wanted.
const PAGES: usize = 16;

/// Which events of its channels a replay has.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) filter: Filter,
    /// Not before this time.
    pub(super) since: Timestamp,
    /// Before this time, where the replay ends with it. One that goes on live leaves none out that its channel holds
    /// before its end.
    pub(super) until: Option<Timestamp>,
}

impl Wanted {
    fn fits(&self, event: &Event) -> bool {
        event.time >= self.since && self.until.is_none_or(|until| event.time < until) && self.filter.matches(event)
    }
}

/// One channel.
struct Lane {
    log: Arc<ChannelLog>,
    /// Where it reads next.
    next: u64,
    /// Below this offset lies what is replayed.
    end: u64,
    ahead: VecDeque<Arc<Event>>,
    /// What it will not get, before the events that are ahead.
    gaps: Vec<Gap>,
}

/// All channels of a replay.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
}

/// What comes next.
pub(super) enum Next {
    Gap(Gap),
    Event(Arc<Event>),
    /// Some lane has to be read before that is known.
    Unknown,
    /// Nothing.
    End,
}

/// What a lane asks a thread that may block for.
pub(super) struct Asked {
    lane: usize,
    log: Arc<ChannelLog>,
    range: Range<u64>,
    limit: PageLimit,
    wanted: Wanted,
}

/// What it gets.
pub(super) struct Given {
    lane: usize,
    next: u64,
    events: Vec<Arc<Event>>,
    gap: Option<Gap>,
}

impl Lanes {
    /// The lanes of these channels, for the events of a span of time. May block on a disk.
    pub(super) fn find(
        router: &Router,
        logs: Vec<Arc<ChannelLog>>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, EngineError> {
        let mut lanes = Vec::with_capacity(logs.len());
        for log in logs {
            // `until` does not belong to it.
            let mut range = router.within(&log, Some(since), Some(Timestamp(until.0.saturating_sub(1))))?;
            if range.is_empty() {
                // What comes later than the span is not a part of it, but of what may follow it.
                let end = router.within(&log, Some(since), None)?.start;
                range = end..end;
            }
            lanes.push(Lane { log, next: range.start, end: range.end, ahead: VecDeque::new(), gaps: Vec::new() });
        }
        Ok(Self { lanes })
    }

    /// What comes next; it stays there.
    pub(super) fn next(&self) -> Next {
        if self.lanes.iter().any(Lane::is_hungry) {
            return Next::Unknown;
        }
        if let Some(gap) = self.lanes.iter().find_map(|lane| lane.gaps.first()) {
            return Next::Gap(gap.clone());
        }
        self.first()
            .and_then(|lane| self.lanes[lane].ahead.front())
            .map_or(Next::End, |event| Next::Event(event.clone()))
    }

    /// What came next has been sent.
    pub(super) fn pass(&mut self) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| !lane.gaps.is_empty()) {
            lane.gaps.remove(0);
        } else if let Some(first) = self.first() {
            self.lanes[first].ahead.pop_front();
        }
    }

    /// Where each channel goes on: everything before has been sent, or was not wanted.
    pub(super) fn positions(&self) -> Vec<(ChannelName, Position)> {
        let place = |lane: &Lane| lane.ahead.front().map_or(lane.next, |event| event.position.offset);
        let position = |lane: &Lane| Position { epoch: lane.log.epoch(), offset: place(lane) - 1 };
        self.lanes.iter().map(|lane| (lane.log.name().clone(), position(lane))).collect()
    }

    /// What has to be read.
    pub(super) fn asked(&self, wanted: &Wanted) -> Vec<Asked> {
        let share = self.lanes.len().max(1);
        let limit = PageLimit { events: (AHEAD.events / share).max(LEAST), bytes: AHEAD.bytes / share };
        let hungry = self.lanes.iter().enumerate().filter(|(_, lane)| lane.is_hungry());
        hungry
            .map(|(index, lane)| {
                let (log, range, wanted) = (lane.log.clone(), lane.next..lane.end, wanted.clone());
                Asked { lane: index, log, range, limit, wanted }
            })
            .collect()
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, given: Vec<Given>) {
        for Given { lane, next, events, gap } in given {
            let lane = &mut self.lanes[lane];
            lane.next = next;
            lane.ahead.extend(events);
            lane.gaps.extend(gap);
        }
    }

    /// The lane whose next event is the oldest.
    fn first(&self) -> Option<usize> {
        let fronts = self.lanes.iter().enumerate().filter_map(|(index, lane)| Some((index, lane.ahead.front()?)));
        fronts.min_by(|(_, a), (_, b)| (a.time, &a.channel).cmp(&(b.time, &b.channel))).map(|(index, _)| index)
    }
}

impl Lane {
    fn is_hungry(&self) -> bool {
        self.ahead.is_empty() && self.gaps.is_empty() && self.next < self.end
    }
}

impl Asked {
    /// Reads on to the first page with an event that is wanted, or gives up for now after some. Blocks on a disk.
    pub(super) fn read(mut self, router: &Router) -> Given {
        let mut given = self.page(router);
        for _ in 1..PAGES {
            if !given.events.is_empty() || given.gap.is_some() || given.next >= self.range.end {
                break;
            }
            self.range.start = given.next;
            given = self.page(router);
        }
        given
    }

    /// Reads a page. A store that cannot be read leaves a gap up to what memory holds.
    fn page(&self, router: &Router) -> Given {
        let Self { lane, log, range, limit, wanted } = self;
        let mut events = Vec::new();
        let (next, gap) = match log.read(range.start, *limit, &mut events) {
            Read::Ok { next } => (next, None),
            Read::Behind { .. } => match router.page(log, range.start, *limit) {
                Ok(Paged::Events { events: stored, next }) => {
                    events = stored;
                    (next, None)
                }
                Ok(Paged::Gap { next, gap }) => (next, Some(gap)),
                Err(error) => {
                    tracing::warn!(channel = %log.name(), %error, "a replay goes on without what the store has");
                    let next = log.tail().max(range.start + 1);
                    let from = Position { epoch: log.epoch(), offset: range.start };
                    let reason = GapReason::Corruption;
                    (next, Some(Gap { channel: log.name().clone(), from, to: next - 1, reason }))
                }
            },
        };
        let next = next.min(range.end);
        let gap = gap.map(|gap| Gap { to: gap.to.min(range.end - 1), ..gap });
        events.retain(|event| event.position.offset < range.end && wanted.fits(event));
        Given { lane: *lane, next, events, gap }
    }
}
