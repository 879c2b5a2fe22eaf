//! A body that is compressed while it is made: each piece can be read as soon as it has arrived.

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, mem};

/// One compressed body. Holds some 300 KB.
pub(super) struct Gzip(GzEncoder<Vec<u8>>);

impl Gzip {
    pub(super) fn new() -> Self {
        // JSON becomes about a tenth of its size at any level; the fastest costs a third of the usual one.
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// Compresses a piece, to its last byte.
    pub(super) fn pack(&mut self, text: &[u8]) -> Bytes {
        let written = self.0.write_all(text).and_then(|()| self.0.flush());
        written.expect("invariant: memory takes every write");
        mem::take(self.0.get_mut()).into()
    }

    /// The last bytes.
    pub(super) fn finish(self) -> Bytes {
        self.0.finish().expect("invariant: memory takes every write").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    /// Harm prevented: events that happened wait in the compressor for those that did not.
    #[test]
    fn each_piece_can_be_read_when_it_has_arrived() {
        let mut gzip = Gzip::new();
        let mut arrived = Vec::new();
        for piece in ["one\n", "two\n", &"three ".repeat(50_000)] {
            arrived.extend_from_slice(&gzip.pack(piece.as_bytes()));
            let mut decoder = GzDecoder::new(arrived.as_slice());
            let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = decoder.read(&mut buffer) {
                read.extend_from_slice(&buffer[..count]);
            }
            assert!(read.ends_with(piece.as_bytes()), "a piece is not all there");
        }
        arrived.extend_from_slice(&gzip.finish());
        let mut whole = String::new();
        GzDecoder::new(arrived.as_slice()).read_to_string(&mut whole).unwrap();
        assert_eq!(whole, format!("one\ntwo\n{}", "three ".repeat(50_000)));
        assert!(arrived.len() < whole.len() / 50);
    }
}
