//! Points instead of events: what the events of each stretch of time come to. A call takes as many stretches as it may
//! look at; the rest comes with the cursor. A stretch is never split, so that its percentiles are exact.

use crate::{
    Budget, Cursor, HistoryError, MAX_LIMIT, Order, Points, Query, Span, Withdrawal,
    cursor::At,
    effort::Effort,
    metric::Metrics,
    stream::{Stream, Wanted},
    tally::Tally,
    window::Stretches,
};
use headwater_event::Timestamp;
use headwater_router::{PageLimit, Router};

/// The most stretches of a range whose start is given, and of a page.
pub const MAX_BUCKETS: usize = 10_000;
/// The most metrics of a question.
pub const MAX_METRICS: usize = 100;
/// The longest name of a metric, in bytes.
const MAX_NAME: usize = 128;

/// How long the stretches are. They begin where UTC's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Granularity {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its length.
    pub const fn nanoseconds(self) -> i64 {
        let seconds: i64 = match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        };
        seconds * 1_000_000_000
    }
}

/// What is computed.
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub(crate) granularity: Granularity,
    pub(crate) metrics: Metrics,
}

impl Aggregate {
    /// Counts events, and measures the numbers of these names in their payloads (`metric.rs` says what a name finds).
    pub fn new(granularity: Granularity, metrics: &[String]) -> Result<Self, HistoryError> {
        let wrong = |what: String| Err(HistoryError::Wrong(what));
        if metrics.len() > MAX_METRICS {
            return wrong(format!("`metrics` has {} names; one question takes at most {MAX_METRICS}", metrics.len()));
        }
        for (index, name) in metrics.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME {
                return wrong(format!("`metrics`, item {index}: a name has 1 to {MAX_NAME} bytes"));
            }
            if metrics[..index].contains(name) {
                return wrong(format!("`metrics`, item {index}: this name stands there twice; leave one out"));
            }
        }
        Ok(Self { granularity, metrics: Metrics::new(metrics) })
    }
}

impl Query {
    /// The next points of the answer. May block on a disk.
    pub fn points(
        &self,
        aggregate: &Aggregate,
        router: &Router,
        budget: Budget,
        withdrawal: &Withdrawal,
    ) -> Result<Points, HistoryError> {
        self.check()?;
        let stretches = Stretches::new(aggregate.granularity, self.open_span()?);
        if self.cursor.is_none() {
            stretches.check_number()?;
        }
        let window = stretches.window(router, &self.channels, self.order, budget)?;
        let wanted = Wanted { filter: self.filter.clone(), span: stretches.span(&window) };
        let mut tally = Tally::new(aggregate, self.order, window);
        let mut effort = Effort::new(budget, withdrawal);
        let mut gaps = Vec::new();
        // Always upwards: the last value of a stretch is that of the highest offset.
        for (channel, mut stream) in self.streams(router, &wanted, Order::Ascending)?.into_iter().enumerate() {
            while !stream.is_over() {
                if effort.is_spent()? {
                    return Err(tally.too_large(&format!("{} events or {:?}", budget.events, budget.time)));
                }
                effort.took(stream.fill(PageLimit::default())?);
                while let Some(event) = stream.take() {
                    tally.add(channel, &event)?;
                }
            }
            gaps.extend(Stream::into_gaps(stream));
        }
        let (mut points, rest) = tally.points(self.limit.unwrap_or(MAX_LIMIT));
        points.gaps = gaps;
        points.cursor = stretches.beyond(rest, self.order).map(|time| Cursor {
            order: self.order,
            span: self.span(),
            at: At::Time(time),
        });
        Ok(points)
    }

    /// What of the range no page has had.
    fn open_span(&self) -> Result<Span, HistoryError> {
        let Span { since, until } = self.span();
        match &self.cursor {
            None => Ok(Span { since, until }),
            Some(Cursor { at: At::Time(time), .. }) => Ok(match self.order {
                Order::Ascending => Span { since: since.max(Some(*time)), until },
                Order::Descending => {
                    Span { since, until: Some(until.map_or(*time, |until: Timestamp| until.min(*time))) }
                }
            }),
            Some(Cursor { at: At::Channels(_), .. }) => Err(HistoryError::Wrong(
                "`cursor` is of a question without a granularity; ask again without one, or without the cursor".into(),
            )),
        }
    }
}
