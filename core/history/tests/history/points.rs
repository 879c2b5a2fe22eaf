//! Points: what stretches of time come to.

use crate::world::{Store, publish, publish_as, query, router, time};
use headwater_event::Event;
use headwater_filter::Filter;
use headwater_history::{
    Aggregate, Budget, Cursor, Granularity, HistoryError, MAX_METRICS, Order, Points, Query, Span, Withdrawal,
};
use headwater_router::Router;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

fn aggregate(granularity: Granularity, metrics: &[&str]) -> Aggregate {
    let names: Vec<String> = metrics.iter().map(ToString::to_string).collect();
    Aggregate::new(granularity, &names).unwrap()
}

fn points(router: &Router, query: &Query, aggregate: &Aggregate) -> Result<Points, HistoryError> {
    query.points(aggregate, router, Budget::POINTS, &Withdrawal::default())
}

/// All points of an answer, each cursor through its text.
fn all(router: &Router, query: &Query, aggregate: &Aggregate) -> Vec<Value> {
    let (mut query, mut seen) = (query.clone(), Vec::new());
    loop {
        let page = points(router, &query, aggregate).unwrap();
        let Value::Array(some) = serde_json::from_str(&page.json).unwrap() else { panic!("{}", page.json) };
        assert_eq!(some.len() as u64, page.count);
        seen.extend(some);
        let Some(cursor) = page.cursor else { return seen };
        query.cursor = Some(Cursor::parse(&cursor.to_string()).unwrap());
    }
}

#[test]
fn a_minute_of_metrics_is_a_point() {
    let router = router(Arc::new(Store::new()));
    let base = 1_700_000_040; // a full minute
    for (second, cpu) in [(0, "10"), (1, "40.5"), (59, "\"unknown\""), (60, "7"), (185, "8")] {
        let data = format!(r#"{{"metrics": {{"system": {{"cpu_usage_percent": {cpu}}}}}}}"#);
        publish(&router, "performance_metrics", base + second, &data);
    }
    let page = points(&router, &query("performance_metrics"), &aggregate(Granularity::Minute, &["cpu_usage", "disk"]))
        .unwrap();
    assert_eq!((page.count, page.cursor), (3, None));
    let seen: Value = serde_json::from_str(&page.json).unwrap();
    assert_eq!(
        seen,
        json!([
            {"timestamp": "2023-11-14T22:14:00.000000Z", "count": 3, "cpu_usage": 25.25, "stats": {"cpu_usage":
                {"count": 2, "avg": 25.25, "min": 10, "max": 40.5, "p50": 10, "p95": 40.5, "last": 40.5}}},
            {"timestamp": "2023-11-14T22:15:00.000000Z", "count": 1, "cpu_usage": 7, "stats": {"cpu_usage":
                {"count": 1, "avg": 7, "min": 7, "max": 7, "p50": 7, "p95": 7, "last": 7}}},
            {"timestamp": "2023-11-14T22:17:00.000000Z", "count": 1, "cpu_usage": 8, "stats": {"cpu_usage":
                {"count": 1, "avg": 8, "min": 8, "max": 8, "p50": 8, "p95": 8, "last": 8}}},
        ])
    );
}

#[test]
fn without_metrics_events_are_counted() {
    let router = router(Arc::new(Store::new()));
    for second in 0..10 {
        publish_as(&router, "a", second, "\"text\"", if second % 2 == 0 { "even" } else { "odd" });
    }
    let filter = Filter::new(&["even".into()], None, &[], &[]);
    let span = Span { since: Some(time(3)), until: Some(time(9)) };
    let page = points(&router, &Query { filter, span, ..query("a") }, &aggregate(Granularity::Day, &[])).unwrap();
    assert_eq!(page.json, r#"[{"timestamp":"1970-01-01T00:00:00.000000Z","count":3}]"#);
}

#[test]
fn a_metric_with_the_name_of_a_points_own_field_stands_in_the_stats() {
    let router = router(Arc::new(Store::new()));
    publish(&router, "a", 0, r#"{"count": 7, "we\"ird": 1}"#);
    let page = points(&router, &query("a"), &aggregate(Granularity::Hour, &["count", "we\"ird"])).unwrap();
    let seen: Value = serde_json::from_str(&page.json).unwrap();
    assert_eq!(
        (&seen[0]["count"], &seen[0]["stats"]["count"]["avg"], &seen[0]["we\"ird"]),
        (&json!(1), &json!(7), &json!(1))
    );
}

#[test]
fn points_come_a_page_at_a_time_from_either_end() {
    let router = router(Arc::new(Store::new()));
    for second in 0..25 {
        publish(&router, "a", second * 2, r#"{"x": 1}"#);
    }
    let aggregate = aggregate(Granularity::Second, &["x"]);
    for order in [Order::Ascending, Order::Descending] {
        let asked = Query { order, limit: Some(4), ..query("a") };
        let first = points(&router, &asked, &aggregate).unwrap();
        assert!(first.count == 4 && first.cursor.is_some());
        let times: Vec<_> =
            all(&router, &asked, &aggregate).iter().map(|point| point["timestamp"].to_string()).collect();
        assert_eq!(times.len(), 25);
        assert!(if order == Order::Ascending { times.is_sorted() } else { times.iter().rev().is_sorted() });
    }
}

#[test]
fn what_makes_no_sense_says_what_would() {
    let router = router(Arc::new(Store::new()));
    publish(&router, "a", 0, "1");
    let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    for (metrics, words) in [
        (names(MAX_METRICS + 1), "at most 100"),
        (vec![String::new()], "item 0"),
        (vec!["a".into(), "b".into(), "a".into()], "item 2"),
        (vec!["x".repeat(129)], "128"),
    ] {
        let error = Aggregate::new(Granularity::Day, &metrics).unwrap_err();
        assert!(matches!(&error, HistoryError::Wrong(text) if text.contains(words)), "{error}");
    }
    let aggregate = Aggregate::new(Granularity::Second, &names(MAX_METRICS)).unwrap();
    let span = |since, until| Span { since: Some(time(since)), until: Some(time(until)) };
    let of = |query: Query| points(&router, &query, &aggregate).unwrap_err().to_string();
    assert!(of(Query { span: span(0, 10_001), ..query("a") }).contains("10001"));
    assert!(
        of(Query { span: Span { since: Some(time(0)), until: None }, ..query("a") }).contains("longer granularity")
    );
    assert!(of(Query { span: span(1, 0), ..query("a") }).contains("before it begins"));
    let cursor = Some(Cursor::parse("events~asc~~~a@00000000000000ab:1").unwrap());
    assert!(of(Query { cursor, ..query("a") }).contains("granularity"));
}

#[test]
fn a_question_that_would_take_too_long_is_an_error_and_one_that_nobody_waits_for_ends() {
    let router = router(Arc::new(Store::new()));
    for second in 0..50 {
        publish(&router, "a", second, "1");
    }
    let aggregate = aggregate(Granularity::Minute, &[]);
    for budget in [Budget { events: 30, ..Budget::POINTS }, Budget { time: Duration::ZERO, ..Budget::POINTS }] {
        let error = query("a").points(&aggregate, &router, budget, &Withdrawal::default()).unwrap_err();
        assert!(matches!(&error, HistoryError::TooLarge(text) if text.contains("shorter granularity")), "{error}");
    }
    let withdrawal = Withdrawal::default();
    withdrawal.withdraw();
    assert_eq!(
        query("a").points(&aggregate, &router, Budget::POINTS, &withdrawal).unwrap_err(),
        HistoryError::Withdrawn
    );
}

/// More events than one call takes: their stretches come in several pages, and no stretch is split.
#[test]
fn a_long_range_comes_in_windows() {
    let router = router(Arc::new(Store::new()));
    for second in 0..250 {
        publish(&router, ["a", "b"][second as usize % 2], second, r#"{"x": 1}"#);
    }
    let aggregate = aggregate(Granularity::Minute, &["x"]);
    let few = Budget { events: 20 * 130, ..Budget::POINTS };
    for order in [Order::Ascending, Order::Descending] {
        let (mut asked, mut pages) = (Query { order, ..query("*") }, Vec::new());
        loop {
            let page = asked.points(&aggregate, &router, few, &Withdrawal::default()).unwrap();
            let Value::Array(some) = serde_json::from_str(&page.json).unwrap() else { panic!("{}", page.json) };
            pages.push(some.iter().map(|point| point["count"].as_u64().unwrap()).collect::<Vec<_>>());
            asked.cursor = page.cursor;
            if asked.cursor.is_none() {
                break;
            }
        }
        // Two minutes of 60 events fit, three do not. The last minute has ten.
        let expected = if order == Order::Ascending {
            vec![vec![60, 60], vec![60, 60, 10]]
        } else {
            vec![vec![10, 60, 60], vec![60, 60]]
        };
        assert_eq!(pages, expected);
    }
}

/// Value, second and channel of each number of a stretch, and how many events it has.
type Seen = (u64, Vec<(f64, i64, String)>);

/// The definition, event by event.
fn naive(events: &[Arc<Event>], query: &Query, length: i64, name: &str) -> BTreeMap<i64, Value> {
    let mut stretches: BTreeMap<i64, Seen> = BTreeMap::new();
    for event in events.iter().filter(|event| query.channels.matches(event.channel.as_str())) {
        if !query.span.contains(event.time) || !query.filter.matches(event) {
            continue;
        }
        let seconds = event.time.0.div_euclid(1_000_000_000);
        let stretch = stretches.entry(seconds.div_euclid(length) * length).or_default();
        stretch.0 += 1;
        let data: Value = serde_json::from_slice(event.data.as_bytes()).unwrap();
        if let Some(value) = data[name].as_f64() {
            stretch.1.push((value, seconds, event.channel.to_string()));
        }
    }
    let point = |(count, seen): Seen| {
        let mut values: Vec<f64> = seen.iter().map(|(value, ..)| *value).collect();
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            return json!({"count": count});
        }
        let rank = |percent: f64| {
            // The smallest value that so many of a hundred do not exceed.
            let enough = |value: &&f64| {
                values.iter().filter(|v| v <= value).count() as f64 * 100.0 >= percent * values.len() as f64
            };
            *values.iter().find(enough).unwrap()
        };
        // Of each channel the last that came, and of these the newest; of equally new ones the last by name.
        let mut lasts: BTreeMap<&str, (i64, f64)> = BTreeMap::new();
        for (value, seconds, channel) in &seen {
            lasts.insert(channel, (*seconds, *value));
        }
        let last = lasts.iter().max_by_key(|(channel, (seconds, _))| (*seconds, **channel)).unwrap().1.1;
        json!({"count": count, "stats": {"count": values.len(), "sum": values.iter().sum::<f64>(), "min": values[0],
            "max": values[values.len() - 1], "p50": rank(50.0), "p95": rank(95.0), "last": last}})
    };
    stretches.into_iter().map(|(begins, stretch)| (begins, point(stretch))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn points_are_what_the_definition_says(
        events in proptest::collection::vec((0_usize..3, -100_i64..400, -50_i64..50, 0_u8..4), 0..80),
        (since, until) in (proptest::option::of(-100_i64..400), proptest::option::of(-100_i64..400)),
        (filtered, descending, minutes) in (any::<bool>(), any::<bool>(), any::<bool>()),
        limit in proptest::option::of(1_usize..5),
    ) {
        let router = router(Arc::new(Store::new()));
        let mut published = Vec::new();
        for (channel, seconds, value, form) in events {
            let data = match form {
                0 => "{\"y\": 1}".to_owned(),
                1 => format!("{{\"x\": \"{value}\"}}"),
                _ => format!("{{\"x\": {}}}", value as f64 / 4.0),
            };
            let kind = if value > 0 { "wanted" } else { "other" };
            published.push(publish_as(&router, ["a", "b", "c"][channel], seconds, &data, kind));
        }
        let (since, until) = match (since, until) {
            (Some(since), Some(until)) => (Some(since.min(until)), Some(since.max(until))),
            open => open,
        };
        let query = Query {
            // A start makes the stretches of an open range too many: it ends now.
            span: Span { since: since.filter(|_| until.is_some()).map(time), until: until.map(time) },
            filter: if filtered { Filter::new(&["wanted".into()], None, &[], &[]) } else { Filter::default() },
            order: if descending { Order::Descending } else { Order::Ascending },
            limit,
            ..query("*")
        };
        let (granularity, length) = if minutes { (Granularity::Minute, 60) } else { (Granularity::Second, 1) };
        let mut seen = all(&router, &query, &aggregate(granularity, &["x"]));
        if descending {
            seen.reverse();
        }
        let expected = naive(&published, &query, length, "x");
        prop_assert_eq!(seen.len(), expected.len());
        for (point, (begins, expected)) in seen.iter().zip(&expected) {
            prop_assert_eq!(&point["timestamp"], &json!(time(*begins).to_string()));
            prop_assert_eq!(&point["count"], &expected["count"]);
            let (stats, wanted) = (&point["stats"]["x"], &expected["stats"]);
            prop_assert_eq!(stats.is_null(), wanted.is_null());
            for key in ["count", "min", "max", "p50", "p95", "last"] {
                prop_assert_eq!(stats[key].as_f64(), wanted[key].as_f64(), "{} of {}", key, point);
            }
            if let (Some(average), Some(sum), Some(count)) = (stats["avg"].as_f64(), wanted["sum"].as_f64(), wanted["count"].as_f64()) {
                prop_assert!((average - sum / count).abs() < 1e-9);
                prop_assert_eq!(point["x"].as_f64(), Some(average));
            }
        }
    }
}
