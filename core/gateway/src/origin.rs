//! From a request's words to the router's: which events, and from where. Shared by WebSocket sessions and by the
//! sources that read the bus, so that both mean the same.

use headwater_event::ChannelName;
use headwater_filter::Filter;
use headwater_protocol::{FilterSpec, Options, Start, StartAt};
use headwater_router::From as Origin;

/// The filter of a request's words.
pub fn filter_of(spec: &FilterSpec, options: &Options) -> Filter {
    let attributes: Vec<(String, String)> = spec.attributes.clone().into_iter().collect();
    Filter::new(&spec.types, spec.severity.max(options.filter_level), &attributes, &spec.sources)
}

/// Where a subscription starts in this channel.
pub fn origin_of(start: &Start, options: &Options, name: &ChannelName) -> Origin {
    let at = match start {
        Start::At(at) => *at,
        Start::ByChannel(positions) => {
            positions.iter().find(|(n, _)| n == name).map_or(StartAt::Latest, |(_, position)| StartAt::After(*position))
        }
    };
    match at {
        StartAt::Latest if options.include_historical => Origin::Held,
        StartAt::Latest => Origin::Latest,
        StartAt::Since(time) => Origin::Since(time),
        StartAt::Earliest => Origin::Earliest,
        StartAt::After(position) => Origin::After(position),
    }
}
