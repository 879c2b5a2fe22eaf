//! A replay as a value: a stretch of the past that comes again, at its own speed.

use super::{FilterSpec, RequestId};
use headwater_event::{ChannelPattern, Timestamp};

/// Which stretch, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayRequest {
    /// Which channels.
    pub channels: Vec<ChannelPattern>,
    /// Which events.
    pub filter: FilterSpec,
    /// From this time on.
    pub since: Timestamp,
    /// Until this time; without it, until the present.
    pub until: Option<Timestamp>,
    /// 1: as it was; 2: twice as fast; 0: as fast as it goes.
    pub speed: f64,
    /// Whether live events come after it, without a gap between.
    pub then_live: bool,
    /// Echoed.
    pub request_id: Option<RequestId>,
}

/// What a replay that runs shall do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayAction {
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// End.
    Stop,
    /// Go on from this time.
    Seek(Timestamp),
    /// Go on this fast.
    Speed(f64),
}
