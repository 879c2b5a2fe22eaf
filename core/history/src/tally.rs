//! The running sums of an aggregate. Exact percentiles need every value at once, so that memory is bounded here: where a
//! window of several stretches has too many, the far ones are given up and come with the next page.

use crate::{Aggregate, HistoryError, MAX_BUCKETS, MAX_BYTES, Order, Points, points};
use headwater_event::{Event, Timestamp};
use std::{collections::BTreeMap, ops::Range};

/// The most values held at once: 16 MB.
const MAX_VALUES: usize = 2_000_000;
/// The most pairs of a stretch and a metric: some 8 MB.
const MAX_CELLS: usize = 100_000;

/// Sums by stretch.
pub(crate) struct Tally<'a> {
    aggregate: &'a Aggregate,
    order: Order,
    /// The stretches that count; the others are left to the next page.
    window: Range<i64>,
    stretches: BTreeMap<i64, Stretch>,
    values: usize,
}

/// What the events of one stretch come to.
pub(crate) struct Stretch {
    pub(crate) events: u64,
    /// By metric.
    pub(crate) cells: Box<[Cell]>,
}

/// The values of one metric in one stretch.
#[derive(Clone, Default)]
pub(crate) struct Cell {
    pub(crate) values: Vec<f64>,
    last: Last,
}

/// The last value: of a channel, the one with the highest offset; of several channels, the newest of these.
#[derive(Clone, Copy, Default)]
struct Last {
    /// The channel being read, its last value and when that was observed.
    here: Option<(usize, f64, Timestamp)>,
    /// The same of the channels before.
    before: Option<(f64, Timestamp)>,
}

impl Last {
    fn see(&mut self, channel: usize, value: f64, time: Timestamp) {
        if self.here.is_some_and(|(of, ..)| of != channel) {
            self.before = self.newest();
        }
        self.here = Some((channel, value, time));
    }

    fn newest(&self) -> Option<(f64, Timestamp)> {
        let here = self.here.map(|(_, value, time)| (value, time));
        match (self.before, here) {
            (Some(before), Some(here)) if before.1 > here.1 => Some(before),
            (before, here) => here.or(before),
        }
    }
}

impl Cell {
    pub(crate) fn last(&self) -> Option<f64> {
        self.last.newest().map(|(value, _)| value)
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn new(aggregate: &'a Aggregate, order: Order, window: Range<i64>) -> Self {
        Self { aggregate, order, window, stretches: BTreeMap::new(), values: 0 }
    }

    /// Counts an event of the channel of this number. Channels come one after the other, each in the order of offsets.
    pub(crate) fn add(&mut self, channel: usize, event: &Event) -> Result<(), HistoryError> {
        let Aggregate { granularity, metrics } = self.aggregate;
        let number = event.time.0.div_euclid(granularity.nanoseconds());
        if !self.window.contains(&number) {
            return Ok(());
        }
        let stretch = self
            .stretches
            .entry(number)
            .or_insert_with(|| Stretch { events: 0, cells: vec![Cell::default(); metrics.len()].into() });
        stretch.events += 1;
        metrics.read(event.data.as_bytes(), |metric, value| {
            let cell = &mut stretch.cells[metric];
            cell.values.push(value);
            cell.last.see(channel, value, event.time);
            self.values += 1;
        });
        while self.is_full() {
            self.give_up()?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let stretches = self.stretches.len();
        self.values > MAX_VALUES || stretches > MAX_BUCKETS || stretches * self.aggregate.metrics.len() > MAX_CELLS
    }

    /// Leaves the half of the stretches that comes last to the next page.
    fn give_up(&mut self) -> Result<(), HistoryError> {
        let middle = self.stretches.keys().nth(self.stretches.len() / 2).copied();
        let Some(middle) = middle.filter(|_| self.stretches.len() > 1) else {
            return Err(self.too_large(&format!("{MAX_VALUES} numbers")));
        };
        let above = self.stretches.split_off(&middle);
        let gone = match self.order {
            Order::Ascending => {
                self.window.end = middle;
                above
            }
            Order::Descending => {
                self.window.start = middle;
                std::mem::replace(&mut self.stretches, above)
            }
        };
        self.values -= gone.values().flat_map(|stretch| &stretch.cells).map(|cell| cell.values.len()).sum::<usize>();
        Ok(())
    }

    /// One stretch alone is more than a call may take.
    pub(crate) fn too_large(&self, what: &str) -> HistoryError {
        let first = self.stretches.first_key_value().map_or(self.window.start, |(number, _)| *number);
        let granularity = self.aggregate.granularity;
        let begins = Timestamp(first.saturating_mul(granularity.nanoseconds()));
        HistoryError::TooLarge(format!(
            "the {} from {begins} on takes more than {what}, which is all that one answer may: take a shorter granularity, \
             fewer metrics or channels, or a filter",
            granularity.as_str()
        ))
    }

    /// The points, at most `limit` of them, and the stretch at which the next page goes on: ascending from it on,
    /// descending below it.
    pub(crate) fn points(self, limit: usize) -> (Points, i64) {
        let granularity = self.aggregate.granularity;
        let (order, window) = (self.order, self.window);
        let mut stretches: Vec<(i64, Stretch)> = self.stretches.into_iter().collect();
        if order == Order::Descending {
            stretches.reverse();
        }
        let (mut json, mut count) = (String::from("["), 0_usize);
        for (number, stretch) in stretches {
            let begins = Timestamp(number.saturating_mul(granularity.nanoseconds()));
            let text = points::point(begins, stretch, self.aggregate.metrics.names());
            if count == limit || count > 0 && json.len() + text.len() > MAX_BYTES {
                let rest = if order == Order::Ascending { number } else { number + 1 };
                json.push(']');
                return (Points { json, count: count as u64, ..Points::default() }, rest);
            }
            if count > 0 {
                json.push(',');
            }
            json.push_str(&text);
            count += 1;
        }
        json.push(']');
        let rest = if order == Order::Ascending { window.end } else { window.start };
        (Points { json, count: count as u64, ..Points::default() }, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Granularity;
    use bytes::Bytes;
    use headwater_event::{ChannelName, Draft, Epoch, Payload, Position};

    const SECOND: i64 = 1_000_000_000;

    fn event(seconds: i64, value: &str) -> Event {
        let data = Payload::new(Bytes::from(format!("{{\"x\":{value}}}"))).unwrap();
        let draft =
            Draft { time: Timestamp(seconds * SECOND), ..Draft::new(ChannelName::new("a").unwrap(), "t", "s", data) };
        Event::new(draft, Position { epoch: Epoch(1), offset: 1 }, uuid::Uuid::nil())
    }

    fn aggregate() -> Aggregate {
        Aggregate::new(Granularity::Second, &["x".to_owned()]).unwrap()
    }

    #[test]
    fn what_is_too_much_for_a_page_is_left_to_the_next_from_either_end() {
        let aggregate = aggregate();
        for (order, window) in [(Order::Ascending, 0..5_000), (Order::Descending, 5_000..10_001)] {
            let mut tally = Tally::new(&aggregate, order, 0..i64::MAX);
            // One more than there may be, in a mixed order.
            for second in (0..=MAX_BUCKETS as i64).rev() {
                tally.add(0, &event((second * 7) % (MAX_BUCKETS as i64 + 1), "1")).unwrap();
            }
            let half = if order == Order::Ascending { tally.window.end } else { tally.window.start };
            assert!((half - 5_000).abs() <= 1, "{half}");
            assert_eq!(tally.stretches.len(), tally.values);
            assert!(tally.stretches.keys().all(|number| window.contains(number)), "{order:?}");
            let (points, rest) = tally.points(10);
            assert_eq!((points.count, rest), (10, if order == Order::Ascending { 10 } else { MAX_BUCKETS as i64 - 9 }));
        }
    }

    #[test]
    fn one_stretch_with_too_many_values_is_an_error_that_names_it() {
        let aggregate = aggregate();
        let mut tally = Tally::new(&aggregate, Order::Ascending, 0..10);
        tally.add(0, &event(3, "1")).unwrap();
        tally.values = MAX_VALUES;
        let error = tally.add(0, &event(3, "1")).unwrap_err();
        assert!(matches!(&error, HistoryError::TooLarge(text) if text.contains("1970-01-01T00:00:03")), "{error}");
    }

    #[test]
    fn the_last_value_is_that_of_the_highest_offset_and_of_the_newest_channel() {
        let cell = |seen: &[(usize, i64, i64)]| {
            let mut cell = Cell::default();
            for (channel, value, seconds) in seen {
                cell.last.see(*channel, *value as f64, Timestamp(*seconds));
            }
            cell.last()
        };
        assert_eq!(cell(&[]), None);
        // The clock went back; the offset did not.
        assert_eq!(cell(&[(0, 1, 5), (0, 2, 3)]), Some(2.0));
        assert_eq!(cell(&[(0, 1, 5), (1, 2, 3)]), Some(1.0));
        assert_eq!(cell(&[(0, 1, 5), (1, 2, 5)]), Some(2.0));
        assert_eq!(cell(&[(0, 1, 100), (1, 2, 120), (1, 3, 90)]), Some(1.0));
    }
}
