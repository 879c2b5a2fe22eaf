//! The files that a config is made of, and what they contained when they were read.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where the config is: the main file and the directory of further sources beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `headwater.toml`.
    pub main: PathBuf,
    /// `sources.d`; it need not exist.
    pub sources_dir: PathBuf,
}

impl Paths {
    /// The main file, and `sources.d` beside it.
    pub fn new(main: impl Into<PathBuf>) -> Self {
        let main = main.into();
        let sources_dir = main.parent().unwrap_or(Path::new("")).join("sources.d");
        Self { main, sources_dir }
    }
}

/// What the files contained: equal exactly when their names and bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint(pub(crate) [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..6] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
