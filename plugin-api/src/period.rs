//! A span of time as a config writes it: a string with its unit.

use crate::schema::{ConfigType, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, ops::Deref, str::FromStr, time::Duration};

/// The units, longest first, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// The longest span that is taken: deadlines are computed by adding to the clock, and this much can always be added.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// A span of time, in a config `"250ms"`, `"1.5s"`, `"5m"`, `"1h 30m"`; it derefs to [`Duration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

impl Period {
    /// This many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// This many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The span as std has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Deref for Period {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

/// Milliseconds.
impl From<u64> for Period {
    fn from(milliseconds: u64) -> Self {
        Self::from_millis(milliseconds)
    }
}

/// Why a string is no [`Period`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodError(String);

impl fmt::Display for PeriodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PeriodError {}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let no_period = || PeriodError(format!("`{text}` is no duration; write a number and a unit, like \"5s\""));
        let mut rest = text.trim();
        let mut nanos: u128 = 0;
        if rest.is_empty() {
            return Err(no_period());
        }
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c| !matches!(c, '0'..='9' | '.')).unwrap_or(rest.len()));
            let after = after.trim_start();
            let (unit, tail) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
            if unit.is_empty() && !number.is_empty() && after.is_empty() {
                let text = text.trim();
                return Err(PeriodError(format!("`{text}` has no unit; write \"{text}s\" or \"{text}ms\"")));
            }
            let unit = if unit == "µs" { "us" } else { unit };
            let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(no_period)?;
            nanos = nanos.saturating_add(decimal(number, *scale).ok_or_else(no_period)?);
            rest = tail.trim_start();
        }
        if nanos > LONGEST.as_nanos() {
            return Err(PeriodError(format!("`{text}` is longer than a year")));
        }
        Ok(Self(Duration::from_nanos(nanos as u64)))
    }
}

/// `number` (digits, at most one point) times `scale`, exactly.
fn decimal(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 18)?;
    let below = fraction.parse::<u128>().ok()?.checked_mul(scale)? / 10_u128.pow(places);
    whole.parse::<u128>().ok()?.checked_mul(scale)?.checked_add(below)
}

/// With the largest unit that fits evenly: `90s`, `1500ms`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match UNITS.iter().find(|(_, size)| nanos > 0 && nanos.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", nanos / size),
            None if nanos == 0 => f.write_str("0s"),
            None => write!(f, "{}us", nanos as f64 / 1_000.0),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl ConfigType for Period {
    const SCHEMA: &'static Schema = &Schema::Text { format: Some("duration"), example: Some("1s") };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<u128> {
        text.parse::<Period>().ok().map(|p| p.as_millis())
    }

    #[test]
    fn a_period_is_read_with_its_unit() {
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1.5s"), Some(1500));
        assert_eq!(millis(" 1h 30m "), Some(5_400_000));
        assert_eq!(millis("0s"), Some(0));
        for wrong in ["", "5", "fast", "5 fortnights", "-1s", "1..5s", "1.s", "400d", "s"] {
            assert_eq!(millis(wrong), None, "{wrong:?}");
        }
        let error = "5".parse::<Period>().unwrap_err();
        assert_eq!(error.to_string(), "`5` has no unit; write \"5s\" or \"5ms\"");
    }

    #[test]
    fn a_period_writes_what_it_reads() {
        for text in ["0s", "250ms", "1s", "90s", "5m", "2h", "3d", "17us"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!(serde_json::to_string(&Period::from_millis(1500)).unwrap(), "\"1500ms\"");
    }
}
