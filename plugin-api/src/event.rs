//! The words and places of an event, as a source says and reads them.

use headwater_abi::flags;
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// How bad it is. An event without one counts as info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// Of use to a developer only.
    Debug = 1,
    /// Normal.
    Info,
    /// Wants watching.
    Warning,
    /// Something failed.
    Error,
    /// Something that people depend on failed.
    Critical,
}

impl Severity {
    pub(crate) fn from_flags(bits: u64) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical]
            .into_iter()
            .find(|severity| *severity as u8 == flags::severity(bits))
    }
}

/// How the source knows what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Evidence {
    /// The thing itself told it.
    Observed = 1,
    /// It follows from other observations.
    Inferred,
    /// It was found by looking now and then.
    Polled,
}

impl Evidence {
    pub(crate) fn from_flags(bits: u64) -> Option<Self> {
        [Self::Observed, Self::Inferred, Self::Polled]
            .into_iter()
            .find(|evidence| *evidence as u8 == flags::evidence(bits))
    }
}

/// A place in a channel. As JSON it is what a subscription's `from` takes: `{"epoch":"00ab…","offset":12}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// One unbroken numbering of the channel.
    pub epoch: u64,
    /// Offsets start at 1 and rise by 1.
    pub offset: u64,
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut place = serializer.serialize_struct("Position", 2)?;
        place.serialize_field("epoch", &format_args!("{:016x}", self.epoch))?;
        place.serialize_field("offset", &self.offset)?;
        place.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_written_as_subscribe_takes_it() {
        let place = Position { epoch: 0xab, offset: 12 };
        assert_eq!(serde_json::to_string(&place).unwrap(), r#"{"epoch":"00000000000000ab","offset":12}"#);
    }

    #[test]
    fn numbers_without_a_meaning_are_absent() {
        assert_eq!(Severity::from_flags(flags::pack(true, 3, 0)), Some(Severity::Warning));
        assert_eq!(Severity::from_flags(flags::pack(true, 9, 0)), None);
        assert_eq!(Evidence::from_flags(flags::pack(false, 0, 3)), Some(Evidence::Polled));
        assert_eq!(Evidence::from_flags(0), None);
    }
}
