//! Positions: an epoch names one unbroken life of a channel's log, an offset counts in it.

use crate::digits::HEXADECIMAL;
use std::fmt;

/// One unbroken numbering of a channel. Random; a client that comes with another epoch is told of the break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Reads the 16 hexadecimal digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && !text.starts_with('+')).then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// The 16 digits, as ASCII. Every event's message has them.
    pub fn digits(self) -> [u8; 16] {
        let mut text = [0; 16];
        for (two, byte) in text.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            two.copy_from_slice(&HEXADECIMAL[usize::from(byte)]);
        }
        text
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).expect("invariant: hexadecimal digits are ASCII"))
    }
}

/// A place in a channel: the event with this offset, in this epoch. Offset 0 stands before the first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The channel's epoch.
    pub epoch: Epoch,
    /// Offsets start at 1, rise by 1 and never repeat within an epoch.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_what_it_writes_and_nothing_else() {
        let epoch = Epoch(0x00ab_0000_0000_0001);
        assert_eq!(epoch.to_string(), "00ab000000000001");
        assert_eq!(Epoch::parse(&epoch.to_string()), Some(epoch));
        assert_eq!(Epoch::parse("1"), None);
        assert_eq!(Epoch::parse("+000000000000001"), None);
    }
}
