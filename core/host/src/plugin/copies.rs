//! The private directory in which the daemon keeps the plugins that it runs: bytes that were checked, under names that
//! nothing else uses.
//!
//! Loading by the path where a build puts its output can give the old code, and a file overwritten in place while it is
//! mapped is SIGBUS; a copy has neither fault. Made by the host, used by [`Image`](super::image::Image).

use super::trust;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

/// Several hosts may live in one process: tests do that.
static HOSTS: AtomicU64 = AtomicU64::new(0);

/// The directory, removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(crate) struct Copies {
    directory: PathBuf,
    next: AtomicU64,
}

/// One file in it, removed when it is dropped. What has loaded it keeps its mapping.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
}

impl Copies {
    /// Makes the directory below `state_dir`, and removes those of daemons that are gone.
    pub(crate) fn new(state_dir: &Path) -> io::Result<Self> {
        let parent = state_dir.join("loaded");
        DirBuilder::new().recursive(true).mode(0o700).create(&parent)?;
        let parent = parent.canonicalize()?;
        trust::check_directory(&parent).map_err(io::Error::other)?;
        remove_left_behind(&parent);
        let directory = parent.join(format!("{}-{}", process::id(), HOSTS.fetch_add(1, Ordering::Relaxed)));
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => DirBuilder::new().mode(0o700).create(&directory)?,
        }
        Ok(Self { directory, next: AtomicU64::new(0) })
    }

    /// Writes bytes under a name that was never used.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> io::Result<Copy> {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
        let path = self.directory.join(format!("{name}-{}.so", self.next.fetch_add(1, Ordering::Relaxed)));
        let copy = Copy { path };
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

fn remove_left_behind(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-')).and_then(|(pid, _)| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
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
        assert!(!directory.exists());
    }

    #[test]
    fn what_a_killed_daemon_left_is_removed_and_what_a_living_one_holds_stays() {
        let state = tempfile::tempdir().unwrap();
        let at = |name: &str| state.path().join("loaded").join(name);
        // No process has a number above the kernel's limit of 2^22.
        for name in ["4194305-0", "1-0", "notes"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let _copies = Copies::new(state.path()).unwrap();
        assert!(!at("4194305-0").exists());
        assert!(at("1-0").exists() && at("notes").exists());
    }

    #[test]
    fn a_directory_that_anybody_can_write_is_refused() {
        let state = tempfile::tempdir().unwrap();
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Copies::new(state.path()).unwrap_err().to_string().contains("can be written by anybody"));
    }
}
