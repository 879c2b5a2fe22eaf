//! One channel of one follower: where it stands, and the step by which it reads from the log. What lies below the log is
//! read by an errand.

use crate::{Item, Lag};
use headwater_event::{ChannelName, Epoch, Event, Gap, GapReason, Position, Timestamp};
use headwater_router::{Attach, ChannelLog, EngineError, From, PageLimit, Paged, Read, Router};
use std::{ops::Range, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a store that fails is asked again, before what it holds is told as a gap.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first wait for a store that failed, and the longest.
const WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A place in a channel.
#[derive(Debug)]
pub(crate) struct Cursor {
    log: Arc<ChannelLog>,
    /// Of the numbering that `next` is in.
    epoch: Epoch,
    next: u64,
    /// Where it ends, exclusive.
    end: Option<u64>,
    /// A gap to be told before anything else.
    notice: Option<Gap>,
    /// A span of time that is not looked up yet; `next` and `end` mean nothing before.
    span: Option<Span>,
    /// Whether it has been inside the log.
    held: bool,
    /// Since when the store has failed, and how long to wait now.
    trouble: Option<(Instant, Duration)>,
    /// Whether it stands in one of the follower's queues.
    pub(crate) queued: bool,
}

/// What has to be looked up before a cursor knows its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Begin with the first event observed then or later.
    pub(crate) since: Option<Timestamp>,
    /// End behind the last event observed then or before.
    pub(crate) until: Option<Timestamp>,
}

/// What one look at the log came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It moved, or told a gap; there may be more.
    More,
    /// There is nothing new.
    Idle,
    /// What comes next is not in memory.
    Store,
    /// It stands at its end.
    Done,
}

/// What an errand to the store brings.
#[derive(Debug)]
pub(crate) enum Found {
    Range(Range<u64>),
    Page(Paged),
}

/// A question to the store.
#[derive(Debug)]
pub(crate) enum Question {
    Within(Span),
    Page { next: u64, limit: PageLimit },
}

impl Question {
    /// Asks. Blocks.
    pub(crate) fn ask(self, router: &Router, log: &ChannelLog) -> Result<Found, EngineError> {
        match self {
            Self::Within(Span { since, until }) => router.within(log, since, until).map(Found::Range),
            Self::Page { next, limit } => router.page(log, next, limit).map(Found::Page),
        }
    }
}

impl Cursor {
    /// At this place of a channel. `Err`: the position lies ahead of the head, which is given.
    pub(crate) fn attach(
        router: &Router,
        log: Arc<ChannelLog>,
        from: From,
        until: Option<Timestamp>,
    ) -> Result<Result<Self, u64>, EngineError> {
        // The epoch first: should it change in between, the first step sees it.
        let epoch = log.epoch();
        let mut span = until.map(|until| Span { since: None, until: Some(until) });
        let (next, notice) = if let From::Since(since) = from {
            span = Some(Span { since: Some(since), until });
            // Whenever it is looked up: what comes from now on comes.
            (log.head() + 1, None)
        } else {
            match router.attach(&log, &from)? {
                Attach::At(next) => (next, None),
                Attach::Gap { next, gap } => (next, Some(gap)),
                Attach::Ahead { head } => return Ok(Err(head)),
            }
        };
        Ok(Ok(Self { log, epoch, next, end: None, notice, span, held: false, trouble: None, queued: false }))
    }

    pub(crate) fn log(&self) -> &Arc<ChannelLog> {
        &self.log
    }

    /// It ends with what there is now.
    pub(crate) fn end_at_head(&mut self) {
        let end = self.log.head() + 1;
        self.end = Some(self.end.map_or(end, |earlier| earlier.min(end)));
    }

    /// How far the reader has come; `None` while that is unknown, or a gap is still to be told.
    pub(crate) fn position(&self) -> Option<(ChannelName, Position)> {
        let known = self.span.is_none_or(|span| span.since.is_none()) && self.notice.is_none();
        let position = Position { epoch: self.epoch, offset: self.next - 1 };
        known.then(|| (self.log.name().clone(), position))
    }

    /// Reads from the log.
    pub(crate) fn step(
        &mut self,
        router: &Router,
        lag: Lag,
        limit: PageLimit,
        events: &mut Vec<Arc<Event>>,
        items: &mut Vec<Item>,
    ) -> Step {
        if let Some(gap) = self.notice.take() {
            items.push(Item::Gap(gap));
            return Step::More;
        }
        if self.span.is_some() {
            return Step::Store;
        }
        if self.is_done() {
            return Step::Done;
        }
        if self.log.epoch() != self.epoch {
            return self.renumber(router);
        }
        let from = events.len();
        match self.log.read(self.next, limit, events) {
            Read::Ok { .. } if events.get(from).is_some_and(|event| event.position.epoch != self.epoch) => {
                events.truncate(from);
                self.renumber(router)
            }
            Read::Ok { next } => {
                self.held = true;
                if let Some(end) = self.end.filter(|end| next > *end) {
                    events.truncate(events.len() - (next - end) as usize);
                }
                let moved = next > self.next;
                self.go_on(next);
                if moved { Step::More } else { Step::Idle }
            }
            Read::Behind { tail } if !router.has_history() || (lag == Lag::Gap && self.held) => {
                self.skip(tail, GapReason::SlowConsumer, items);
                Step::More
            }
            Read::Behind { .. } => Step::Store,
        }
    }

    /// What the store has to be asked.
    pub(crate) fn question(&self, limit: PageLimit) -> Question {
        match self.span {
            Some(span) => Question::Within(span),
            None => Question::Page { next: self.next, limit },
        }
    }

    /// Takes what the store said.
    pub(crate) fn take(&mut self, found: Found, events: &mut Vec<Arc<Event>>, items: &mut Vec<Item>) {
        self.trouble = None;
        match found {
            Found::Range(range) => self.look_up(&range),
            Found::Page(Paged::Events { events: page, next }) => {
                let end = self.end.unwrap_or(u64::MAX);
                events.extend(page.into_iter().filter(|event| event.position.offset < end));
                self.go_on(next);
            }
            Found::Page(Paged::Gap { next, mut gap }) => {
                gap.to = gap.to.min(self.end.unwrap_or(u64::MAX) - 1);
                items.push(Item::Gap(gap));
                self.go_on(next);
            }
        }
    }

    /// The store could not say it. Gives when to ask again, or tells a gap and goes on in memory.
    pub(crate) fn fail(&mut self, error: &EngineError, items: &mut Vec<Item>) -> Option<Instant> {
        let now = Instant::now();
        let (since, wait) = self.trouble.unwrap_or((now, WAIT));
        if self.trouble.is_none() {
            tracing::warn!(channel = %self.log.name(), %error, "cannot read from the store; asking again");
        }
        if matches!(error, EngineError::Refused(_)) || now.duration_since(since) >= PATIENCE {
            self.trouble = None;
            if self.span.take().is_some_and(|span| span.since.is_some()) {
                // Anything may have been meant.
                self.next = 1;
            }
            let tail = self.log.tail();
            tracing::warn!(channel = %self.log.name(), %error, "cannot read from the store; readers are told a gap");
            self.skip(tail, GapReason::Corruption, items);
            return None;
        }
        self.trouble = Some((since, (wait * 2).min(LONGEST_WAIT)));
        Some(now + wait)
    }

    fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    fn look_up(&mut self, range: &Range<u64>) {
        let Some(span) = self.span.take() else { return };
        if span.since.is_some() {
            self.next = range.start.min(self.next);
        }
        if span.until.is_some() {
            self.end = Some(self.end.map_or(range.end, |end| end.min(range.end)));
            if range.is_empty() {
                self.end = Some(self.next);
            }
        }
    }

    /// The channel's numbering has begun anew since.
    fn renumber(&mut self, router: &Router) -> Step {
        let epoch = self.log.epoch();
        let from = From::After(Position { epoch: self.epoch, offset: self.next - 1 });
        let channel = self.log.name().clone();
        match router.attach(&self.log, &from) {
            Ok(Attach::At(next)) => self.next = next,
            Ok(Attach::Gap { next, gap }) => {
                (self.next, self.notice) = (next, Some(gap));
            }
            Ok(Attach::Ahead { head }) => self.next = head + 1,
            // Nobody can say how the two belong together just now.
            Err(_) => {
                let tail = self.log.tail();
                let from = Position { epoch, offset: 1 };
                self.notice = Some(Gap { channel, from, to: tail - 1, reason: GapReason::EpochChange });
                self.next = tail;
            }
        }
        // What it was to end with may not be there any more.
        if self.end.is_some() {
            self.end_at_head();
        }
        self.epoch = epoch;
        self.held = false;
        Step::More
    }

    fn skip(&mut self, to: u64, reason: GapReason, items: &mut Vec<Item>) {
        let to = to.min(self.end.unwrap_or(u64::MAX));
        if to > self.next {
            let from = Position { epoch: self.epoch, offset: self.next };
            items.push(Item::Gap(Gap { channel: self.log.name().clone(), from, to: to - 1, reason }));
            self.next = to;
        }
    }

    fn go_on(&mut self, next: u64) {
        self.next = next.min(self.end.unwrap_or(u64::MAX)).max(self.next);
    }
}
