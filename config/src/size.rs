//! A number of bytes as the config writes it: `"64KiB"`, `"8MiB"`, or a plain number of bytes.
//!
//! The structs of [`crate::schema`] hold plain `u64`s; this type is how they are read, written and described.

use crate::period::decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt, str::FromStr};

/// The units. Those of 1,024 come first: they are the ones that are written.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes: `"64KiB"`, `"1.5MiB"`, `"10MB"`, `"512B"`, or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// Why a string is no [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing was given.
    #[error("a size cannot be empty")]
    Empty,
    /// A unit that is not one of ours: `"5 pages"`.
    #[error("`{0}` is no unit of size")]
    Unit(String),
    /// No number where one belongs: `"big"`.
    #[error("`{0}` is no size")]
    Number(String),
    /// More than 2^63 bytes.
    #[error("`{0}` is more than any machine has")]
    TooLarge(String),
}

impl SizeError {
    /// What to write instead.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unit(_) => "use B, KiB, MiB or GiB (1,024 each), or kB, MB or GB (1,000 each)",
            Self::TooLarge(_) => "at most 2^63 bytes",
            Self::Empty | Self::Number(_) => "write a number and a unit, like \"64KiB\"",
        }
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(SizeError::Empty);
        }
        let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim();
        if number.is_empty() {
            return Err(SizeError::Number(text.to_owned()));
        }
        let scale = match unit {
            "" => 1,
            _ => {
                UNITS
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                    .ok_or_else(|| SizeError::Unit(unit.to_owned()))?
                    .1
            }
        };
        let bytes = decimal(number, scale.into()).ok_or_else(|| SizeError::Number(text.to_owned()))?;
        if bytes > i64::MAX as u128 {
            return Err(SizeError::TooLarge(text.to_owned()));
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in &UNITS[..4] {
            if self.0 != 0 && self.0.is_multiple_of(*size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<'a> {
            Bytes(u64),
            Text(Cow<'a, str>),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => {
                text.parse().map_err(|e: SizeError| serde::de::Error::custom(format!("{e}; {}", e.fix())))
            }
        }
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "format": "size",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]?[iI]?[bB])?\s*$",
            "minimum": 0,
        })
    }
}

/// For `#[serde(with = "size::plain")]`: a `u64` written as a [`Size`].
pub(crate) mod plain {
    use super::Size;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // The form that serde's `with` calls.
    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        Size(*value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        Ok(Size::deserialize(deserializer)?.0)
    }
}

/// The same for an option, `None` being left out.
pub(crate) mod optional {
    use super::{Size, plain};
    use serde::{Deserialize, Deserializer, Serializer};

    // serde's `with` gives the reference.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => plain::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Size>::deserialize(deserializer)?.map(|size| size.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u64, SizeError> {
        text.parse::<Size>().map(|s| s.0)
    }

    #[test]
    fn units_are_read() {
        assert_eq!(read("64KiB"), Ok(65_536));
        assert_eq!(read("64 kib"), Ok(65_536));
        assert_eq!(read("1.5MiB"), Ok(1_572_864));
        assert_eq!(read("10MB"), Ok(10_000_000));
        assert_eq!(read("512B"), Ok(512));
        assert_eq!(read("4096"), Ok(4096));
        assert_eq!(read("0"), Ok(0));
    }

    #[test]
    fn faults_name_the_fix() {
        assert_eq!(read("  "), Err(SizeError::Empty));
        assert_eq!(read("64K"), Err(SizeError::Unit("K".into())));
        assert_eq!(read("5 pages"), Err(SizeError::Unit("pages".into())));
        assert_eq!(read("big"), Err(SizeError::Number("big".into())));
        assert_eq!(read("-1KiB"), Err(SizeError::Number("-1KiB".into())));
        assert_eq!(read("99999999TiB"), Err(SizeError::TooLarge("99999999TiB".into())));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["0B", "512B", "64KiB", "8MiB", "1536KiB", "3GiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }
}
