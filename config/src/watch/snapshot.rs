//! What the files contain, read again only when they may have changed.

use crate::{
    Fingerprint,
    files::{self, Listing},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Times of files are kept in ticks of a few milliseconds. A file that changed less than this before it was read may have
/// changed again within the same tick, and would look the same: it is read once more.
const TICK: Duration = Duration::from_millis(100);

/// All that tells one state of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outside {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Clone)]
struct Known {
    outside: Outside,
    read_at: SystemTime,
    digest: [u8; 32],
}

/// The digests of files, as they were when they were read last.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    known: HashMap<PathBuf, Known>,
}

impl Snapshot {
    /// The fingerprint of the config's files, the same that loading them gives.
    pub(super) fn config(&mut self, listing: &Listing) -> Fingerprint {
        listing.fingerprint(|path| self.digest(path, |path| files::digest(&files::read(path))))
    }

    /// The digest of a file of any size.
    pub(super) fn extra(&mut self, path: &Path) -> [u8; 32] {
        self.digest(path, |path| match whole(path) {
            Ok(digest) => digest,
            Err(error) => Sha256::digest(error.kind().to_string()).into(),
        })
    }

    /// Forgets all files but these.
    pub(super) fn keep(&mut self, mut wanted: impl FnMut(&Path) -> bool) {
        self.known.retain(|path, _| wanted(path));
    }

    fn digest(&mut self, path: &Path, read: impl Fn(&Path) -> [u8; 32]) -> [u8; 32] {
        let Some(outside) = outside(path) else {
            self.known.remove(path);
            return read(path);
        };
        if let Some(known) = self.known.get(path)
            && known.outside == outside
            && is_settled(&outside, known.read_at)
        {
            return known.digest;
        }
        // Before reading: what is written while we read must look newer.
        let read_at = SystemTime::now();
        let digest = read(path);
        self.known.insert(path.to_owned(), Known { outside, read_at, digest });
        digest
    }
}

/// Whether the file had not changed for a while when it was read.
fn is_settled(outside: &Outside, read_at: SystemTime) -> bool {
    let (seconds, nanos) = outside.changed;
    let changed =
        SystemTime::UNIX_EPOCH + Duration::new(seconds.try_into().unwrap_or(0), nanos.try_into().unwrap_or(0));
    read_at.duration_since(changed).is_ok_and(|age| age > TICK)
}

fn outside(path: &Path) -> Option<Outside> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Outside {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

fn whole(path: &Path) -> io::Result<[u8; 32]> {
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// The poll goes on for as long as the daemon runs: it must not read every file every time.
    #[test]
    fn a_settled_file_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "a").unwrap();
        let mut snapshot = Snapshot::default();
        let reads = Cell::new(0);
        let read = |path: &Path| {
            reads.set(reads.get() + 1);
            files::digest(&files::read(path))
        };
        let first = snapshot.digest(&path, read);
        assert_eq!(snapshot.digest(&path, read), first);
        assert_eq!(reads.get(), 2, "it changed just now: it is not trusted yet");
        snapshot.known.get_mut(&path).unwrap().read_at += Duration::from_secs(1);
        assert_eq!(snapshot.digest(&path, read), first);
        assert_eq!(reads.get(), 2);
        std::fs::write(&path, "b").unwrap();
        assert_ne!(snapshot.digest(&path, read), first);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(snapshot.digest(&path, read), files::digest(&Err(files::ReadError::Missing)));
    }

    #[test]
    fn a_large_file_counts_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plugin.so");
        let mut bytes = vec![7; 3 << 20];
        std::fs::write(&path, &bytes).unwrap();
        let mut snapshot = Snapshot::default();
        let before = snapshot.extra(&path);
        *bytes.last_mut().unwrap() = 8;
        std::fs::write(&path, &bytes).unwrap();
        assert_ne!(snapshot.extra(&path), before);
    }
}
