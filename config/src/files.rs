//! The files that a config is made of, and what they contained when they were read. `load` reads through this, and the
//! watcher compares through it, so that both mean the same by "changed".

use crate::schema;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The largest file that is read. A config is a few kilobytes; whatever is larger is a mistake (a log, a core dump) that
/// should not fill the memory.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// The most files that `sources.d` may hold, for the same reason.
pub(crate) const MAX_FILES: usize = 1_000;

/// Where the config is: the main file and the directory of further sources beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `headwater.toml`.
    pub main: PathBuf,
    /// `sources.d`; it need not exist.
    pub sources_dir: PathBuf,
    /// Without a main file the built-in one counts: nobody asked for this one by name.
    pub optional: bool,
}

impl Paths {
    /// The main file, and `sources.d` beside it.
    pub fn new(main: impl Into<PathBuf>) -> Self {
        let main = main.into();
        let sources_dir = main.parent().unwrap_or(Path::new("")).join("sources.d");
        Self { main, sources_dir, optional: false }
    }

    /// The same, where the main file may be missing: what is built in runs then, until it appears.
    pub fn or_builtin(main: impl Into<PathBuf>) -> Self {
        Self { optional: true, ..Self::new(main) }
    }

    /// The files of `sources.d` that count, sorted: `*.toml`, not hidden (editors keep their own files so). No such
    /// directory is no error.
    fn source_files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.sources_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let name = PathBuf::from(entry?.file_name());
            let hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
            if !hidden && name.extension().is_some_and(|e| e == "toml") {
                files.push(self.sources_dir.join(name));
            }
        }
        files.sort();
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!("it holds more than {MAX_FILES} files")));
        }
        Ok(files)
    }
}

/// What the files contained: equal exactly when their names and bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..6] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// One file's bytes, or why there are none.
pub(crate) type Content = Result<Vec<u8>, ReadError>;

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// There is none.
    #[error("no such file")]
    Missing,
    /// A directory, a pipe, a device: reading one may never end.
    #[error("it is no regular file")]
    NotAFile,
    /// More than [`MAX_FILE`] bytes.
    #[error("it is larger than {} KiB", MAX_FILE >> 10)]
    TooLarge,
    /// The system's own reason.
    #[error("{0}")]
    Io(String),
}

/// Reads one file, at most [`MAX_FILE`] bytes of it.
pub(crate) fn read(path: &Path) -> Content {
    let reason = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Io(error.to_string()),
    };
    // Before opening: opening a pipe waits for its other end.
    if !std::fs::metadata(path).map_err(reason)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(reason)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(reason)?;
    if bytes.len() as u64 > MAX_FILE { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

/// What one file contained, in few bytes. A file that cannot be read differs from an empty one.
pub(crate) fn digest(content: &Content) -> [u8; 32] {
    let mut hash = Sha256::new();
    match content {
        Ok(bytes) => {
            hash.update([0]);
            hash.update(bytes);
        }
        Err(error) => {
            hash.update([1]);
            hash.update(error.to_string());
        }
    }
    hash.finalize().into()
}

/// What a main file that may be missing, and is, counts as. Beside other files it is empty: they say what is wanted.
pub(crate) fn builtin(files: &[PathBuf]) -> &'static str {
    if files.len() > 1 { "" } else { schema::BUILTIN }
}

/// The files that count at this moment.
pub(crate) struct Listing {
    /// The main file, whether or not it exists, then those of `sources.d`.
    pub(crate) files: Vec<PathBuf>,
    /// Why `sources.d` cannot be listed, if so.
    pub(crate) fault: Option<String>,
}

impl Listing {
    /// Looks what there is.
    pub(crate) fn new(paths: &Paths) -> Self {
        let mut files = vec![paths.main.clone()];
        match paths.source_files() {
            Ok(found) => files.extend(found),
            Err(error) => return Self { files, fault: Some(error.to_string()) },
        }
        Self { files, fault: None }
    }

    /// All of it in few bytes, given the [`digest`] of each file.
    pub(crate) fn fingerprint(&self, mut digest: impl FnMut(&Path) -> [u8; 32]) -> Fingerprint {
        let mut hash = Sha256::new();
        for path in &self.files {
            let name = path.as_os_str().as_encoded_bytes();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(digest(path));
        }
        hash.update(self.fault.as_deref().unwrap_or_default());
        Fingerprint(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_stand_beside_the_main_file() {
        assert_eq!(Paths::new("config/headwater.toml").sources_dir, Path::new("config/sources.d"));
        assert_eq!(Paths::new("headwater.toml").sources_dir, Path::new("sources.d"));
    }

    #[test]
    fn only_visible_toml_files_count_and_they_are_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("headwater.toml"));
        assert_eq!(paths.source_files().unwrap(), Vec::<PathBuf>::new());
        std::fs::create_dir(&paths.sources_dir).unwrap();
        for name in ["b.toml", "a.toml", ".#a.toml", "a.toml~", "README.md"] {
            std::fs::write(paths.sources_dir.join(name), "").unwrap();
        }
        let names: Vec<_> = paths.source_files().unwrap().iter().map(|p| p.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.toml", "b.toml"]);
    }

    #[test]
    fn unreadable_and_empty_differ() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("none")), Err(ReadError::Missing));
        assert_eq!(read(dir.path()), Err(ReadError::NotAFile));
        assert_ne!(digest(&Err(ReadError::Missing)), digest(&Ok(Vec::new())));
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b' '; MAX_FILE as usize + 1]).unwrap();
        assert_eq!(read(&large), Err(ReadError::TooLarge));
        std::fs::write(&large, vec![b' '; MAX_FILE as usize]).unwrap();
        assert_eq!(read(&large).unwrap().len() as u64, MAX_FILE);
    }

    #[test]
    fn names_count_too() {
        let of = |name: &str| Listing { files: vec![name.into()], fault: None }.fingerprint(|_| [0; 32]);
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a"), of("a"));
    }
}
