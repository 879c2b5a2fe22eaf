//! Times of events for people: the local time of day, with the date when it is not today's.

use jiff::{Timestamp, tz::TimeZone};

/// Shows times in one zone.
pub(crate) struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// The machine's zone, or `TZ`.
    pub(crate) fn local() -> Self {
        Self { zone: TimeZone::system() }
    }

    #[cfg(test)]
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// `10:02:11`, or `11-19 10:02:11` on another day than `now`. What is no RFC 3339 is shown as it is.
    pub(crate) fn show(&self, timestamp: &str, now: Timestamp) -> String {
        let Ok(stamp) = timestamp.parse::<Timestamp>() else {
            return crate::text::visible(timestamp).into_owned();
        };
        let (local, today) = (stamp.to_zoned(self.zone.clone()), now.to_zoned(self.zone.clone()));
        let format = if local.date() == today.date() { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
        local.strftime(format).to_string()
    }

    /// As short as it can be: `10:02`, or `11-19` on another day than `now`.
    pub(crate) fn short(&self, stamp: Timestamp, now: Timestamp) -> String {
        let (local, today) = (stamp.to_zoned(self.zone.clone()), now.to_zoned(self.zone.clone()));
        local.strftime(if local.date() == today.date() { "%H:%M" } else { "%m-%d" }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_shows_its_date() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(Clock::utc().show("2026-11-20T10:02:11.123456Z", now), "10:02:11");
        assert_eq!(Clock::utc().show("2026-11-19T10:02:11Z", now), "11-19 10:02:11");
        assert_eq!(Clock::utc().show("soon\x1b", now), "soon␛");
        let short = |stamp: &str| Clock::utc().short(stamp.parse().unwrap(), now);
        assert_eq!((short("2026-11-20T10:02:11Z"), short("2026-11-19T10:02:11Z")), ("10:02".into(), "11-19".into()));
    }
}
