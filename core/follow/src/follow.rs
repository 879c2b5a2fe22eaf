//! What a reader asks for and what it is given, as values.

use headwater_event::{ChannelName, ChannelPattern, Event, Gap, Timestamp};
use headwater_filter::Filter;
use headwater_router::{From, RouterError};
use std::{fmt, sync::Arc};

/// What to follow, and how.
pub struct Follow {
    /// Names and patterns; a channel that several of them mean is read once. A pattern also means channels that come to
    /// be later.
    pub channels: Vec<ChannelPattern>,
    /// Which of their events.
    pub filter: Filter,
    /// Where each channel begins. A channel that comes to be later is read from its first event, unless a position is
    /// given for it: of the past that it means nothing is left out silently.
    pub from: Box<dyn Fn(&ChannelName) -> From + Send + Sync>,
    /// What happens when the reader falls off a log.
    pub lag: Lag,
    /// When it ends.
    pub until: Until,
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, filter, lag, until, .. } = self;
        f.debug_struct("Follow")
            .field("channels", channels)
            .field("filter", filter)
            .field("lag", lag)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// What happens when a reader falls off a log that it had been in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// What it missed is read from the store; without one, a gap.
    Store,
    /// It is told the gap and goes on with what memory holds.
    Gap,
}

/// When a reader ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Not by itself.
    Forever,
    /// With the last event that there is now.
    Heads,
    /// With the last event that is there at this time; what was observed later does not come.
    Time(Timestamp),
}

/// What a reader is given.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event.
    Event(Arc<Event>),
    /// Events that it will not get.
    Gap(Gap),
}

/// At most 1,000 events; one of them at most goes beyond 256 KiB of payload. Within a channel in the order of offsets;
/// between channels the order means nothing.
#[derive(Clone, Debug)]
pub struct Page {
    /// Never empty.
    pub items: Vec<Item>,
}

/// Why a reader cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// It comes from another daemon, or is invented.
    #[error("the position is ahead of channel `{channel}`, which stands at {head}; begin with \"latest\"")]
    Ahead {
        /// The channel.
        channel: ChannelName,
        /// The last offset there is.
        head: u64,
    },
    /// A channel that cannot be had, or an engine that cannot be asked.
    #[error(transparent)]
    Router(#[from] RouterError),
}
