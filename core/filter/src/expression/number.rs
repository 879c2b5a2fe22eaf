//! Numbers: whole ones, with or without a sign, and doubles. They compare as numbers whatever their type.

use std::cmp::Ordering;

/// One number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    UInt(u64),
    Double(f64),
}

impl Number {
    /// A whole number where it is written as one and fits, else a double. `None` of what is no number.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        // Nothing of up to 18 digits overflows.
        if digits.len() <= 18 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            let whole = digits.iter().fold(0, |whole, digit| whole * 10 + i64::from(digit - b'0'));
            return Some(Self::Int(if negative { -whole } else { whole }));
        }
        let text = std::str::from_utf8(text).ok()?;
        let whole = text.parse().map(Self::Int).or_else(|_| text.parse().map(Self::UInt));
        whole.ok().or_else(|| text.parse().ok().map(Self::Double))
    }

    /// As CEL compares: a whole number beside a double becomes one.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::UInt(a), Self::UInt(b)) => a.cmp(&b),
            (Self::Int(a), Self::UInt(b)) => i128::from(a).cmp(&i128::from(b)),
            (Self::UInt(a), Self::Int(b)) => i128::from(a).cmp(&i128::from(b)),
            (a, b) => return a.double().partial_cmp(&b.double()),
        })
    }

    pub(super) fn double(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::UInt(unsigned) => unsigned as f64,
            Self::Double(double) => double,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_json() {
        for (text, shown) in [
            ("0", "Int(0)"),
            ("-0", "Int(0)"),
            ("-12", "Int(-12)"),
            ("999999999999999999", "Int(999999999999999999)"),
            ("9223372036854775807", "Int(9223372036854775807)"),
            ("-9223372036854775808", "Int(-9223372036854775808)"),
            ("9223372036854775808", "UInt(9223372036854775808)"),
            ("18446744073709551615", "UInt(18446744073709551615)"),
            ("18446744073709551616", "Double(1.8446744073709552e19)"),
            ("1.0", "Double(1.0)"),
            ("-2.5e-3", "Double(-0.0025)"),
            ("1E2", "Double(100.0)"),
            ("1e999", "Double(inf)"),
        ] {
            assert_eq!(format!("{:?}", Number::parse(text.as_bytes()).unwrap()), shown, "{text}");
        }
        for text in ["", "-", "true", "\"1\""] {
            assert!(Number::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
