//! The functions of expressions: searching in texts, sizes, conversions, and the parts of times. Times are UTC.

use super::{
    budget::{Budget, Undefined},
    value::Value,
};
use headwater_event::Timestamp;
use jiff::{civil::DateTime, tz::Offset};

/// Looks for one text in another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Search {
    StartsWith,
    EndsWith,
    Contains,
}

impl Search {
    pub(super) const ALL: [(&str, Self); 3] =
        [("startsWith", Self::StartsWith), ("endsWith", Self::EndsWith), ("contains", Self::Contains)];

    pub(super) fn found(self, text: &Value<'_>, part: &Value<'_>, budget: &Budget) -> Result<bool, Undefined> {
        let (Value::Text(text), Value::Text(part)) = (text, part) else { return Err(Undefined) };
        Ok(match self {
            Self::StartsWith => text.starts_with(&**part),
            Self::EndsWith => text.ends_with(&**part),
            Self::Contains => {
                budget.read(text.len() + part.len())?;
                text.contains(&**part)
            }
        })
    }
}

/// What is computed from one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Size,
    Int,
    UInt,
    Double,
    String,
    Bool,
    Timestamp,
    Duration,
    Part(Part),
}

/// A part of a time; the last four also of a length of time, as a whole number of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    FullYear,
    /// From 0, as CEL has it.
    Month,
    /// From 1.
    Date,
    /// From 0.
    DayOfMonth,
    /// From 0, Sunday.
    DayOfWeek,
    /// From 0.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Function {
    /// Called as `f(x)`.
    pub(super) const GLOBAL: [(&str, Self); 8] = [
        ("size", Self::Size),
        ("int", Self::Int),
        ("uint", Self::UInt),
        ("double", Self::Double),
        ("string", Self::String),
        ("bool", Self::Bool),
        ("timestamp", Self::Timestamp),
        ("duration", Self::Duration),
    ];

    /// Called as `x.f()`.
    pub(super) const MEMBER: [(&str, Self); 11] = [
        ("size", Self::Size),
        ("getFullYear", Self::Part(Part::FullYear)),
        ("getMonth", Self::Part(Part::Month)),
        ("getDate", Self::Part(Part::Date)),
        ("getDayOfMonth", Self::Part(Part::DayOfMonth)),
        ("getDayOfWeek", Self::Part(Part::DayOfWeek)),
        ("getDayOfYear", Self::Part(Part::DayOfYear)),
        ("getHours", Self::Part(Part::Hours)),
        ("getMinutes", Self::Part(Part::Minutes)),
        ("getSeconds", Self::Part(Part::Seconds)),
        ("getMilliseconds", Self::Part(Part::Milliseconds)),
    ];

    pub(super) fn call<'a>(self, value: Value<'a>, budget: &Budget) -> Result<Value<'a>, Undefined> {
        if let Value::Text(text) = &value {
            budget.read(text.len())?;
        }
        match self {
            Self::Size => value.size(budget).ok().map(Value::Int),
            Self::Int => int(&value).map(Value::Int),
            Self::UInt => unsigned(&value).map(Value::UInt),
            Self::Double => double(&value).map(Value::Double),
            Self::String => string(value),
            Self::Bool => match &value {
                Value::Bool(bool) => Some(Value::Bool(*bool)),
                Value::Text(text) => text.parse().ok().map(Value::Bool),
                _ => None,
            },
            Self::Timestamp => match &value {
                Value::Time(nanos) => Some(Value::Time(*nanos)),
                Value::Text(text) => Timestamp::parse(text).map(|time| Value::Time(time.0)),
                _ => None,
            },
            Self::Duration => match &value {
                Value::Span(nanos) => Some(Value::Span(*nanos)),
                Value::Text(text) => span(text).map(Value::Span),
                _ => None,
            },
            Self::Part(part) => match value {
                Value::Time(nanos) => part.of_time(nanos).map(Value::Int),
                Value::Span(nanos) => part.of_span(nanos).map(Value::Int),
                _ => None,
            },
        }
        .ok_or(Undefined)
    }
}

/// Towards zero; a time as seconds since 1970.
fn int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        Value::UInt(unsigned) => i64::try_from(*unsigned).ok(),
        Value::Double(double) => {
            // Both bounds are exact doubles; the upper one is one too large.
            let fits = *double > i64::MIN as f64 && *double < i64::MAX as f64;
            fits.then_some(*double as i64)
        }
        Value::Text(text) => text.parse().ok(),
        Value::Time(nanos) => Some(nanos.div_euclid(1_000_000_000)),
        _ => None,
    }
}

fn unsigned(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::UInt(unsigned) => Some(*unsigned),
        Value::Int(int) => u64::try_from(*int).ok(),
        Value::Double(double) => (*double >= 0.0 && *double < u64::MAX as f64).then_some(*double as u64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Text(text) => text.parse().ok(),
        number => number.double(),
    }
}

fn string(value: Value<'_>) -> Option<Value<'_>> {
    Some(Value::made(match value {
        Value::Text(_) => return Some(value),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::UInt(unsigned) => unsigned.to_string(),
        Value::Double(double) => double.to_string(),
        Value::Time(nanos) => Timestamp(nanos).to_string(),
        _ => return None,
    }))
}

/// Nanoseconds of a length of time: `1h30m`, `1.5s`, `-300ms`. Units: ns, us, ms, s, m, h, d.
pub(super) fn span(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, from_unit) = rest.split_at(digits);
        let letters = from_unit.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(from_unit.len());
        let (unit, after) = from_unit.split_at(letters);
        let each = match unit {
            "ns" => 1.0,
            "us" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            _ => return None,
        };
        nanos += number.parse::<f64>().ok()? * each;
        rest = after;
    }
    let fits = !text.trim_start_matches('-').is_empty() && nanos < i64::MAX as f64;
    fits.then_some((sign * nanos).round() as i64)
}

impl Part {
    fn of_time(self, nanos: i64) -> Option<i64> {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok()?;
        let time: DateTime = Offset::UTC.to_datetime(stamp);
        Some(match self {
            Self::FullYear => i64::from(time.year()),
            Self::Month => i64::from(time.month()) - 1,
            Self::Date => i64::from(time.day()),
            Self::DayOfMonth => i64::from(time.day()) - 1,
            Self::DayOfWeek => i64::from(time.weekday().to_sunday_zero_offset()),
            Self::DayOfYear => i64::from(time.day_of_year()) - 1,
            Self::Hours => i64::from(time.hour()),
            Self::Minutes => i64::from(time.minute()),
            Self::Seconds => i64::from(time.second()),
            Self::Milliseconds => i64::from(time.millisecond()),
        })
    }

    fn of_span(self, nanos: i64) -> Option<i64> {
        let each = match self {
            Self::Hours => 3_600_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            _ => return None,
        };
        Some(nanos / each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_units() {
        for (text, nanos) in [
            ("1ns", Some(1)),
            ("2us", Some(2_000)),
            ("300ms", Some(300_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("5m", Some(300_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("2d", Some(172_800_000_000_000)),
            ("-1s", Some(-1_000_000_000)),
            ("", None),
            ("-", None),
            ("5", None),
            ("s", None),
            ("5 m", None),
            ("5M", None),
            ("1.2.3s", None),
            ("99999999999d", None),
        ] {
            assert_eq!(span(text), nanos, "{text}");
        }
    }

    #[test]
    fn parts_of_times_count_as_cel_counts() {
        // A Saturday; before 1970 as after it.
        for (text, parts) in [
            ("2026-11-21T21:07:09.250Z", [2026, 10, 21, 20, 6, 324, 21, 7, 9, 250]),
            ("1969-12-31T23:59:59.999Z", [1969, 11, 31, 30, 3, 364, 23, 59, 59, 999]),
        ] {
            let time = Value::Time(Timestamp::parse(text).unwrap().0);
            let found = Function::MEMBER[1..].iter().map(|(name, function)| {
                let Ok(Value::Int(part)) = function.call(time.clone(), &Budget::new()) else { panic!("{name}") };
                part
            });
            assert_eq!(found.collect::<Vec<_>>(), parts, "{text}");
        }
    }

    #[test]
    fn conversions_refuse_what_does_not_fit() {
        let call = |function: Function, value: Value<'static>| {
            function.call(value, &Budget::new()).map(|value| format!("{value:?}")).ok()
        };
        for (function, value, outcome) in [
            (Function::Int, Value::Double(-2.9), Some("Int(-2)")),
            (Function::Int, Value::Double(9.3e18), None),
            (Function::Int, Value::Double(f64::NAN), None),
            (Function::Int, Value::UInt(u64::MAX), None),
            (Function::Int, Value::text("12"), Some("Int(12)")),
            (Function::Int, Value::text("12.5"), None),
            (Function::Int, Value::Time(-1), Some("Int(-1)")),
            (Function::UInt, Value::Int(-1), None),
            (Function::UInt, Value::Double(1.9), Some("UInt(1)")),
            (Function::Double, Value::text("1e3"), Some("Double(1000.0)")),
            (Function::Bool, Value::text("true"), Some("Bool(true)")),
            (Function::Bool, Value::Int(1), None),
            (Function::Timestamp, Value::text("soon"), None),
            (Function::Duration, Value::text("1s"), Some("Span(1000000000)")),
            (Function::Size, Value::Null, None),
            (Function::String, Value::Null, None),
        ] {
            assert_eq!(call(function, value.clone()).as_deref(), outcome, "{function:?} of {value:?}");
        }
    }
}
