//! The seam: what the router asks of an engine, and what an engine must guarantee in return. The router calls it,
//! [`crate::MemoryEngine`] implements it, [`crate::conformance`] checks the promises.

use crate::{Ack, EngineError};
use headwater_event::{ChannelName, Draft, Epoch, Event, GapReason, Timestamp};
use std::{ops::Range, sync::Arc};

/// Where events go the moment they have positions. It is quick (no disk, no network, no waiting for a reader) and never
/// calls the engine back; so an engine may call it with its own lock held.
pub type Committed = Box<dyn Fn(Vec<Arc<Event>>) + Send + Sync>;

/// Assigns positions and keeps history.
///
/// # What an implementation guarantees
/// 1. **Positions.** Within a channel and epoch offsets rise by 1 and never repeat, across all publishers and threads; a
///    channel's first epoch starts at 1. Events of one batch that name the same channel keep their order. An event keeps
///    its position: what is read back has the one that was handed back, so that a page may hold events of earlier epochs.
/// 2. **Hand-back.** Each event that gets a position goes to `committed` exactly once, and within a channel in the order
///    of offsets: a call with offset 8 has returned before one with offset 9 begins, or both are in one call in this
///    order. Calls for different channels may overlap. The order between channels means nothing.
/// 3. **All or nothing.** A batch that is refused (an `Err` of [`Engine::publish`]) leaves nothing: no offset is used up,
///    nothing is handed back, nothing is stored.
/// 4. **Acks.** [`Engine::publish`] does not wait for a disk. An engine that acknowledges later returns [`Ack::pending`]
///    and completes it when the configured durability is reached. Hand-back comes before the ack and need not wait for
///    it: a live reader may see an event that a crash then loses, a publisher never has an ack for such an event. When
///    writing fails after hand-back the ack is an error and the event stays in the live stream.
/// 5. **Epochs.** Random, at least 64 bits of entropy between any two channels and any two lives: an engine without a
///    store draws new ones at each start. An engine with a store keeps a channel's epoch with the store, and draws a new
///    one whenever it cannot prove that no offset would be used twice (a store that was lost, repaired or restored, or
///    the process that was killed before it had written all that readers had seen). Such an epoch may go on with the
///    offsets of the one before it; [`Engine::kept`] then says how far the old one still holds.
/// 6. **Reads see hand-backs.** What was handed back can be read until retention drops it; an engine that writes in
///    batches serves the rest from memory, or writes first.
/// 7. **Retention** drops the oldest of a channel only, so that it makes no hole. It never touches a channel's epoch or
///    its last offset. A hole is only where writing failed, and [`Page::Missing`] names it.
///
/// Every method may be called from any thread. [`Engine::publish`], [`Engine::open`], [`Engine::kept`] and
/// [`Engine::heads`] are quick; the others may block on a disk, so callers on a runtime move them to a blocking thread.
pub trait Engine: Send + Sync + 'static {
    /// Opens the gate; called once, before any publish.
    ///
    /// # Panics
    /// When it is called a second time.
    fn start(&self, committed: Committed);

    /// Gives every draft its position, hands the events back and acknowledges, all in the order of the batch. An empty
    /// batch is acknowledged with no position.
    fn publish(&self, batch: Vec<Draft>) -> Result<Ack, EngineError>;

    /// Whether there is a store, so that [`Engine::read`] gives what memory no longer holds. It speaks of the engine; a
    /// channel may yet be one that is not stored.
    fn has_history(&self) -> bool;

    /// History by offset, ascending, from `next` on.
    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError>;

    /// History by offset, descending, from the one below `before` on. [`Page::Events`] then holds the events newest first,
    /// and its `next` is the `before` of the next page. A `before` far above the last event begins at the last. Below the
    /// first event of all the page is empty; below the first one that is kept it is [`Page::Expired`]. Without a store:
    /// nothing.
    fn read_back(&self, channel: &ChannelName, before: u64, limit: PageLimit) -> Result<Page, EngineError> {
        let _ = (before, limit);
        Ok(Page::Expired { first: self.open(channel)?.last + 1 })
    }

    /// The smallest range of offsets that holds every stored event observed from `since` to `until`, both included and
    /// each open where it is `None`. Clocks do not order events, so that others may lie between. Empty, at the end, where
    /// there is none.
    fn within(
        &self,
        channel: &ChannelName,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Range<u64>, EngineError> {
        let _ = (since, until);
        let end = self.open(channel)?.last + 1;
        Ok(end..end)
    }

    /// The last offset of an earlier epoch of this channel that still means the same event in the channel's present
    /// numbering: who has read that epoch to there, or less far, goes on at the next offset and misses nothing. `None` for
    /// an epoch of which nothing is known.
    fn kept(&self, channel: &ChannelName, epoch: Epoch) -> Option<u64> {
        self.open(channel).ok().filter(|head| head.epoch == epoch).map(|head| head.last)
    }

    /// The last event of each channel and key that is retained, so that snapshots survive a restart. Asked once, before
    /// the start.
    fn retained(&self) -> Result<Vec<Arc<Event>>, EngineError> {
        Ok(Vec::new())
    }

    /// The head of one channel, also of one that has never had an event: its first event will carry this epoch, if it
    /// comes in this life of the engine. This is how a subscriber has a position before the first event. Asking for a
    /// name costs the engine no memory.
    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError>;

    /// Every channel that ever had an event, as far as the store knows.
    fn heads(&self) -> Vec<Head>;
}

/// How far a channel goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The channel.
    pub name: ChannelName,
    /// Its epoch.
    pub epoch: Epoch,
    /// The first offset that [`Engine::read`] can give; `last + 1` where there is none.
    pub first: u64,
    /// The last offset that was handed back; 0 before the first event.
    pub last: u64,
}

/// How much one page may hold. Whatever it says, a page that is not at the end holds at least one event: a reader that
/// got none would never move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// At most this many events.
    pub events: usize,
    /// At most this many bytes of payload.
    pub bytes: usize,
}

/// 1,000 events or 256 KiB: one reader's page neither blocks the store for long nor holds much memory.
impl Default for PageLimit {
    fn default() -> Self {
        Self { events: 1_000, bytes: 256 * 1024 }
    }
}

/// What [`Engine::read`] found.
#[derive(Clone, Debug)]
pub enum Page {
    /// Offsets `next_asked..next` without a hole. Empty, with `next` as it was asked, when that lies behind the last.
    Events {
        /// In the order of offsets.
        events: Vec<Arc<Event>>,
        /// Where the next page begins.
        next: u64,
    },
    /// Retention has dropped the offset that was asked for, or it was never stored.
    Expired {
        /// The first offset that can be had from here; one behind the last where the store holds none.
        first: u64,
    },
    /// The offsets from the one asked for to `to` were given out, but could not be kept.
    Missing {
        /// The last one missing; the next page begins behind it (before it, when reading back).
        to: u64,
        /// Why.
        reason: GapReason,
    },
}
