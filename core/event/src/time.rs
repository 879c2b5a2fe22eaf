//! When an event was observed. Offsets, not clocks, order events.

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
}

/// RFC 3339 in UTC with microseconds: `2026-11-20T09:30:00.123456Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{stamp:.6}")
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
}
