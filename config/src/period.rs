//! A span of time as the config writes it: a string with its unit, `"250ms"`, `"5s"`, `"1h"`.
//!
//! The structs of [`crate::schema`] hold plain [`Duration`]s; this type is how they are read, written and described.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

/// The longest period that is taken. Deadlines are computed by adding to the clock, and this much can always be added.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// The units, longest first, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// A span of time with its unit: `"250ms"`, `"1.5s"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// Why a string is no [`Period`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Nothing was given.
    #[error("a duration cannot be empty")]
    Empty,
    /// A number without a unit: `"5"`.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit that is not one of ours: `"5 fortnights"`.
    #[error("`{0}` is no unit of time")]
    Unit(String),
    /// No number where one belongs: `"fast"`.
    #[error("`{0}` is no duration")]
    Number(String),
    /// More than a year, which is surely meant otherwise.
    #[error("`{0}` is longer than a year")]
    TooLong(String),
}

impl PeriodError {
    /// What to write instead.
    pub fn fix(&self) -> String {
        match self {
            Self::NoUnit(number) => format!("write \"{number}s\" for seconds or \"{number}ms\" for milliseconds"),
            Self::Unit(_) => "use us, ms, s, m, h or d".to_owned(),
            Self::TooLong(_) => "at most \"366d\"".to_owned(),
            Self::Empty | Self::Number(_) => "write a number and a unit, like \"5s\"".to_owned(),
        }
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(PeriodError::Empty);
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let after = after.trim_start();
            let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let (unit, tail) = after.split_at(end);
            if number.is_empty() {
                return Err(PeriodError::Number(text.to_owned()));
            }
            if unit.is_empty() {
                let bare = after.is_empty() && decimal(number, 1).is_some();
                return Err(if bare { PeriodError::NoUnit } else { PeriodError::Number }(text.trim().to_owned()));
            }
            let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit || (*name == "us" && unit == "µs"))
            else {
                return Err(PeriodError::Unit(unit.to_owned()));
            };
            let part = decimal(number, *nanos).ok_or_else(|| PeriodError::Number(text.to_owned()))?;
            total = total.saturating_add(part);
            rest = tail.trim_start();
        }
        if total > LONGEST.as_nanos() {
            return Err(PeriodError::TooLong(text.to_owned()));
        }
        // A year of nanoseconds is 3·10^16: it fits.
        Ok(Self(Duration::from_nanos(total as u64)))
    }
}

/// `number` (digits, at most one `.`) times `scale`, exactly; `None` when it is no number.
pub(crate) fn decimal(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 18)?;
    let below = fraction.parse::<u128>().ok()?.checked_mul(scale)? / 10_u128.pow(places);
    whole.parse::<u128>().ok()?.checked_mul(scale)?.checked_add(below)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            if nanos.is_multiple_of(size) {
                return write!(f, "{}{unit}", nanos / size);
            }
        }
        write!(f, "{}us", nanos as f64 / 1_000.0)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|e: PeriodError| serde::de::Error::custom(format!("{e}; {}", e.fix())))
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Not `format: duration`: that is ISO 8601's `PT5S` to an editor that checks formats.
        json_schema!({
            "type": "string",
            "format": "period",
            "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*(us|µs|ms|s|m|h|d)\s*)+$",
        })
    }
}

/// For `#[serde(with = "period::plain")]`: a [`Duration`] written as a [`Period`].
pub(crate) mod plain {
    use super::{Duration, Period};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Period(*value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Ok(Period::deserialize(deserializer)?.0)
    }
}

/// The same for an option, `None` being left out.
pub(crate) mod optional {
    use super::{Duration, Period, plain};
    use serde::{Deserialize, Deserializer, Serializer};

    // serde's `with` gives the reference.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => plain::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Period>::deserialize(deserializer)?.map(|period| period.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Duration, PeriodError> {
        text.parse::<Period>().map(|p| p.0)
    }

    #[test]
    fn units_are_read() {
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(read(" 1.5 s "), Ok(Duration::from_millis(1500)));
        assert_eq!(read("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(read("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(read("2µs"), Ok(Duration::from_micros(2)));
        assert_eq!(read("0s"), Ok(Duration::ZERO));
        assert_eq!(read("366d"), Ok(LONGEST));
    }

    #[test]
    fn faults_name_the_fix() {
        assert_eq!(read(""), Err(PeriodError::Empty));
        assert_eq!(read("5"), Err(PeriodError::NoUnit("5".into())));
        assert_eq!(read("5 sec"), Err(PeriodError::Unit("sec".into())));
        assert_eq!(read("fast"), Err(PeriodError::Number("fast".into())));
        assert_eq!(read("-5s"), Err(PeriodError::Number("-5s".into())));
        assert_eq!(read("1.2.3s"), Err(PeriodError::Number("1.2.3s".into())));
        assert_eq!(read(".5s"), Err(PeriodError::Number(".5s".into())));
        assert_eq!(read("5s,"), Err(PeriodError::Number("5s,".into())));
        assert_eq!(read("400d"), Err(PeriodError::TooLong("400d".into())));
        let huge = format!("{}s", "9".repeat(60));
        assert!(matches!(read(&huge), Err(PeriodError::Number(_))));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["0s", "250ms", "1s", "90s", "5m", "2h", "3d", "17us"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
    }
}
