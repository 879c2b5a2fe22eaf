//! Points as JSON: what each stretch of time came to.
//!
//! `{"timestamp", "count", NAME: average, …, "stats": {NAME: {"count", "avg", "min", "max", "p50", "p95", "last"}}}`. A
//! metric without a number in a stretch is absent there, and a stretch without events is absent. Percentiles are of the
//! nearest rank: the value that so many of a hundred do not exceed.

use crate::{Cursor, tally::Stretch};
use headwater_event::{Gap, Timestamp};
use std::fmt::Write;

/// Names that a point has of its own. A metric of such a name stands in `stats` only.
const OWN: [&str; 3] = ["timestamp", "count", "stats"];

/// Some of the points of an answer.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// A JSON array, in the order asked for.
    pub json: String,
    /// How many they are.
    pub count: u64,
    /// What was lost of the events that the points are made of.
    pub gaps: Vec<Gap>,
    /// Where there may be more: asks for it.
    pub cursor: Option<Cursor>,
}

/// The point of a stretch.
pub(crate) fn point<'a>(begins: Timestamp, stretch: Stretch, names: impl Iterator<Item = &'a str>) -> String {
    let mut out = format!("{{\"timestamp\":\"{begins}\",\"count\":{}", stretch.events);
    let mut stats = String::new();
    for (name, cell) in names.zip(stretch.cells) {
        let last = cell.last();
        let (Some(summary), Some(last)) = (Summary::of(cell.values), last) else { continue };
        let name = serde_json::to_string(name).expect("invariant: a string serialises into memory");
        if !OWN.contains(&name.trim_matches('"')) {
            put(&mut out, &format!(",{name}:"), summary.average);
        }
        let comma = if stats.is_empty() { "" } else { "," };
        let Summary { count, average, least, greatest, p50, p95 } = summary;
        write!(stats, "{comma}{name}:{{\"count\":{count}").expect("invariant: a String takes all");
        for (key, value) in
            [("avg", average), ("min", least), ("max", greatest), ("p50", p50), ("p95", p95), ("last", last)]
        {
            put(&mut stats, &format!(",\"{key}\":"), value);
        }
        stats.push('}');
    }
    if !stats.is_empty() {
        write!(out, ",\"stats\":{{{stats}}}").expect("invariant: a String takes all");
    }
    out.push('}');
    out
}

/// What some values come to.
#[derive(Debug, PartialEq)]
struct Summary {
    count: usize,
    average: f64,
    least: f64,
    greatest: f64,
    p50: f64,
    p95: f64,
}

impl Summary {
    /// `None` of no values.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (count, least, greatest) = (values.len(), *values.first()?, *values.last()?);
        let rank = |percent: usize| values[(count * percent).div_ceil(100).max(1) - 1];
        Some(Self { count, average: average(&values), least, greatest, p50: rank(50), p95: rank(95) })
    }
}

/// The mean, with what each addition rounds away added up too (Neumaier): a plain sum of many values drifts.
fn average(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for &value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    let mean = (sum + lost) / count;
    // The sum is too large for a float; its parts are not.
    if mean.is_finite() { mean } else { values.iter().map(|value| value / count).sum() }
}

/// Appends a key with its comma and a number; whole numbers without a fraction, as sources write them.
fn put(out: &mut String, key: &str, value: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    out.push_str(key);
    if value.fract() == 0.0 && value.abs() < EXACT {
        write!(out, "{}", value as i64).expect("invariant: a String takes all");
    } else {
        out.push_str(&serde_json::to_string(&value).expect("invariant: a number serialises into memory"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |values: &[f64]| Summary::of(values.to_vec()).map(|summary| (summary.p50, summary.p95));
        let run = |count: u32| (1..=count).rev().map(f64::from).collect::<Vec<_>>();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7.0]), Some((7.0, 7.0)));
        assert_eq!(of(&[2.0, 1.0]), Some((1.0, 2.0)));
        assert_eq!(of(&run(3)), Some((2.0, 3.0)));
        assert_eq!(of(&run(20)), Some((10.0, 19.0)));
        assert_eq!(of(&run(21)), Some((11.0, 20.0)));
        assert_eq!(of(&run(100)), Some((50.0, 95.0)));
        assert_eq!(of(&run(101)), Some((51.0, 96.0)));
    }

    #[test]
    fn an_average_neither_drifts_nor_overflows() {
        assert!((average(&[0.1; 10]) - 0.1).abs() < 1e-17);
        let large = [1e16, 1.0, 1.0, -1e16];
        assert!((average(&large) - 0.5).abs() < f64::EPSILON);
        assert!((average(&[1.7e308, 1.7e308, 1.7e308]) / 1.7e308 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_number_is_written_as_sources_write_it() {
        for (value, text) in [
            (61.0, "61"),
            (-0.0, "0"),
            (0.5, "0.5"),
            (1e300, "1e+300"),
            (9_007_199_254_740_994.0, "9007199254740994.0"),
        ] {
            let mut out = String::new();
            put(&mut out, "", value);
            assert_eq!(out, text);
        }
    }
}
