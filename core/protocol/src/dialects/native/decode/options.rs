//! From `options` of a `subscribe` message to values. Each option has a range; outside of it the option is named.

use super::field::{self, Field};
use crate::{ConflateBy, LagPolicy, Options, Pace, RequestError};
use headwater_event::Severity;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// The longest wait that a subscription can ask for, in milliseconds: an hour. What is gathered meanwhile is read from
/// the log, which a reader that asks for days would only fall off.
const MAX_WAIT_MS: u64 = 3_600_000;
/// The most events that are gathered before they are sent.
const MAX_GATHERED: u64 = 10_000;
/// The furthest that a subscription can be allowed to fall behind; without the option nothing limits it but the log.
const MAX_BEHIND: u64 = 10_000_000;
/// The most types that go first, and the longest: each event is compared with them.
const MAX_PRIORITIES: usize = 64;
const MAX_TYPE: usize = 128;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw<'a> {
    #[serde(borrow)]
    include_historical: Field<'a>,
    #[serde(borrow)]
    filter_level: Field<'a>,
    #[serde(borrow)]
    lag_policy: Field<'a>,
    #[serde(borrow)]
    streaming_mode: Field<'a>,
    #[serde(borrow)]
    throttle_ms: Field<'a>,
    #[serde(borrow)]
    buffer_interval_ms: Field<'a>,
    #[serde(borrow)]
    max_buffer_size: Field<'a>,
    #[serde(borrow)]
    buffer_size: Field<'a>,
    #[serde(borrow)]
    priority_events: Field<'a>,
}

#[derive(Clone, Copy)]
enum Mode {
    Realtime,
    Buffered,
}

/// Reads the options; those that are not given have the seeds' defaults.
pub(super) fn read(options: Field<'_>) -> Result<Options, RequestError> {
    let Some(options) = options else { return Ok(Options::default()) };
    field::is_object("`options`", options)?;
    let raw: Raw<'_> = super::from_str(options.get())?;
    let historical = field::read("option `include_historical`", raw.include_historical, "true or false")?;
    let behind = field::number("option `buffer_size`", raw.buffer_size, 1..=MAX_BEHIND)?;
    Ok(Options {
        include_historical: historical.unwrap_or(false),
        filter_level: filter_level(raw.filter_level)?,
        lag_policy: raw.lag_policy.map(lag_policy).transpose()?.flatten(),
        buffer_size: behind.map(|events| events as usize),
        pace: pace(&raw)?,
        priority_events: field::texts("option `priority_events`", raw.priority_events, MAX_PRIORITIES, MAX_TYPE)?,
    })
}

fn filter_level(level: Field<'_>) -> Result<Option<Severity>, RequestError> {
    let place = "option `filter_level`";
    let word: Option<String> = field::read(place, level, "one of debug, info, warning, error, critical")?;
    word.map(|word| word.parse().map_err(|error| RequestError::validation(format!("{place}: {error}")))).transpose()
}

/// Options of the other mode are checked and have no effect, as the seeds have it.
fn pace(raw: &Raw<'_>) -> Result<Pace, RequestError> {
    let modes = [("realtime", Mode::Realtime), ("buffered", Mode::Buffered)];
    let mode = field::word("option `streaming_mode`", raw.streaming_mode, &modes)?;
    let throttle = milliseconds("option `throttle_ms`", raw.throttle_ms, 0)?;
    let interval = milliseconds("option `buffer_interval_ms`", raw.buffer_interval_ms, 1)?;
    let size = field::number("option `max_buffer_size`", raw.max_buffer_size, 1..=MAX_GATHERED)?;
    Ok(match mode.unwrap_or(Mode::Realtime) {
        Mode::Realtime => Pace::Realtime { throttle: throttle.unwrap_or(Duration::ZERO) },
        Mode::Buffered => Pace::Buffered {
            interval: interval.unwrap_or(Pace::INTERVAL),
            size: size.map_or(Pace::SIZE, |size| size as usize),
        },
    })
}

fn milliseconds(place: &str, field: Field<'_>, least: u64) -> Result<Option<Duration>, RequestError> {
    Ok(field::number(place, field, least..=MAX_WAIT_MS)?.map(Duration::from_millis))
}

/// A word, or an object with `policy` and what that policy needs.
fn lag_policy(raw: &RawValue) -> Result<Option<LagPolicy>, RequestError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Object<'a> {
        policy: String,
        #[serde(default)]
        key: Option<String>,
        #[serde(borrow, default)]
        interval_ms: Field<'a>,
    }
    let what = "\"store\", \"gap\", \"latest\", \"disconnect\", {\"policy\": \"latest\", \"key\"} or \
                {\"policy\": \"sample\", \"interval_ms\"}";
    let wrong = || RequestError::validation(format!("option `lag_policy` is {what}"));
    let Object { policy, key, interval_ms } = if raw.get().starts_with('{') {
        serde_json::from_str(raw.get()).map_err(|_| wrong())?
    } else {
        match field::read("option `lag_policy`", Some(raw), what)? {
            Some(policy) => Object { policy, key: None, interval_ms: None },
            None => return Ok(None),
        }
    };
    Ok(Some(match (policy.as_str(), key, interval_ms) {
        ("store", None, None) => LagPolicy::Store,
        ("gap", None, None) => LagPolicy::Gap,
        ("disconnect", None, None) => LagPolicy::Disconnect,
        ("latest", key, None) => LagPolicy::Latest { key: conflate_by(key.as_deref())? },
        ("sample", None, Some(interval)) => {
            let interval = milliseconds("option `lag_policy`, `interval_ms`", Some(interval), 1)?.ok_or_else(wrong)?;
            LagPolicy::Sample { interval }
        }
        _ => return Err(wrong()),
    }))
}

fn conflate_by(key: Option<&str>) -> Result<ConflateBy, RequestError> {
    match key {
        None | Some("key") => Ok(ConflateBy::Key),
        Some("type") => Ok(ConflateBy::Type),
        Some(other) => match other.strip_prefix("attributes.") {
            Some(name) if !name.is_empty() => Ok(ConflateBy::Attribute(name.into())),
            _ => {
                Err(RequestError::validation("option `lag_policy`, `key` is \"key\", \"type\" or \"attributes.NAME\""))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn options(json: &str) -> Result<Options, RequestError> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        read(Some(&raw))
    }

    fn buffered(interval_ms: u64, size: usize) -> Options {
        Options { pace: Pace::Buffered { interval: Duration::from_millis(interval_ms), size }, ..Options::default() }
    }

    fn throttled(ms: u64) -> Options {
        Options { pace: Pace::Realtime { throttle: Duration::from_millis(ms) }, ..Options::default() }
    }

    fn level(severity: Severity) -> Options {
        Options { filter_level: Some(severity), ..Options::default() }
    }

    /// The options of the seeds, one by one: the default, the least, the most, and what they do to each other.
    #[test]
    fn every_option_of_the_seeds_is_understood() {
        let behind = |events| Options { buffer_size: Some(events), ..Options::default() };
        let historical = Options { include_historical: true, ..Options::default() };
        let first = Options { priority_events: vec!["a".into(), "b".into()], ..Options::default() };
        for (json, meant) in [
            ("{}", Options::default()),
            (r#"{"unknown":[1]}"#, Options::default()),
            (r#"{"include_historical":true}"#, historical),
            (r#"{"include_historical":false}"#, Options::default()),
            (r#"{"include_historical":null}"#, Options::default()),
            (r#"{"buffer_size":1}"#, behind(1)),
            (r#"{"buffer_size":100}"#, behind(100)),
            (r#"{"buffer_size":10000000}"#, behind(10_000_000)),
            (r#"{"filter_level":"debug"}"#, level(Severity::Debug)),
            (r#"{"filter_level":"info"}"#, level(Severity::Info)),
            (r#"{"filter_level":"low"}"#, level(Severity::Info)),
            (r#"{"filter_level":"warning"}"#, level(Severity::Warning)),
            (r#"{"filter_level":"medium"}"#, level(Severity::Warning)),
            (r#"{"filter_level":"error"}"#, level(Severity::Error)),
            (r#"{"filter_level":"high"}"#, level(Severity::Error)),
            (r#"{"filter_level":"critical"}"#, level(Severity::Critical)),
            (r#"{"streaming_mode":"realtime"}"#, throttled(0)),
            (r#"{"throttle_ms":0}"#, throttled(0)),
            (r#"{"throttle_ms":100}"#, throttled(100)),
            (r#"{"throttle_ms":3600000,"streaming_mode":"realtime"}"#, throttled(3_600_000)),
            (r#"{"streaming_mode":"buffered"}"#, buffered(5000, 50)),
            (r#"{"streaming_mode":"buffered","buffer_interval_ms":1}"#, buffered(1, 50)),
            (r#"{"streaming_mode":"buffered","max_buffer_size":1}"#, buffered(5000, 1)),
            (
                r#"{"streaming_mode":"buffered","buffer_interval_ms":3600000,"max_buffer_size":10000}"#,
                buffered(3_600_000, 10_000),
            ),
            (r#"{"streaming_mode":"buffered","throttle_ms":100}"#, buffered(5000, 50)),
            (r#"{"buffer_interval_ms":10,"max_buffer_size":5}"#, Options::default()),
            (r#"{"priority_events":[]}"#, Options::default()),
            (r#"{"priority_events":["a","b"]}"#, first),
        ] {
            assert_eq!(options(json).unwrap(), meant, "{json}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_named_with_the_range() {
        let many = format!(r#"{{"priority_events":{}}}"#, serde_json::json!(vec!["a"; 65]));
        for (json, option, range) in [
            (r#"{"include_historical":"yes"}"#, "include_historical", "true or false"),
            (r#"{"buffer_size":0}"#, "buffer_size", "1 to 10000000"),
            (r#"{"buffer_size":10000001}"#, "buffer_size", "1 to 10000000"),
            (r#"{"buffer_size":-1}"#, "buffer_size", "1 to 10000000"),
            (r#"{"buffer_size":1.5}"#, "buffer_size", "1 to 10000000"),
            (r#"{"buffer_size":"100"}"#, "buffer_size", "1 to 10000000"),
            (r#"{"filter_level":"loud"}"#, "filter_level", "critical"),
            (r#"{"filter_level":3}"#, "filter_level", "critical"),
            (r#"{"streaming_mode":"fast"}"#, "streaming_mode", "\"realtime\" or \"buffered\""),
            (r#"{"streaming_mode":true}"#, "streaming_mode", "\"realtime\" or \"buffered\""),
            (r#"{"throttle_ms":3600001}"#, "throttle_ms", "0 to 3600000"),
            (r#"{"throttle_ms":-1}"#, "throttle_ms", "0 to 3600000"),
            (r#"{"streaming_mode":"buffered","throttle_ms":"x"}"#, "throttle_ms", "0 to 3600000"),
            (r#"{"buffer_interval_ms":0}"#, "buffer_interval_ms", "1 to 3600000"),
            (r#"{"buffer_interval_ms":3600001}"#, "buffer_interval_ms", "1 to 3600000"),
            (r#"{"max_buffer_size":0}"#, "max_buffer_size", "1 to 10000"),
            (r#"{"max_buffer_size":10001}"#, "max_buffer_size", "1 to 10000"),
            (r#"{"priority_events":"a"}"#, "priority_events", "a list of at most 64"),
            (r#"{"priority_events":[""]}"#, "priority_events", "1 to 128 bytes"),
            (many.as_str(), "priority_events", "at most 64"),
            (r#"{"lag_policy":"wait"}"#, "lag_policy", "\"store\""),
            (r#"{"lag_policy":"sample"}"#, "lag_policy", "interval_ms"),
            (r#"{"lag_policy":{"policy":"sample"}}"#, "lag_policy", "interval_ms"),
            (r#"{"lag_policy":{"policy":"sample","interval_ms":0}}"#, "interval_ms", "1 to 3600000"),
            (r#"{"lag_policy":{"policy":"gap","key":"type"}}"#, "lag_policy", "\"gap\""),
            (r#"{"lag_policy":{"policy":"latest","key":"data.x"}}"#, "lag_policy", "attributes.NAME"),
            (r#"{"lag_policy":{"policy":"latest","key":"attributes."}}"#, "lag_policy", "attributes.NAME"),
            (r#"{"lag_policy":["gap"]}"#, "lag_policy", "\"store\""),
            (r#"["gap"]"#, "options", "an object"),
            ("7", "options", "an object"),
        ] {
            let error = options(json).unwrap_err();
            assert!(error.message.contains(option) && error.message.contains(range), "{json}: {error}");
            assert_eq!(error.code, ErrorCode::Validation, "{json}");
        }
    }

    #[test]
    fn every_lag_policy_is_understood() {
        let latest = |key| Some(LagPolicy::Latest { key });
        let sample = Some(LagPolicy::Sample { interval: Duration::from_millis(250) });
        for (json, meant) in [
            ("null", None),
            (r#""store""#, Some(LagPolicy::Store)),
            (r#""gap""#, Some(LagPolicy::Gap)),
            (r#""disconnect""#, Some(LagPolicy::Disconnect)),
            (r#""latest""#, latest(ConflateBy::Key)),
            (r#"{"policy":"gap"}"#, Some(LagPolicy::Gap)),
            (r#"{"policy":"latest"}"#, latest(ConflateBy::Key)),
            (r#"{"policy":"latest","key":"key"}"#, latest(ConflateBy::Key)),
            (r#"{"policy":"latest","key":"type"}"#, latest(ConflateBy::Type)),
            (r#"{"policy":"latest","key":"attributes.pane"}"#, latest(ConflateBy::Attribute("pane".into()))),
            (r#"{"policy":"sample","interval_ms":250}"#, sample),
        ] {
            assert_eq!(options(&format!(r#"{{"lag_policy":{json}}}"#)).unwrap().lag_policy, meant, "{json}");
        }
    }
}
