//! Why the router did not do what was asked.

use headwater_engine::EngineError;
use headwater_event::ChannelName;

/// What went wrong, split by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// Refuse the request: it names a channel that does not exist, and no more may be created. Nothing was published.
    #[error(
        "channel `{name}` would be one more than the {limit} that may exist; use an existing channel or raise \
         `router.max_channels`"
    )]
    TooManyChannels {
        /// The first channel that did not fit.
        name: ChannelName,
        /// How many may exist.
        limit: usize,
    },
    /// The engine did not take it; its variants say whether to refuse, to try again or to report the bus as down.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
