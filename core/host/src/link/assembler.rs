//! Puts bytes as they arrive back into frames. Both sides read with it.

use super::{
    event::Broken,
    message::{HEAD, MAX_FRAME},
};
use std::mem;

/// What is read at once. Larger frames make it grow, and it shrinks again when they have passed: a source that once
/// sent a megabyte should not hold it for good.
const READ: usize = 64 << 10;

/// A buffer in front of a reader.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// Always initialised to its end, so that a read needs no clearing.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Assembler {
    /// Where the next bytes go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            if self.buffer.len() > READ {
                self.buffer = Vec::new();
            }
        }
        let wanted = self.announced().map_or(READ, |frame| frame.clamp(READ, MAX_FRAME + 4));
        if self.buffer.len() - self.from < wanted {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        &mut self.buffer[self.to..]
    }

    /// So many bytes were put there.
    pub(crate) fn filled(&mut self, count: usize) {
        self.to += count;
    }

    /// Takes over a whole chunk, and gives the last one's buffer back for the next. Only for a side that does not use
    /// `space`, once all frames have been read.
    pub(crate) fn swap(&mut self, chunk: &mut Vec<u8>) {
        mem::swap(&mut self.buffer, chunk);
        (self.from, self.to) = (0, self.buffer.len());
    }

    /// The next whole frame, without its length; `None` when there is none yet.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Broken> {
        let Some(length) = self.announced() else { return Ok(None) };
        if !(HEAD..=MAX_FRAME + 4).contains(&length) {
            return Err(Broken);
        }
        if self.to - self.from < length {
            return Ok(None);
        }
        let frame = self.from + 4..self.from + length;
        self.from += length;
        Ok(Some(&self.buffer[frame]))
    }

    /// The length of the frame that comes next, its length field included, once that field is there.
    fn announced(&self) -> Option<usize> {
        let head = self.buffer[self.from..self.to].first_chunk()?;
        Some(u32::from_le_bytes(*head) as usize + 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::message::Down;
    use proptest::prelude::*;

    #[test]
    fn a_frame_that_claims_too_much_is_broken_before_it_is_allocated() {
        let mut assembler = Assembler::default();
        let length = (MAX_FRAME as u32 + 1).to_le_bytes();
        assembler.space()[..4].copy_from_slice(&length);
        assembler.filled(4);
        assert_eq!(assembler.next(), Err(Broken));
        let mut assembler = Assembler::default();
        assembler.space()[..4].fill(0);
        assembler.filled(4);
        assert_eq!(assembler.next(), Err(Broken), "a frame has a kind");
    }

    #[test]
    fn a_large_frame_passes_and_its_memory_is_given_back() {
        let mut stream = Vec::new();
        Down::Start(&vec![b'x'; 1 << 20]).write(&mut stream);
        Down::Credit(1).write(&mut stream);
        let mut assembler = Assembler::default();
        let mut seen = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let space = assembler.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            assembler.filled(count);
            while let Some(frame) = assembler.next().unwrap() {
                seen.push(frame.len());
            }
        }
        assert_eq!(seen, [(1 << 20) + 1, 5]);
        assert!(!assembler.space().is_empty());
        assert_eq!(assembler.buffer.len(), READ);
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(sizes in prop::collection::vec(0usize..3000, 1..20), cut in 1usize..5000) {
            let mut stream = Vec::new();
            for (index, size) in sizes.iter().enumerate() {
                Down::Send { request: index as u64, json: &vec![b'x'; *size] }.write(&mut stream);
            }
            let mut assembler = Assembler::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                assembler.space()[..piece.len()].copy_from_slice(piece);
                assembler.filled(piece.len());
                while let Some(frame) = assembler.next().unwrap() {
                    let Down::Send { request, json } = Down::read(frame).unwrap() else { panic!("another message") };
                    prop_assert_eq!(request as usize, seen.len());
                    seen.push(json.len());
                }
            }
            prop_assert_eq!(seen, sizes);
        }
    }
}
