//! What a position means: against the ring, against the store below it, and across the epochs of a channel. The one place
//! that decides it, for subscriptions, pull readers and questions about the past. It holds no cursor; readers do.

use crate::{ChannelLog, EngineError, Page, PageLimit, Router};
use headwater_event::{ChannelName, Epoch, Event, Gap, GapReason, Position, Timestamp};
use std::{ops::Range, sync::Arc};

/// Where a reader wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the next event.
    Latest,
    /// With the first one that the log holds in memory.
    Held,
    /// With the oldest that can be had, from the store where there is one.
    Earliest,
    /// With the one after this position: a resume. Offset 0 stands before the first event.
    After(Position),
    /// With the first event that was observed then or later. Of those that are kept: what retention took is not told,
    /// since nobody knows any more when it was observed.
    Since(Timestamp),
}

/// Where a reader begins. `next` is always the offset of the first event to read: from the log, or, where that is below
/// its tail, from [`Router::page`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The cursor stands here and nothing is missing.
    At(u64),
    /// The reader is told this gap first.
    Gap {
        /// Where it goes on.
        next: u64,
        /// What it will not get.
        gap: Gap,
    },
    /// Refused: the position lies ahead of the channel. It comes from another daemon, or is invented.
    Ahead {
        /// The last offset there is.
        head: u64,
    },
}

/// A page from the store.
#[derive(Clone, Debug)]
pub enum Paged {
    /// Offsets `next_asked..next` without a hole; their epochs may be earlier ones of the channel. Empty where the log
    /// holds what was asked for.
    Events {
        /// In the order of offsets.
        events: Vec<Arc<Event>>,
        /// Where to read next.
        next: u64,
    },
    /// These do not come; the reader is told, and goes on at `next`.
    Gap {
        /// Where it goes on.
        next: u64,
        /// What it will not get.
        gap: Gap,
    },
}

/// One channel's numbering and what of it can be had.
#[derive(Clone, Copy, Debug)]
struct Reach<'a> {
    channel: &'a ChannelName,
    epoch: Epoch,
    oldest: u64,
    head: u64,
}

impl Router {
    /// Whether there is a store below the logs. Without one, what leaves a log is gone.
    pub fn has_history(&self) -> bool {
        self.engine.has_history()
    }

    /// Where a reader begins. Watch the channel first ([`crate::Inbox::watch`]): an event between the two then comes
    /// twice, and the second one is known by its offset; the other way round it would be lost.
    ///
    /// Quick, but for [`From::Since`], which may block on a disk.
    pub fn attach(&self, log: &ChannelLog, from: &From) -> Result<Attach, EngineError> {
        let (epoch, tail, head) = log.bounds();
        let after = match *from {
            From::Latest => return Ok(Attach::At(head + 1)),
            From::Held => return Ok(Attach::At(tail)),
            From::Earliest => return Ok(Attach::At(self.oldest(log, tail)?)),
            From::Since(since) => return Ok(Attach::At(self.within(log, Some(since), None)?.start)),
            From::After(position) => position,
        };
        if after.epoch == epoch && (tail..=head + 1).contains(&after.offset.saturating_add(1)) {
            return Ok(Attach::At(after.offset + 1));
        }
        let kept = if after.epoch == epoch { Some(head) } else { self.engine.kept(log.name(), after.epoch) };
        let reach = Reach { channel: log.name(), epoch, oldest: self.oldest(log, tail)?, head };
        Ok(reach.after(after, kept))
    }

    /// A page below the log, from the store. May block on a disk.
    pub fn page(&self, log: &ChannelLog, next: u64, limit: PageLimit) -> Result<Paged, EngineError> {
        let page = self.engine.read(log.name(), next, limit)?;
        // After the store: what had been dropped meanwhile is dropped here too.
        let (epoch, tail, _) = log.bounds();
        // What the store has not got may be in memory, because it is not kept at all or could not be written.
        let (until, reason) = match page {
            Page::Events { events, next: then } if then > next || next >= tail => {
                return Ok(Paged::Events { events, next: then });
            }
            // The store knows nothing of what it gave out: it has lost it.
            Page::Events { .. } => (tail, GapReason::Corruption),
            Page::Expired { first } => (first.min(tail), GapReason::Retention),
            Page::Missing { to, reason } => ((to + 1).min(tail), reason),
        };
        if until <= next {
            return Ok(Paged::Events { events: Vec::new(), next });
        }
        let from = Position { epoch, offset: next };
        Ok(Paged::Gap { next: until, gap: Gap { channel: log.name().clone(), from, to: until - 1, reason } })
    }

    /// The same downwards: a page of what lies below `before`, newest first. Its `next` is the `before` of the next page.
    /// May block on a disk.
    pub fn page_back(&self, log: &ChannelLog, before: u64, limit: PageLimit) -> Result<Paged, EngineError> {
        let (next, reason) = match self.engine.read_back(log.name(), before, limit)? {
            Page::Events { events, next } if next < before => return Ok(Paged::Events { events, next }),
            // The store knows nothing below what it has.
            Page::Events { .. } | Page::Expired { .. } => (1, GapReason::Retention),
            Page::Missing { to, reason } => (to, reason),
        };
        if next >= before {
            return Ok(Paged::Events { events: Vec::new(), next: before });
        }
        let from = Position { epoch: log.bounds().0, offset: next };
        Ok(Paged::Gap { next, gap: Gap { channel: log.name().clone(), from, to: before - 1, reason } })
    }

    /// The smallest range of offsets that holds every event that can be had, observed from `since` to `until`, both
    /// included and each open where it is `None`. Clocks do not order events, so that others may lie between. Empty, at
    /// the end, where there is none. May block on a disk.
    pub fn within(
        &self,
        log: &ChannelLog,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        // Both, and the store first: what it does not keep, or not yet, is in memory.
        let stored = self.engine.within(log.name(), since, until)?;
        let held = log.within(since, until);
        Ok(match (stored.is_empty(), held.is_empty()) {
            (true, _) => held,
            (false, true) => stored,
            (false, false) => stored.start.min(held.start)..stored.end.max(held.end),
        })
    }

    /// The first offset that the store or the log has.
    fn oldest(&self, log: &ChannelLog, tail: u64) -> Result<u64, EngineError> {
        Ok(self.engine.open(log.name())?.first.min(tail))
    }
}

impl Reach<'_> {
    /// Behind a position. `kept` is the last offset of its epoch that still means the same event; `None` when nothing is
    /// known of that epoch.
    fn after(&self, position: Position, kept: Option<u64>) -> Attach {
        let Position { epoch, offset } = position;
        match kept {
            _ if epoch == self.epoch => self.from(offset),
            Some(kept) if offset <= kept => self.from(offset),
            // Read further than was kept: what the reader has seen since has no place in the numbering of now, and what
            // stands there it has not seen.
            Some(kept) => self.gap(kept + 1, kept + 1, GapReason::EpochChange),
            None => self.gap(1, self.oldest, GapReason::EpochChange),
        }
    }

    /// Behind an offset of the present numbering.
    fn from(&self, offset: u64) -> Attach {
        if offset > self.head {
            Attach::Ahead { head: self.head }
        } else if offset + 1 < self.oldest {
            self.gap(offset + 1, self.oldest, GapReason::Retention)
        } else {
            Attach::At(offset + 1)
        }
    }

    /// From `missing` to below `next`.
    fn gap(&self, missing: u64, next: u64, reason: GapReason) -> Attach {
        let from = Position { epoch: self.epoch, offset: missing };
        Attach::Gap { next, gap: Gap { channel: self.channel.clone(), from, to: next - 1, reason } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel in its epoch 1, and positions of it, of an earlier epoch of which all to 6 was kept, and of an unknown one.
    #[test]
    fn the_table() {
        const NOW: Epoch = Epoch(1);
        const EARLIER: Epoch = Epoch(2);
        const UNKNOWN: Epoch = Epoch(3);
        const RETENTION: GapReason = GapReason::Retention;
        const CHANGE: GapReason = GapReason::EpochChange;
        let channel = ChannelName::new("a").unwrap();
        let gap = |from, to, reason| {
            let from = Position { epoch: NOW, offset: from };
            Attach::Gap { next: to + 1, gap: Gap { channel: channel.clone(), from, to, reason } }
        };
        // position, oldest, head, answer
        for (epoch, offset, oldest, head, answer) in [
            (NOW, 0, 1, 0, Attach::At(1)),
            (NOW, 1, 1, 0, Attach::Ahead { head: 0 }),
            (NOW, 9, 5, 9, Attach::At(10)),
            (NOW, 10, 5, 9, Attach::Ahead { head: 9 }),
            (NOW, u64::MAX, 5, 9, Attach::Ahead { head: 9 }),
            (NOW, 4, 5, 9, Attach::At(5)),
            (NOW, 3, 5, 9, gap(4, 4, RETENTION)),
            (NOW, 0, 5, 9, gap(1, 4, RETENTION)),
            (NOW, 9, 10, 9, Attach::At(10)),
            (NOW, 8, 10, 9, gap(9, 9, RETENTION)),
            (EARLIER, 0, 1, 9, Attach::At(1)),
            (EARLIER, 5, 1, 9, Attach::At(6)),
            (EARLIER, 6, 1, 9, Attach::At(7)),
            (EARLIER, 7, 1, 9, gap(7, 6, CHANGE)),
            (EARLIER, u64::MAX, 1, 9, gap(7, 6, CHANGE)),
            (EARLIER, 7, 9, 9, gap(7, 6, CHANGE)),
            (EARLIER, 5, 9, 9, gap(6, 8, RETENTION)),
            (UNKNOWN, 0, 1, 9, gap(1, 0, CHANGE)),
            (UNKNOWN, 9, 5, 9, gap(1, 4, CHANGE)),
            (UNKNOWN, u64::MAX, 10, 9, gap(1, 9, CHANGE)),
        ] {
            let reach = Reach { channel: &channel, epoch: NOW, oldest, head };
            let kept = (epoch == EARLIER).then_some(6);
            assert_eq!(reach.after(Position { epoch, offset }, kept), answer, "{epoch}:{offset} on {oldest}..={head}");
        }
    }
}
