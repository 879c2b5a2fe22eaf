//! The stretches of a range, by number from 1970 on, and how many of them one call takes.

use crate::{Budget, Granularity, HistoryError, MAX_BUCKETS, Order, Span};
use headwater_event::{ChannelPattern, Timestamp};
use headwater_router::Router;
use std::ops::Range;

/// The stretches of a range.
pub(crate) struct Stretches {
    granularity: Granularity,
    span: Span,
    all: Range<i64>,
}

impl Stretches {
    pub(crate) fn new(granularity: Granularity, span: Span) -> Self {
        let length = granularity.nanoseconds();
        let first = span.since.map_or(i64::MIN, |since| since.0).div_euclid(length);
        let last = span.until.map_or(i64::MAX, |until| until.0.saturating_sub(1)).div_euclid(length);
        let all = match (span.since, span.until) {
            (Some(since), Some(until)) if since >= until => first..first,
            _ => first..last + 1,
        };
        Self { granularity, span, all }
    }

    /// Refuses a range of too many stretches. Without a start nobody knows how many have events; then the answer has pages.
    pub(crate) fn check_number(&self) -> Result<(), HistoryError> {
        if self.span.since.is_none() {
            return Ok(());
        }
        let now = Timestamp::now().0.div_euclid(self.granularity.nanoseconds()) + 1;
        let end = if self.span.until.is_some() { self.all.end } else { now };
        let number = end.saturating_sub(self.all.start);
        if usize::try_from(number).is_ok_and(|number| number > MAX_BUCKETS) {
            return Err(HistoryError::TooLarge(format!(
                "`granularity` \"{}\" makes {number} points of this range, of which an answer has at most {MAX_BUCKETS}: \
                 take a longer granularity or a shorter range",
                self.granularity.as_str()
            )));
        }
        Ok(())
    }

    /// Some of the stretches: as many as one call can look at, from the end that comes first.
    pub(crate) fn window(
        &self,
        router: &Router,
        channels: &ChannelPattern,
        order: Order,
        budget: Budget,
    ) -> Result<Range<i64>, HistoryError> {
        let (logs, most) = (router.logs(channels), budget.of_a_window());
        let offsets = |window: &Range<i64>| -> Result<u64, HistoryError> {
            let (span, mut sum) = (self.span(window), 0);
            for log in &logs {
                let range = span.offsets(router, log)?;
                sum += range.end.saturating_sub(range.start);
                if sum > most {
                    break;
                }
            }
            Ok(sum)
        };
        if self.all.is_empty() || offsets(&self.all)? <= most {
            return Ok(self.all.clone());
        }
        let Range { start, end } = self.all;
        let of = |number: i64| match order {
            Order::Ascending => start..start + number,
            Order::Descending => end - number..end,
        };
        // `few` stretches fit, `many` do not.
        let (mut few, mut many, mut held) = (0, end - start, 0);
        while many - few > 1 {
            let middle = few + (many - few) / 2;
            match offsets(&of(middle))? {
                sum if sum <= most => (few, held) = (middle, sum),
                _ => many = middle,
            }
        }
        // The first stretch that has any has too many: it is taken alone, it cannot be split.
        Ok(of(if held == 0 { many } else { few }))
    }

    /// The part of the range that a window covers.
    pub(crate) fn span(&self, window: &Range<i64>) -> Span {
        let (since, until) = (self.beginning(window.start), self.beginning(window.end));
        Span {
            since: since.map_or(self.span.since, |since| self.span.since.max(Some(since))),
            until: match (self.span.until, until) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        }
    }

    /// Where to go on when the stretches up to this one (descending, from this one on) have been told; `None` at the end.
    pub(crate) fn beyond(&self, rest: i64, order: Order) -> Option<Timestamp> {
        let more = match order {
            Order::Ascending => rest < self.all.end,
            Order::Descending => rest > self.all.start,
        };
        if more { self.beginning(rest) } else { None }
    }

    /// When a stretch begins; `None` where that is before or after all times.
    fn beginning(&self, number: i64) -> Option<Timestamp> {
        number.checked_mul(self.granularity.nanoseconds()).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn stretches(since: Option<i64>, until: Option<i64>) -> Stretches {
        Stretches::new(Granularity::Minute, Span { since: since.map(Timestamp), until: until.map(Timestamp) })
    }

    #[test]
    fn stretches_begin_at_full_minutes_before_1970_too() {
        for (since, until, all) in
            [(0, 2 * MINUTE, 0..2), (1, 2 * MINUTE + 1, 0..3), (-1, 1, -1..1), (-MINUTE, 0, -1..0), (5, 5, 0..0)]
        {
            assert_eq!(stretches(Some(since), Some(until)).all, all, "{since} to {until}");
        }
        let open = stretches(None, None);
        assert_eq!(open.span(&open.all.clone()), Span::default());
        assert_eq!(
            (open.beyond(open.all.end, Order::Ascending), open.beyond(3, Order::Ascending)),
            (None, Some(Timestamp(3 * MINUTE)))
        );
        assert_eq!(
            (open.beyond(open.all.start, Order::Descending), open.beyond(3, Order::Descending)),
            (None, Some(Timestamp(3 * MINUTE)))
        );
    }

    #[test]
    fn a_window_is_cut_to_the_range() {
        let span = |since, until| Span { since: Some(Timestamp(since)), until: Some(Timestamp(until)) };
        let stretches = stretches(Some(5), Some(3 * MINUTE - 5));
        assert_eq!(stretches.span(&(0..3)), span(5, 3 * MINUTE - 5));
        assert_eq!(stretches.span(&(1..2)), span(MINUTE, 2 * MINUTE));
    }

    #[test]
    fn too_many_stretches_are_refused_before_anything_is_read() {
        let days = |number: i64| number * 24 * 60 * MINUTE;
        assert!(stretches(Some(0), Some(days(6))).check_number().is_ok());
        let error = stretches(Some(0), Some(days(7))).check_number().unwrap_err().to_string();
        assert!(error.contains("10080") && error.contains("10000") && error.contains("minute"), "{error}");
        assert!(stretches(Some(0), None).check_number().is_err(), "a range without end ends now");
        assert!(stretches(None, None).check_number().is_ok());
        let future = stretches(Some(i64::MAX - 1), None);
        assert!(future.check_number().is_ok());
    }
}
