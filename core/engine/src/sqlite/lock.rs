//! One daemon to a history: a file beside it that is locked for as long as the daemon has the history. Not the history
//! itself: closing any descriptor of that would drop the locks that SQLite holds on it. Taken by opening, held by the
//! writer.

use super::{options::OpenError, recovery::with_suffix};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Error, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Keeps other daemons away for as long as it lives.
pub(crate) struct Lock {
    history: PathBuf,
    file: File,
}

impl Lock {
    /// Takes it; also makes the folder of the history.
    pub(crate) fn take(history: &Path) -> Result<Self, OpenError> {
        let unavailable = |error: Error| OpenError::Unavailable { path: history.into(), reason: error.to_string() };
        if let Some(folder) = history.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(unavailable)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(with_suffix(history, "-lock")).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {
                // Who it is helps people; the lock works without it.
                let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                Ok(Self { history: history.into(), file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let by = if pid.is_empty() { "another process".into() } else { format!("process {pid}") };
                Err(OpenError::InUse { path: history.into(), by })
            }
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }

    /// Takes it again if somebody has removed the file: another daemon would find a new one, and lock that.
    pub(crate) fn hold(&mut self) -> Result<(), OpenError> {
        let identity = |metadata: std::io::Result<std::fs::Metadata>| metadata.ok().map(|it| (it.dev(), it.ino()));
        let there = identity(std::fs::metadata(with_suffix(&self.history, "-lock")));
        if there.is_none() || there != identity(self.file.metadata()) {
            *self = Self::take(&self.history)?;
        }
        Ok(())
    }
}
