//! Questions about the past: `GET /v1/history`, a page at a time.

use crate::{Client, Error, Event, Gap, calls::escaped};
use headwater_event::Severity;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, fmt::Write};

/// The most events of a page; the daemon gives fewer where they are large.
const PAGE: u64 = 1_000;
/// The most points of a page.
const POINTS: u64 = 10_000;

/// What is asked. Times are RFC 3339, or how long ago, as in `5m`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryQuery {
    /// A channel or a pattern.
    pub channel: String,
    /// From this time on.
    pub since: Option<String>,
    /// Until this time, which no longer belongs to it.
    pub until: Option<String>,
    /// Globs over the type; several widen.
    pub types: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
    /// Globs over attributes, by name; all must fit.
    pub attributes: BTreeMap<String, String>,
    /// Names of sources; several widen.
    pub sources: Vec<String>,
    /// A CEL expression.
    pub expression: Option<String>,
    /// The newest first.
    pub descending: bool,
    /// Points instead of events: `second`, `minute`, `hour` or `day`.
    pub granularity: Option<String>,
    /// Numbers to measure in the data.
    pub metrics: Vec<String>,
    /// The most events or points of all pages together.
    pub limit: Option<u64>,
}

/// Some of the answer, in the order asked for.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// Events, unless points were asked for.
    pub events: Vec<Event>,
    /// Points, each a JSON object.
    pub points: Vec<Box<RawValue>>,
    /// What belongs here but is lost.
    pub gaps: Vec<Gap>,
}

/// An answer that comes page by page. Holds no connection between pages.
#[derive(Debug)]
pub struct History {
    client: Client,
    query: HistoryQuery,
    /// `None`: there is no more.
    next: Option<Next>,
    /// How many are still wanted.
    left: Option<u64>,
}

#[derive(Debug)]
enum Next {
    First,
    Behind(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    events: Vec<Box<RawValue>>,
    #[serde(default)]
    points: Vec<Box<RawValue>>,
    #[serde(default)]
    gaps: Vec<Gap>,
    #[serde(default)]
    cursor: Option<String>,
}

impl Client {
    /// Asks about the past. Nothing is sent yet.
    pub fn history(&self, query: HistoryQuery) -> History {
        let left = query.limit;
        History { client: self.clone(), query, next: Some(Next::First), left }
    }
}

impl History {
    /// The next page; `None` at the end. A page can be empty and yet not be the last: the daemon looks at so many events
    /// in one call, whether they are wanted or not.
    pub async fn next_page(&mut self) -> Result<Option<HistoryPage>, Error> {
        let next = match &self.next {
            _ if self.left == Some(0) => return Ok(None),
            None => return Ok(None),
            Some(next) => next,
        };
        let answer: Answer = self.client.get_json(&route(&self.query, next, self.left)).await?;
        let events = answer.events.into_iter().map(Event::from_raw).collect::<Result<Vec<_>, _>>()?;
        let count = (events.len() + answer.points.len()) as u64;
        self.left = self.left.map(|left| left.saturating_sub(count));
        self.next = answer.cursor.map(Next::Behind);
        Ok(Some(HistoryPage { events, points: answer.points, gaps: answer.gaps }))
    }
}

fn route(query: &HistoryQuery, next: &Next, left: Option<u64>) -> String {
    let mut route = format!("/v1/history?channel={}", escaped(&query.channel));
    let mut pair = |key: &str, value: &str| {
        write!(route, "&{}={}", escaped(key), escaped(value)).expect("invariant: a String takes all");
    };
    for (key, value) in [
        ("since", &query.since),
        ("until", &query.until),
        ("where", &query.expression),
        ("granularity", &query.granularity),
    ] {
        if let Some(value) = value {
            pair(key, value);
        }
    }
    for (key, values) in [("type", &query.types), ("source", &query.sources), ("metric", &query.metrics)] {
        for value in values {
            pair(key, value);
        }
    }
    for (name, value) in &query.attributes {
        pair(&format!("attr.{name}"), value);
    }
    if let Some(severity) = query.severity {
        pair("severity", severity.as_str());
    }
    if query.descending {
        pair("order", "desc");
    }
    let points = query.granularity.is_some() || !query.metrics.is_empty();
    // Points come as the daemon pages them, unless fewer are wanted.
    let limit = if points { left.map(|left| left.min(POINTS)) } else { Some(left.unwrap_or(PAGE).min(PAGE)) };
    if let Some(limit) = limit {
        pair("limit", &limit.to_string());
    }
    if let Next::Behind(cursor) = next {
        pair("cursor", cursor);
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_asked_stands_in_the_route() {
        let query = HistoryQuery {
            channel: "a*".into(),
            since: Some("1h".into()),
            until: Some("2026-01-31T12:00:00+01:00".into()),
            types: vec!["x.*".into(), "y".into()],
            severity: Some(Severity::Warning),
            attributes: [("mount".to_owned(), "/".to_owned())].into(),
            sources: vec!["s".into()],
            expression: Some("data.n > 1 && true".into()),
            descending: true,
            granularity: None,
            metrics: Vec::new(),
            limit: Some(7),
        };
        assert_eq!(
            route(&query, &Next::Behind("events~desc~~~a@00000000000000ab:1".into()), Some(7)),
            "/v1/history?channel=a*&since=1h&until=2026-01-31T12:00:00%2B01:00&where=data.n%20%3E%201%20%26%26%20true\
             &type=x.*&type=y&source=s&attr.mount=%2F&severity=warning&order=desc&limit=7\
             &cursor=events~desc~~~a%4000000000000000ab:1"
        );
        let plain = HistoryQuery { channel: "a".into(), ..HistoryQuery::default() };
        assert_eq!(route(&plain, &Next::First, None), "/v1/history?channel=a&limit=1000");
        let points = HistoryQuery { granularity: Some("minute".into()), metrics: vec!["x".into()], ..plain };
        assert_eq!(route(&points, &Next::First, None), "/v1/history?channel=a&granularity=minute&metric=x");
    }
}
