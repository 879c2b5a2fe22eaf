//! Reads the manifest section out of an ELF file, from bytes or from headers alone; no code of the file runs.
//!
//! Called by pre-flight on the bytes that will be loaded, and by discovery on files in directories, which it reads
//! only a few hundred bytes of. It judges the container, not the manifest in it. Every offset in the file is hostile:
//! all arithmetic is checked, nothing is allocated by a size that the file claims before that size was found in it.
//!
//! The format is that of the System V ABI, "Object Files"; the offsets are those of its 64-bit structures.

use headwater_abi::MANIFEST_SECTION;
use std::{borrow::Cow, fs::File, io, os::unix::fs::FileExt};

/// A manifest is a few kilobytes. A section that claims more than this is no manifest.
const MAX_MANIFEST: u64 = 1 << 20;
/// Section names are a few kilobytes even in large debug builds; without a bound a header could ask for gigabytes.
const MAX_NAMES: u64 = 16 << 20;

const HEADER: usize = 64;
const PROGRAM_HEADER: u64 = 56;
const SECTION_HEADER: u64 = 64;
const SHARED_OBJECT: u16 = 3;
const LOADABLE: u32 = 1;
const NO_BITS: u32 = 8;

/// The machine that this daemon runs on, as ELF numbers it; 0 where the number is not known, and then nothing loads.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    0
};

/// Why a file is no plugin that could be loaded here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing in it.
    #[error("the file is empty (still being written?)")]
    Empty,
    /// Not enough bytes for a header.
    #[error("too short for a shared library ({0} bytes)")]
    TooShort(u64),
    /// Other magic bytes.
    #[error("not an ELF file")]
    NotElf,
    /// 32-bit, or big-endian.
    #[error("not a 64-bit little-endian ELF file")]
    Class,
    /// Another processor.
    #[error("built for {0}; this daemon runs on {arch}", arch = std::env::consts::ARCH)]
    Machine(String),
    /// An executable, an object file, a core dump.
    #[error("not a shared library (it is {0}); build it with crate-type = [\"cdylib\"]")]
    NotShared(&'static str),
    /// Headers point past the end.
    #[error("the file is truncated or damaged: {0} past its end (still being written?)")]
    Truncated(&'static str),
    /// Headers contradict themselves.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// A library, but of another kind.
    #[error("a shared library, but no headwater plugin (no {MANIFEST_SECTION} section)")]
    NoManifest,
    /// The system would not read it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// Something with a length that can be read at any place.
trait ReadAt {
    fn length(&self) -> u64;
    /// Exactly `length` bytes; `None` when they are not there.
    fn read(&self, offset: u64, length: u64) -> Result<Option<Cow<'_, [u8]>>, Malformed>;
}

impl ReadAt for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, length: u64) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
        let range = usize::try_from(offset).ok().zip(offset.checked_add(length).and_then(|e| usize::try_from(e).ok()));
        Ok(range.and_then(|(from, to)| self.get(from..to)).map(Cow::Borrowed))
    }
}

struct Headers<'a> {
    file: &'a File,
    length: u64,
}

impl ReadAt for Headers<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, length: u64) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(Some(Cow::Owned(bytes))),
            // It became shorter since its length was taken.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Malformed::Unreadable(error.to_string())),
        }
    }
}

/// The manifest section of a whole file in memory.
pub(crate) fn manifest_in(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    section(bytes)
}

/// The manifest section of an open file, reading only its headers and that section.
pub(crate) fn manifest_of(file: &File) -> Result<Vec<u8>, Malformed> {
    let length = file.metadata().map_err(|error| Malformed::Unreadable(error.to_string()))?.len();
    section(&Headers { file, length }).map(Cow::into_owned)
}

fn section<R: ReadAt + ?Sized>(file: &R) -> Result<Cow<'_, [u8]>, Malformed> {
    let header = header(file)?;
    let header = &*header;
    segments(file, header)?;

    let (offset, size) = (u64_at(header, 40), u64::from(u16_at(header, 58)));
    let (count, names) = (u64::from(u16_at(header, 60)), usize::from(u16_at(header, 62)));
    if offset == 0 || count == 0 {
        return Err(Malformed::NoManifest);
    }
    if size != SECTION_HEADER {
        return Err(Malformed::Damaged("its section headers have no known size"));
    }
    let table = file.read(offset, count * size)?.ok_or(Malformed::Truncated("the section headers lie"))?;
    let sections: Vec<&[u8]> = table.chunks_exact(SECTION_HEADER as usize).collect();

    let names = sections.get(names).ok_or(Malformed::Damaged("the names of its sections are in no section"))?;
    if u64_at(names, 32) > MAX_NAMES {
        return Err(Malformed::Damaged("the names of its sections are too long"));
    }
    let names = content(file, names)?.ok_or(Malformed::Truncated("the names of the sections lie"))?;

    let found = sections.iter().find(|section| {
        let name = names.get(u32_at(section, 0) as usize..).unwrap_or_default();
        name.split(|byte| *byte == 0).next() == Some(MANIFEST_SECTION.as_bytes())
    });
    let found = found.ok_or(Malformed::NoManifest)?;
    if u32_at(found, 4) == NO_BITS || u64_at(found, 32) > MAX_MANIFEST {
        return Err(Malformed::Damaged("its manifest section has no content, or too much"));
    }
    content(file, found)?.ok_or(Malformed::Truncated("the manifest lies"))
}

fn header<R: ReadAt + ?Sized>(file: &R) -> Result<Cow<'_, [u8]>, Malformed> {
    if file.length() == 0 {
        return Err(Malformed::Empty);
    }
    let magic = file.read(0, 4)?.ok_or(Malformed::TooShort(file.length()))?;
    if *magic != *b"\x7fELF" {
        return Err(Malformed::NotElf);
    }
    let header = file.read(0, HEADER as u64)?.ok_or(Malformed::TooShort(file.length()))?;
    // Class 2 is 64-bit, data 1 is little-endian: the only kind of machine that the daemon is built for.
    if header[4] != 2 || header[5] != 1 {
        return Err(Malformed::Class);
    }
    let machine = u16_at(&header, 18);
    if machine != MACHINE || MACHINE == 0 {
        return Err(Malformed::Machine(machine_name(machine)));
    }
    match u16_at(&header, 16) {
        SHARED_OBJECT => Ok(header),
        1 => Err(Malformed::NotShared("an object file")),
        2 => Err(Malformed::NotShared("an executable")),
        4 => Err(Malformed::NotShared("a core dump")),
        _ => Err(Malformed::NotShared("of an unknown type")),
    }
}

/// What the loader maps must lie within the file: a segment past the end is SIGBUS inside `dlopen`.
fn segments<R: ReadAt + ?Sized>(file: &R, header: &[u8]) -> Result<(), Malformed> {
    let (offset, size, count) = (u64_at(header, 32), u64::from(u16_at(header, 54)), u64::from(u16_at(header, 56)));
    if size != PROGRAM_HEADER || count == 0 {
        return Err(Malformed::Damaged("it has no program headers of a known size"));
    }
    let table = file.read(offset, count * size)?.ok_or(Malformed::Truncated("the program headers lie"))?;
    let mut loadable = false;
    for segment in table.chunks_exact(PROGRAM_HEADER as usize) {
        let (from, length) = (u64_at(segment, 8), u64_at(segment, 32));
        if from.checked_add(length).is_none_or(|end| end > file.length()) {
            return Err(Malformed::Truncated("a segment lies"));
        }
        if u32_at(segment, 0) == LOADABLE {
            loadable = true;
            if u64_at(segment, 40) < length {
                return Err(Malformed::Damaged("a segment is larger in the file than in memory"));
            }
        }
    }
    if loadable { Ok(()) } else { Err(Malformed::Damaged("it has nothing to load")) }
}

fn content<'a, R: ReadAt + ?Sized>(file: &'a R, section: &[u8]) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
    file.read(u64_at(section, 24), u64_at(section, 32))
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "i386".into(),
        8 => "mips".into(),
        20 | 21 => "powerpc".into(),
        22 => "s390".into(),
        40 => "arm".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv".into(),
        258 => "loongarch".into(),
        other => format!("machine {other}"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    // Callers hold a whole header, whose length was checked when it was read.
    bytes[at..at + N].try_into().expect("invariant: N bytes were sliced")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The smallest shared library that passes, with this content of the manifest section.
    pub(crate) fn library(manifest: &[u8]) -> Vec<u8> {
        let names = [b"\0.shstrtab\0", MANIFEST_SECTION.as_bytes(), b"\0"].concat();
        let names_at = HEADER + PROGRAM_HEADER as usize;
        let manifest_at = names_at + names.len();
        let sections_at = manifest_at + manifest.len();
        let mut file = vec![0; sections_at];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[16..18].copy_from_slice(&SHARED_OBJECT.to_le_bytes());
        file[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        file[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
        file[40..48].copy_from_slice(&(sections_at as u64).to_le_bytes());
        for (at, value) in [(54, PROGRAM_HEADER as u16), (56, 1), (58, SECTION_HEADER as u16), (60, 3), (62, 1)] {
            file[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        file[HEADER..HEADER + 4].copy_from_slice(&LOADABLE.to_le_bytes());
        for at in [32, 40] {
            file[HEADER + at..HEADER + at + 8].copy_from_slice(&(sections_at as u64).to_le_bytes());
        }
        file[names_at..manifest_at].copy_from_slice(&names);
        file[manifest_at..].copy_from_slice(manifest);
        for (name, at, length) in [(0, 0, 0), (1, names_at, names.len()), (11, manifest_at, manifest.len())] {
            let mut section = [0; SECTION_HEADER as usize];
            section[..4].copy_from_slice(&u32::to_le_bytes(name));
            section[4..8].copy_from_slice(&1u32.to_le_bytes());
            section[24..32].copy_from_slice(&(at as u64).to_le_bytes());
            section[32..40].copy_from_slice(&(length as u64).to_le_bytes());
            file.extend_from_slice(&section);
        }
        file
    }

    fn on_disk(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        file
    }

    #[test]
    fn the_section_is_found_in_bytes_and_by_headers() {
        let file = library(b"{\"abi\":1}");
        assert_eq!(&*manifest_in(&file).unwrap(), b"{\"abi\":1}");
        assert_eq!(manifest_of(&on_disk(&file)).unwrap(), b"{\"abi\":1}");
    }

    #[test]
    fn each_kind_of_wrong_file_has_its_own_line() {
        let good = library(b"{}");
        let with = |at: usize, value: u8| {
            let mut file = good.clone();
            file[at] = value;
            file
        };
        let text = |file: &[u8]| manifest_in(file).unwrap_err().to_string();
        assert_eq!(text(b""), "the file is empty (still being written?)");
        assert_eq!(text(b"\x7fE"), "too short for a shared library (2 bytes)");
        assert_eq!(text(&good[..63]), "too short for a shared library (63 bytes)");
        assert_eq!(
            text(b"#!/bin/sh\necho no plugin, but longer than an ELF header is by some bytes\n"),
            "not an ELF file"
        );
        assert_eq!(text(&with(4, 1)), "not a 64-bit little-endian ELF file");
        assert_eq!(text(&with(18, 40)), format!("built for arm; this daemon runs on {}", std::env::consts::ARCH));
        assert_eq!(
            text(&with(16, 2)),
            "not a shared library (it is an executable); build it with crate-type = [\"cdylib\"]"
        );
        assert!(text(&good[..good.len() - 1]).starts_with("the file is truncated or damaged: the section headers lie"));
        let other = HEADER + PROGRAM_HEADER as usize + 12;
        assert_eq!(
            text(&with(other, b'x')),
            "a shared library, but no headwater plugin (no .headwater_plugin section)"
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        let good = library(b"{\"abi\":1,\"name\":\"disk\"}");
        for length in 0..good.len() {
            assert!(manifest_in(&good[..length]).is_err(), "cut at {length}");
            assert_eq!(manifest_of(&on_disk(&good[..length])).unwrap_err(), manifest_in(&good[..length]).unwrap_err());
        }
    }

    #[test]
    fn a_real_library_without_the_section_is_no_plugin() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        // A test binary is position independent, so its type is that of a library.
        assert_eq!(manifest_in(&own).unwrap_err(), Malformed::NoManifest);
    }

    proptest! {
        /// Hostile headers neither panic, nor allocate what they claim, nor read past the end; both readers agree.
        #[test]
        fn mutated_headers_do_no_harm(changes in prop::collection::vec((0usize..450, any::<u8>()), 1..12)) {
            let mut file = library(b"{\"abi\":1,\"name\":\"disk\",\"version\":\"0.1.0\",\"panic\":\"unwind\"}");
            for (at, value) in changes {
                let at = at % file.len();
                file[at] = value;
            }
            let whole = manifest_in(&file).map(Cow::into_owned);
            prop_assert_eq!(whole, manifest_of(&on_disk(&file)));
        }

        #[test]
        fn arbitrary_words_in_headers_do_no_harm(at in 0usize..55, word in any::<u64>()) {
            let mut file = library(b"{}");
            let at = (at * 8).min(file.len() - 8);
            file[at..at + 8].copy_from_slice(&word.to_le_bytes());
            prop_assert_eq!(manifest_in(&file).map(Cow::into_owned), manifest_of(&on_disk(&file)));
        }
    }
}
