//! From a `request_historical_data` message to a question about the past.

use super::{
    field::{self, Field},
    filter, from_str,
};
use crate::{
    AggregateSpec, FilterSpec, Granularity, HistoryRequest, OneOrMany, Order, RequestError, RequestId, moment,
};
use headwater_event::{ChannelPattern, Timestamp};
use serde::Deserialize;

/// The most events or points of one answer; what is more comes with the cursor.
const MAX_LIMIT: u64 = 10_000;
/// The most numbers of one aggregate, and the longest of their names: each event is searched for them.
const MAX_METRICS: usize = 100;
const MAX_METRIC: usize = 128;
/// The longest cursor; the daemon writes shorter ones.
const MAX_CURSOR: usize = 12_000;

pub(super) fn request(text: &str, request_id: Option<RequestId>) -> Result<HistoryRequest, RequestError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        channel: Field<'a>,
        #[serde(borrow, default)]
        parameters: Field<'a>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Parameters<'a> {
        #[serde(borrow)]
        start_time: Field<'a>,
        #[serde(borrow)]
        end_time: Field<'a>,
        #[serde(borrow)]
        types: Field<'a>,
        #[serde(borrow)]
        filter: Field<'a>,
        #[serde(borrow)]
        order: Field<'a>,
        #[serde(borrow)]
        limit: Field<'a>,
        #[serde(borrow)]
        cursor: Field<'a>,
        #[serde(borrow)]
        granularity: Field<'a>,
        #[serde(borrow)]
        metrics: Field<'a>,
    }
    let Body { channel, parameters } = from_str(text)?;
    let channel: Option<String> = field::read("`channel`", channel, "a channel's name or a pattern")?;
    let channel = channel.ok_or_else(|| RequestError::validation("`channel` is missing"))?;
    let channel = ChannelPattern::parse(&channel)
        .map_err(|error| RequestError::validation(format!("channel `{channel}`: {error}")))?;
    let parameters = match parameters {
        None => Parameters::default(),
        Some(raw) => {
            field::is_object("`parameters`", raw)?;
            from_str(raw.get())?
        }
    };
    let (since, until) = range(parameters.start_time, parameters.end_time)?;
    let granularities = Granularity::ALL.map(|granularity| (granularity.as_str(), granularity));
    let granularity = field::word("`granularity`", parameters.granularity, &granularities)?;
    let metrics = field::texts("`metrics`", parameters.metrics, MAX_METRICS, MAX_METRIC)?;
    let aggregate = (granularity.is_some() || !metrics.is_empty())
        .then(|| AggregateSpec { granularity: granularity.unwrap_or_default(), metrics });
    let order = field::word("`order`", parameters.order, &[("asc", Order::Ascending), ("desc", Order::Descending)])?;
    let limit = field::number("`limit`", parameters.limit, 1..=MAX_LIMIT)?;
    Ok(HistoryRequest {
        channel,
        since,
        until,
        filter: with_types(filter(parameters.filter)?, parameters.types)?,
        order: order.unwrap_or_default(),
        limit: limit.map(|limit| limit as usize),
        cursor: field::text("`cursor`", parameters.cursor, MAX_CURSOR)?,
        aggregate,
        request_id,
    })
}

/// A range of time, which may be open at both ends.
pub(super) fn range(start: Field<'_>, end: Field<'_>) -> Result<(Option<Timestamp>, Option<Timestamp>), RequestError> {
    let (since, until) = (time("start_time", start)?, time("end_time", end)?);
    match (since, until) {
        (Some(since), Some(until)) if until < since => {
            Err(RequestError::validation("`end_time` is before `start_time`"))
        }
        range => Ok(range),
    }
}

/// A time, when one is given.
pub(super) fn time(name: &str, given: Field<'_>) -> Result<Option<Timestamp>, RequestError> {
    let text: Option<String> =
        field::read(&format!("`{name}`"), given, "text, as in \"2026-01-31T12:00:00Z\" or \"5m\"")?;
    text.map(|text| moment(name, &text)).transpose()
}

/// `types` beside the filter is the same as inside of it.
fn with_types(filter: FilterSpec, types: Field<'_>) -> Result<FilterSpec, RequestError> {
    let types: Option<OneOrMany> = field::read("`types`", types, "a glob or a list of globs")?;
    match types.map(OneOrMany::into_vec) {
        None => Ok(filter),
        Some(types) if filter.types.is_empty() => Ok(FilterSpec { types, ..filter }),
        Some(_) => Err(RequestError::validation("`types` stands beside `filter` and in it; give it once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn asked(parameters: &str) -> Result<HistoryRequest, RequestError> {
        request(&format!(r#"{{"channel":"a*","parameters":{parameters}}}"#), None)
    }

    #[test]
    fn the_seeds_question_is_understood() {
        let asked = asked(
            r#"{"start_time":"2024-01-01T00:00:00Z","end_time":"2024-01-01T06:00:00Z","granularity":"minute",
                "metrics":["cpu_usage","response_time","variety_ratio"]}"#,
        )
        .unwrap();
        let midnight = 1_704_067_200_000_000_000;
        assert_eq!(
            (asked.since, asked.until),
            (Some(Timestamp(midnight)), Some(Timestamp(midnight + 21_600_000_000_000)))
        );
        let aggregate = asked.aggregate.unwrap();
        assert_eq!((aggregate.granularity, aggregate.metrics.len()), (Granularity::Minute, 3));
    }

    #[test]
    fn what_is_not_said_is_left_open() {
        let open = HistoryRequest {
            channel: ChannelPattern::parse("a*").unwrap(),
            since: None,
            until: None,
            filter: FilterSpec::default(),
            order: Order::Ascending,
            limit: None,
            cursor: None,
            aggregate: None,
            request_id: None,
        };
        assert_eq!(asked("{}").unwrap(), open);
        assert_eq!(asked("null").unwrap(), open);
        assert_eq!(request(r#"{"channel":"a*"}"#, None).unwrap(), open);
        let count = AggregateSpec { granularity: Granularity::Hour, metrics: Vec::new() };
        assert_eq!(asked(r#"{"granularity":"hour"}"#).unwrap().aggregate, Some(count));
        let minutes = AggregateSpec { granularity: Granularity::Minute, metrics: vec!["x".into()] };
        assert_eq!(asked(r#"{"metrics":["x"]}"#).unwrap().aggregate, Some(minutes));
        let full = asked(r#"{"types":"t.*","filter":{"severity":"high"},"order":"desc","limit":10000,"cursor":"c"}"#);
        let full = full.unwrap();
        assert_eq!((full.filter.types.as_slice(), full.order), (&["t.*".to_owned()][..], Order::Descending));
        assert_eq!((full.limit, full.cursor.as_deref()), (Some(10_000), Some("c")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (parameters, word) in [
            (r#"{"start_time":"soon"}"#, "`start_time`"),
            (r#"{"end_time":7}"#, "`end_time`"),
            (r#"{"start_time":"5m","end_time":"10m"}"#, "before `start_time`"),
            (r#"{"order":"up"}"#, r#"`order` is "asc" or "desc""#),
            (r#"{"limit":0}"#, "1 to 10000"),
            (r#"{"limit":10001}"#, "1 to 10000"),
            (r#"{"granularity":"week"}"#, r#""minute" or "hour""#),
            (r#"{"metrics":"x"}"#, "`metrics` is a list"),
            (r#"{"metrics":[""]}"#, "`metrics` is a list"),
            (r#"{"types":7}"#, "`types`"),
            (r#"{"types":"a","filter":{"types":"b"}}"#, "give it once"),
            (r#"{"filter":{"level":"x"}}"#, "`filter`"),
            (r#"{"cursor":""}"#, "`cursor`"),
            ("[]", "`parameters` is an object"),
        ] {
            let error = asked(parameters).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{parameters}: {error}");
        }
        assert!(request("{}", None).unwrap_err().message.contains("`channel` is missing"));
        assert!(request(r#"{"channel":"a b"}"#, None).unwrap_err().message.contains("column 2"));
    }
}
