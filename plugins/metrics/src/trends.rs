//! Which way a figure goes: the slope of Theil and Sen over its last points, which a few outliers do not turn.

use headwater_plugin::payload;
use std::{collections::VecDeque, time::Duration};

/// The points that are looked at.
const POINTS: usize = 60;

/// With fewer nothing is said.
const LEAST: usize = 12;

/// A change of less than this part of the middle value is none.
const PART: f64 = 0.05;

/// The last points of one figure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// Seconds and value.
    points: VecDeque<(f64, f64)>,
}

/// Which way it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Increasing,
    Decreasing,
    Stable,
}

/// What the points say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trend {
    pub(crate) direction: Direction,
    /// Change a minute, as a part of the middle value; absent where that is 0.
    pub(crate) per_minute: Option<f64>,
}

/// The member `trends` of the event. What has too few points is absent.
#[payload]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the members of the event")]
pub struct Trends {
    /// Of `cpu_usage_percent`.
    pub cpu_trend: Option<&'static str>,
    /// Of `memory_usage_mb`.
    pub memory_trend: Option<&'static str>,
    /// Of `avg_response_time_ms`; answers that come sooner are an improvement.
    pub response_time_trend: Option<&'static str>,
    /// Of `error_rate`.
    pub error_rate_trend: Option<&'static str>,
}

impl Trends {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Direction {
    /// The seeds' word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Decreasing => "decreasing",
            Self::Stable => "stable",
        }
    }
}

impl Series {
    /// One more point; what is not known is no point.
    pub(crate) fn push(&mut self, at: Duration, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back((at.as_secs_f64(), value));
    }

    /// What they say; `None` where they are too few. `room` is for the slopes, and kept by the caller for its allocation.
    pub(crate) fn trend(&self, room: &mut Vec<f64>) -> Option<Trend> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        if self.points.len() < LEAST {
            return None;
        }
        room.clear();
        for (index, (at, value)) in self.points.iter().enumerate() {
            let later = self.points.iter().skip(index + 1).filter(|(then, _)| then > at);
            room.extend(later.map(|(then, other)| (other - value) / (then - at)));
        }
        let slope = median(room)?;
        room.clear();
        room.extend(self.points.iter().map(|(_, value)| *value));
        let middle = median(room)?;
        for value in room.iter_mut() {
            *value = (*value - middle).abs();
        }
        let spread = median(room)?;
        let change = slope * (last.0 - first.0);
        let direction = if change.abs() <= (PART * middle.abs()).max(2.0 * spread) {
            Direction::Stable
        } else if change > 0.0 {
            Direction::Increasing
        } else {
            Direction::Decreasing
        };
        let per_minute = Some(slope * 60.0 / middle.abs()).filter(|rate| rate.is_finite());
        Some(Trend { direction, per_minute })
    }
}

/// The middle value; of two, the mean. The order changes.
fn median(values: &mut [f64]) -> Option<f64> {
    let half = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let odd = values.len() % 2 == 1;
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if odd {
        return Some(middle);
    }
    let other = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(middle, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(values: impl IntoIterator<Item = f64>) -> Series {
        let mut series = Series::default();
        for (second, value) in (0_u64..).zip(values) {
            series.push(Duration::from_secs(second), Some(value));
        }
        series
    }

    fn direction(values: impl IntoIterator<Item = f64>) -> Option<Direction> {
        series(values).trend(&mut Vec::new()).map(|trend| trend.direction)
    }

    #[test]
    fn what_rises_and_falls_is_told_and_what_stays_is_stable() {
        assert_eq!(direction((0..60).map(f64::from)), Some(Direction::Increasing));
        assert_eq!(direction((0..60).map(|n| 100.0 - f64::from(n))), Some(Direction::Decreasing));
        assert_eq!(direction([50.0; 60]), Some(Direction::Stable));
        assert_eq!(direction([0.0; 60]), Some(Direction::Stable));
        assert_eq!(direction((0..60).map(|n| 100.0 + f64::from(n) * 0.08)), Some(Direction::Stable), "less than 5 %");
        assert_eq!(direction((0..11).map(f64::from)), None, "too few to say anything");
        assert_eq!(series([f64::NAN; 60]).points.len(), 0);
    }

    #[test]
    fn the_rate_is_a_part_of_the_middle_value_a_minute() {
        let trend = series((0..61).map(|second| 100.0 + f64::from(second))).trend(&mut Vec::new()).unwrap();
        assert!((trend.per_minute.unwrap() - 60.0 / 130.5).abs() < 1e-9, "{trend:?}");
    }

    /// The old points go, and with them what they said.
    #[test]
    fn only_the_last_points_count() {
        let rising = (0..200).map(f64::from);
        assert_eq!(direction(rising.chain([200.0; 60])), Some(Direction::Stable));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// A quarter of the points may be anything.
        #[test]
        fn outliers_do_not_turn_it(
            outliers in prop::collection::vec((0_usize..60, -1e6_f64..1e6), 0..13),
            slope in 1.0_f64..50.0,
        ) {
            let mut values: Vec<f64> = (0..60).map(|n| f64::from(n) * slope).collect();
            for (place, value) in outliers {
                values[place] = value;
            }
            prop_assert_ne!(direction(values), Some(Direction::Decreasing));
        }

        /// Noise without a direction has none: 60 points, drawn alike.
        #[test]
        fn noise_around_a_level_hardly_ever_has_a_direction(seed in any::<u64>()) {
            let mut state = seed | 1;
            let mut noise = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 11) as f64 / (1_u64 << 53) as f64
            };
            let told = (0..20).filter(|_| direction((0..60).map(|_| noise())) != Some(Direction::Stable)).count();
            prop_assert!(told <= 5, "{told} of 20");
        }

        /// Upside down it goes the other way; in other units, and later, the same way.
        #[test]
        fn it_knows_no_units(values in prop::collection::vec(1.0_f64..1_000.0, 12..60), unit in 0.001_f64..1_000.0) {
            let plain = direction(values.iter().copied());
            // On the very edge rounding may decide.
            let scaled = direction(values.iter().map(|value| value * unit));
            let turned = direction(values.iter().map(|value| -value));
            let edge = |a: Option<Direction>, b| a == b || a == Some(Direction::Stable) || b == Some(Direction::Stable);
            prop_assert!(edge(plain, scaled));
            let expected = plain.map(|direction| match direction {
                Direction::Increasing => Direction::Decreasing,
                Direction::Decreasing => Direction::Increasing,
                Direction::Stable => Direction::Stable,
            });
            prop_assert_eq!(turned, expected);
        }
    }
}
