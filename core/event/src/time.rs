//! When an event was observed. Offsets, not clocks, order events.

use crate::digits::DECIMAL;
use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// Nanoseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The machine's clock.
    pub fn now() -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339, as in `2024-01-01T00:00:00Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(stamp.as_nanosecond()).ok().map(Self)
    }

    /// RFC 3339 in UTC with microseconds, as ASCII: `2026-11-20T09:30:00.123456Z`. By hand, for it is written into every
    /// event's message, where a general printer would be a good part of the whole.
    pub fn rfc_3339(self) -> [u8; 27] {
        const SECOND: i64 = 1_000_000_000;
        // Counted from the first of March of the year 0, so that nothing is negative: what 64 bits of nanoseconds reach lies
        // between 1677 and 2262.
        let seconds = (self.0.div_euclid(SECOND) + 719_468 * 86_400) as u64;
        let (year, month, day) = date((seconds / 86_400) as u32);
        let (second, micros) = ((seconds % 86_400) as u32, self.0.rem_euclid(SECOND) as u32 / 1_000);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |place: usize, value: u32| {
            text[place..place + 2].copy_from_slice(&DECIMAL[value as usize]);
        };
        put(0, year / 100);
        put(2, year % 100);
        put(5, month);
        put(8, day);
        put(11, second / 3_600);
        put(14, second / 60 % 60);
        put(17, second % 60);
        put(20, micros / 10_000);
        put(22, micros / 100 % 100);
        put(24, micros % 100);
        text
    }
}

/// Year, month and day of a day counted from the first of March of the year 0: the Gregorian calendar in eras of 400 years
/// that begin in March, so that a leap day is the last of its year.
fn date(day: u32) -> (u32, u32, u32) {
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u32::from(month <= 2), month, day)
}

/// As [`Timestamp::rfc_3339`].
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.rfc_3339();
        f.write_str(std::str::from_utf8(&text).expect("invariant: digits and signs are ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_both_ways() {
        let stamp = Timestamp::parse("2024-01-01T00:00:00Z").unwrap();
        assert_eq!(stamp.0, 1_704_067_200_000_000_000);
        assert_eq!(stamp.to_string(), "2024-01-01T00:00:00.000000Z");
        assert!(Timestamp::parse("yesterday").is_none());
    }

    /// The calendar as jiff has it, at its ends, at leap days, and anywhere between.
    #[test]
    fn it_is_written_as_jiff_writes_it() {
        let day = 86_400_000_000_000_i64;
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 999, 1_000, i64::MAX - 1, i64::MAX];
        let days = (-106_000..106_000).flat_map(|n: i64| [n * day - 1, n * day]);
        let between = (1..20_000_i64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64));
        for nanos in ends.into_iter().chain(days).chain(between) {
            let stamp = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            // jiff cuts towards zero, which before 1970 is the later microsecond.
            let down =
                stamp.round(jiff::TimestampRound::new().smallest(jiff::Unit::Microsecond).mode(jiff::RoundMode::Floor));
            let expected = format!("{:.6}", down.unwrap());
            assert_eq!(Timestamp(nanos).to_string(), expected, "{nanos}");
        }
    }
}
