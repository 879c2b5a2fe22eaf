//! `GET /v1/history`: a page of the past, or what it comes to. The answer is the `data` of the WebSocket's
//! `historical_data`.

use super::{
    answer,
    app::App,
    channels::bad_query,
    problem::Problem,
    query::{filter_key, given},
};
use crate::history;
use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use headwater_event::ChannelPattern;
use headwater_protocol::{
    AggregateSpec, ErrorCode, FilterSpec, Granularity, HistoryRequest, Order, RequestError, dialects, moment,
};
use std::sync::Arc;

pub(super) async fn history(
    State(app): State<Arc<App>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(pairs) = query.map_err(|error| bad_query(&error))?;
    let request = asked(pairs)?;
    let answered = app.question(move |router, withdrawal| history::answer(&request, router, withdrawal)).await?;
    match answered {
        Some(Ok(data)) => {
            let mut text = Vec::new();
            dialects::history_data(&data, &mut text);
            Ok(answer::of(StatusCode::OK, "application/json", Body::from(text)))
        }
        Some(Err(error)) => Err(error.into()),
        None => Err(Problem::new(ErrorCode::Unavailable, "nobody waited for this")),
    }
}

/// The keys of the query.
const KEYS: [&str; 13] = [
    "channel",
    "type",
    "severity",
    "where",
    "source",
    "attr.NAME",
    "since",
    "until",
    "order",
    "limit",
    "cursor",
    "granularity",
    "metric",
];

/// The question of a query, key by key.
#[derive(Default)]
struct Asked {
    channel: Option<String>,
    since: Option<String>,
    until: Option<String>,
    filter: FilterSpec,
    order: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    granularity: Option<String>,
    metrics: Vec<String>,
}

fn asked(pairs: Vec<(String, String)>) -> Result<HistoryRequest, RequestError> {
    let mut asked = Asked::default();
    for (key, value) in pairs {
        asked.take(&key, value)?;
    }
    asked.request()
}

impl Asked {
    fn take(&mut self, key: &str, value: String) -> Result<(), RequestError> {
        let once = match key {
            "channel" => &mut self.channel,
            "since" => &mut self.since,
            "until" => &mut self.until,
            "order" => &mut self.order,
            "limit" => &mut self.limit,
            "cursor" => &mut self.cursor,
            "granularity" => &mut self.granularity,
            "metric" => {
                self.metrics.push(value);
                return Ok(());
            }
            _ => return filter_key(&mut self.filter, key, value, &KEYS),
        };
        given(once, key, value)
    }

    fn request(self) -> Result<HistoryRequest, RequestError> {
        let wrong = |what: &str| RequestError::validation(what);
        let channel = self.channel.ok_or_else(|| wrong("`channel` is missing; name a channel or a pattern"))?;
        let channel = ChannelPattern::parse(&channel).map_err(|error| wrong(&format!("`channel`: {error}")))?;
        let time = |key: &str, text: Option<String>| text.map(|text| moment(key, &text)).transpose();
        let (since, until) = (time("since", self.since)?, time("until", self.until)?);
        let order = match self.order.as_deref() {
            None | Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(_) => return Err(wrong("`order` is asc or desc")),
        };
        let limit = self.limit.map(|text| text.parse().map_err(|_| wrong("`limit` is a number of events or points")));
        let granularity = self
            .granularity
            .map(|word| Granularity::parse(&word).ok_or_else(|| wrong("`granularity` is second, minute, hour or day")));
        let granularity = granularity.transpose()?;
        let aggregate = (granularity.is_some() || !self.metrics.is_empty())
            .then(|| AggregateSpec { granularity: granularity.unwrap_or_default(), metrics: self.metrics });
        Ok(HistoryRequest {
            channel,
            since,
            until,
            filter: self.filter,
            order,
            limit: limit.transpose()?,
            cursor: self.cursor,
            aggregate,
            request_id: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::{Severity, Timestamp};

    fn of(pairs: &[(&str, &str)]) -> Result<HistoryRequest, RequestError> {
        asked(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_key_is_read() {
        let request = of(&[
            ("channel", "performance_*"),
            ("since", "2024-01-01T00:00:00Z"),
            ("until", "2024-01-01T06:00:00Z"),
            ("type", "a.*"),
            ("type", "b"),
            ("severity", "warning"),
            ("where", "data.x > 1"),
            ("source", "metrics"),
            ("attr.mount", "/*"),
            ("order", "desc"),
            ("limit", "7"),
            ("cursor", "c"),
            ("granularity", "hour"),
            ("metric", "cpu_usage"),
            ("metric", "x.y"),
        ])
        .unwrap();
        let midnight = 1_704_067_200_000_000_000;
        assert_eq!(
            (request.since, request.until, request.order, request.limit),
            (Some(Timestamp(midnight)), Some(Timestamp(midnight + 21_600_000_000_000)), Order::Descending, Some(7))
        );
        assert_eq!((request.channel.as_str(), request.cursor.as_deref()), ("performance_*", Some("c")));
        let FilterSpec { types, severity, attributes, sources, expression } = request.filter;
        assert_eq!((types, sources), (vec!["a.*".to_owned(), "b".into()], vec!["metrics".to_owned()]));
        assert_eq!((severity, expression.as_deref()), (Some(Severity::Warning), Some("data.x > 1")));
        assert_eq!(attributes.get("mount").map(String::as_str), Some("/*"));
        let metrics = vec!["cpu_usage".to_owned(), "x.y".into()];
        assert_eq!(request.aggregate, Some(AggregateSpec { granularity: Granularity::Hour, metrics }));
        assert_eq!(of(&[("channel", "a")]).unwrap().aggregate, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, word) in [
            (&[("since", "1h")][..], "`channel` is missing"),
            (&[("channel", "a b")], "column 2"),
            (&[("channel", "a"), ("channel", "b")], "stands twice"),
            (&[("channel", "a"), ("attr.x", "1"), ("attr.x", "2")], "stands twice"),
            (&[("channel", "a"), ("since", "yesterday")], "`since`"),
            (&[("channel", "a"), ("severity", "loud")], "critical"),
            (&[("channel", "a"), ("order", "up")], "desc"),
            (&[("channel", "a"), ("limit", "many")], "`limit`"),
            (&[("channel", "a"), ("granularity", "week")], "second, minute"),
            (&[("channel", "a"), ("orde", "asc")], "did you mean `order`?"),
            (&[("channel", "a"), ("attr.", "b")], "is no key of this query"),
        ] {
            let error = of(pairs).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{pairs:?}: {error}");
        }
    }
}
