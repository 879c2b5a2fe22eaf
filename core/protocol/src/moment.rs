//! A moment as clients write it: RFC 3339, or how long ago. In messages and in HTTP queries alike.

use crate::RequestError;
use headwater_event::Timestamp;

/// Reads the moment that a field or a query key names.
pub fn moment(field: &str, text: &str) -> Result<Timestamp, RequestError> {
    read(text, Timestamp::now()).ok_or_else(|| {
        RequestError::validation(format!(
            "`{field}` is RFC 3339, as in 2026-01-31T12:00:00Z, or how long ago, as in 5m (units ms, s, m, h, d)"
        ))
    })
}

fn read(text: &str, now: Timestamp) -> Option<Timestamp> {
    ago(text, now).or_else(|| Timestamp::parse(text))
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let nanoseconds: i64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    let span = number.parse::<i64>().ok()?.checked_mul(nanoseconds)?;
    // What is longer ago than 1970 is as long ago as can be said.
    Some(Timestamp(now.0.saturating_sub(span).max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        let now = Timestamp(1_000_000_000_000_000_000);
        let before = |nanoseconds: i64| Some(Timestamp(now.0 - nanoseconds));
        for (text, meant) in [
            ("250ms", before(250_000_000)),
            ("90s", before(90_000_000_000)),
            ("5m", before(300_000_000_000)),
            ("2h", before(7_200_000_000_000)),
            ("7d", before(604_800_000_000_000)),
            ("0s", before(0)),
            ("100000d", Some(Timestamp(0))),
            ("2024-01-01T00:00:00Z", Some(Timestamp(1_704_067_200_000_000_000))),
            ("2024-01-01T01:00:00+01:00", Some(Timestamp(1_704_067_200_000_000_000))),
        ] {
            assert_eq!(read(text, now), meant, "{text}");
        }
        for wrong in ["", "5", "m", "-5m", "5 m", "1.5h", "5w", "5M", "99999999999999999d", "yesterday", "2024-01-01"] {
            assert_eq!(read(wrong, now), None, "{wrong}");
        }
        assert!(moment("since", "soon").unwrap_err().message.contains("`since`"));
    }
}
