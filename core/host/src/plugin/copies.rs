//! The private directory in which the daemon keeps the plugins that it runs: bytes that were checked, under names that
//! nothing else uses.
//!
//! Loading by the path where a build puts its output can give the old code, and a file overwritten in place while it is
//! mapped is SIGBUS; a copy has neither fault. Made by the host, used by [`Image`](super::image::Image).

use super::trust;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The file in a daemon's directory that is locked as long as that daemon lives. A number of a process tells nothing: it is
/// given out again, and a container counts its own.
const LOCK: &str = "lock";

/// The directory, removed with all that is in it when it and the last copy in it are dropped.
#[derive(Debug)]
pub(crate) struct Copies {
    directory: PathBuf,
    next: AtomicU64,
    _lock: File,
}

/// One file in it, removed when it is dropped. What has loaded it keeps its mapping.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    _within: Arc<Copies>,
}

impl Copies {
    /// Makes the directory below `state_dir`, and removes those of daemons that are gone.
    pub(crate) fn new(state_dir: &Path) -> io::Result<Arc<Self>> {
        let parent = state_dir.join("loaded");
        DirBuilder::new().recursive(true).mode(0o700).create(&parent)?;
        let parent = parent.canonicalize()?;
        trust::check_directory(&parent).map_err(io::Error::other)?;
        // One daemon after the other, so that none takes a directory for left behind whose lock is about to be taken.
        let turn = lock_file(&parent)?;
        turn.lock()?;
        remove_left_behind(&parent);
        let directory = new_directory(&parent)?;
        let lock = lock_file(&directory)?;
        lock.try_lock()?;
        Ok(Arc::new(Self { directory, next: AtomicU64::new(0), _lock: lock }))
    }

    /// Whether it is still there: what clears away old temporary files may have taken it.
    pub(crate) fn is_there(&self) -> bool {
        self.directory.is_dir()
    }

    /// Writes bytes under a name that was never used.
    pub(crate) fn add(self: &Arc<Self>, name: &str, bytes: &[u8]) -> io::Result<Copy> {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
        let path = self.directory.join(format!("{name}-{}.so", self.next.fetch_add(1, Ordering::Relaxed)));
        let copy = Copy { path, _within: self.clone() };
        OpenOptions::new().write(true).create_new(true).mode(0o500).open(&copy.path)?.write_all(bytes)?;
        Ok(copy)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // What stays is removed by the next daemon.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Copy {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn lock_file(directory: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(directory.join(LOCK))
}

/// A directory that was not there: another daemon may have this one's number. Nor was its name used before by this process,
/// for what was in a directory that somebody removed is still removed by its name.
fn new_directory(parent: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let directory = parent.join(format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| directory),
        }
    }
}

/// Removes the directories whose lock nobody holds. What has no lock is none of ours.
fn remove_left_behind(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let lock = OpenOptions::new().write(true).open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_copy_is_alone_and_private_and_goes_with_its_owner() {
        let state = tempfile::tempdir().unwrap();
        let copies = Copies::new(state.path()).unwrap();
        let (a, b) = (copies.add("disk", b"1").unwrap(), copies.add("../disk", b"2").unwrap());
        assert_ne!(a.path(), b.path());
        assert_eq!((fs::read(a.path()).unwrap(), fs::read(b.path()).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        let directory = a.path().parent().unwrap().to_owned();
        assert_eq!(directory, b.path().parent().unwrap(), "a name cannot lead out of the directory");
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let path = a.path().to_owned();
        drop(a);
        assert!(!path.exists());
        drop(copies);
        assert!(b.path().exists(), "a copy in use keeps its directory");
        drop(b);
        assert!(!directory.exists());
    }

    #[test]
    fn what_a_killed_daemon_left_is_removed_and_what_a_living_one_holds_stays() {
        let state = tempfile::tempdir().unwrap();
        let at = |name: &str| state.path().join("loaded").join(name);
        // The first process lives, and no process has a number above the kernel's limit of 2^22. Neither says anything:
        // a number is given out again, and another container has its own.
        for name in ["1-0", "4194305-0", "notes"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        lock_file(&at("1-0")).unwrap();
        let held = lock_file(&at("4194305-0")).unwrap();
        held.lock().unwrap();
        let copies = Copies::new(state.path()).unwrap();
        assert!(!at("1-0").exists());
        assert!(at("4194305-0").exists() && at("notes").exists());

        let copy = copies.add("disk", b"1").unwrap();
        let other = Copies::new(state.path()).unwrap();
        assert!(copy.path().exists() && other.directory != copies.directory, "two hosts in one process");
    }

    #[test]
    fn a_directory_that_anybody_can_write_is_refused() {
        let state = tempfile::tempdir().unwrap();
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Copies::new(state.path()).unwrap_err().to_string().contains("can be written by anybody"));
    }
}
