//! From a request's words to the router's: which events, and from where. Shared by WebSocket sessions and by the
//! sources that read the bus, so that both mean the same.

use headwater_event::ChannelName;
use headwater_filter::Filter;
use headwater_protocol::{FilterSpec, Options, RequestError, Start, StartAt};
use headwater_router::From as Origin;

/// The filter of a request's words. An expression that is none is refused, with its column.
pub fn filter_of(spec: &FilterSpec, options: &Options) -> Result<Filter, RequestError> {
    let attributes: Vec<(String, String)> = spec.attributes.clone().into_iter().collect();
    let filter = Filter::new(&spec.types, spec.severity.max(options.filter_level), &attributes, &spec.sources);
    match &spec.expression {
        Some(cel) => filter.with_expression(cel).map_err(|error| RequestError::validation(error.to_string())),
        None => Ok(filter),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_protocol::ErrorCode;

    #[test]
    fn an_expression_is_part_of_the_filter_and_refused_with_its_column() {
        let spec = |cel: &str| FilterSpec { expression: Some(cel.into()), ..FilterSpec::default() };
        let filter = filter_of(&spec("data.x > 1"), &Options::default()).unwrap();
        assert_eq!(filter, Filter::default().with_expression("data.x>1").unwrap());
        let error = filter_of(&spec("severity = \"error\""), &Options::default()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Validation);
        assert_eq!(error.message, "filter, column 10: `=` compares nothing; use `==`");
    }
}
