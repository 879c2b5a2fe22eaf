//! How the events of a subscription are delivered: the seeds' options, and what happens to a reader that falls behind.

use headwater_event::Severity;
use std::time::Duration;

/// The delivery options of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Send what the log still holds before live events.
    pub include_historical: bool,
    /// The least severity.
    pub filter_level: Option<Severity>,
    /// What to do when it falls behind. `None`: from the store where the daemon keeps history, else a gap.
    pub lag_policy: Option<LagPolicy>,
    /// How many events it may fall behind before the oldest are skipped. `None`: the lag policy alone rules.
    pub buffer_size: Option<usize>,
    /// How fast events come.
    pub pace: Pace,
    /// Types that wait for no throttle and no buffer, and are skipped last.
    pub priority_events: Vec<String>,
}

/// How fast events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As they happen.
    Realtime {
        /// At most one event of a channel and type in this time: the newest, at its end. Zero: every event.
        throttle: Duration,
    },
    /// Gathered, and sent together.
    Buffered {
        /// At the latest after this time.
        interval: Duration,
        /// At the latest when there are this many.
        size: usize,
    },
}

impl Pace {
    /// How long a buffered subscription gathers unless it says otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(5);
    /// How many events a buffered subscription gathers unless it says otherwise.
    pub const SIZE: usize = 50;
}

impl Default for Pace {
    fn default() -> Self {
        Self::Realtime { throttle: Duration::ZERO }
    }
}

/// What happens when a subscription falls so far behind that the log no longer holds its next event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LagPolicy {
    /// It is read from the store.
    Store,
    /// A `gap` notice, then on with the oldest event held.
    Gap,
    /// Of what it missed it gets the newest of each.
    Latest {
        /// Of each what.
        key: ConflateBy,
    },
    /// Of what it missed it gets one event of each stretch of time.
    Sample {
        /// How long a stretch is.
        interval: Duration,
    },
    /// The connection is closed with 4410.
    Disconnect,
}

/// What makes two events the same thing at two times, of which the newer is enough.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ConflateBy {
    /// The key of a retained event; events without one are each their own.
    #[default]
    Key,
    /// The type.
    Type,
    /// The value of this attribute.
    Attribute(Box<str>),
}
