//! Where notices must be asked for: the directories in which the files, and all links on the way to them, have their names.

use crate::files::{Listing, Paths};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// The most directories that are watched. Each takes one of the user's inotify watches.
const MAX_DIRECTORIES: usize = 256;

/// A chain of links that is longer leads in a circle.
const MAX_LINKS: usize = 40;

/// Which directory it is, whatever its name.
pub(super) type Identity = (u64, u64);

/// The directories to watch, and what matters in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Real paths of directories.
    pub(super) directories: BTreeMap<PathBuf, Identity>,
    /// Names that matter, by real paths.
    entries: BTreeSet<PathBuf>,
    /// The real path of `sources.d`: every file that may count matters there.
    sources_dir: Option<PathBuf>,
}

impl Places {
    /// Where the files of this config, and these further ones, are at this moment.
    pub(super) fn new(paths: &Paths, listing: &Listing, extra: &[PathBuf]) -> Self {
        let mut places = Self::default();
        places.sources_dir = places.follow(&paths.sources_dir);
        if let Some(dir) = places.sources_dir.clone() {
            places.add(&dir);
        }
        for file in listing.files.iter().chain(extra) {
            places.follow(file);
        }
        places
    }

    /// Whether a notice about this path is about us.
    pub(super) fn matter(&self, path: &Path) -> bool {
        self.entries.contains(path)
            || self.directories.contains_key(path)
            || (path.extension().is_some_and(|e| e == "toml") && path.parent() == self.sources_dir.as_deref())
    }

    /// Goes along a path name by name, through links. Each link's own name matters, and so does the last name; when a
    /// directory is missing, its name does. Returns the real path, if all of it exists.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        let mut rest: VecDeque<OsString> = VecDeque::new();
        push_front(&mut rest, &path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let last = rest.is_empty();
            match std::fs::symlink_metadata(&next) {
                Ok(meta) if meta.is_symlink() => {
                    self.entry(&at, next.clone());
                    links += 1;
                    let target = std::fs::read_link(&next).ok().filter(|_| links <= MAX_LINKS)?;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    push_front(&mut rest, &target);
                }
                Ok(_) => {
                    if last {
                        self.entry(&at, next.clone());
                    }
                    at = next;
                }
                Err(_) => {
                    self.entry(&at, next);
                    return None;
                }
            }
        }
        Some(at)
    }

    fn entry(&mut self, directory: &Path, path: PathBuf) {
        self.entries.insert(path);
        self.add(directory);
    }

    fn add(&mut self, directory: &Path) {
        if self.directories.len() < MAX_DIRECTORIES
            && let Ok(meta) = std::fs::metadata(directory)
            && meta.is_dir()
        {
            self.directories.insert(directory.to_owned(), identity(&meta));
        }
    }
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

fn push_front(rest: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => rest.push_front(name.to_owned()),
            Component::ParentDir => rest.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn places(paths: &Paths) -> Places {
        Places::new(paths, &Listing::new(paths), &[])
    }

    #[test]
    fn links_are_followed_to_where_their_targets_are() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("v1")).unwrap();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("v1/headwater.toml"), "").unwrap();
        // As Kubernetes mounts a config: the file is a link through a link that is swapped.
        symlink("../v1", root.join("etc/data")).unwrap();
        symlink("data/headwater.toml", root.join("etc/headwater.toml")).unwrap();
        let places = places(&Paths::new(root.join("etc/headwater.toml")));
        assert!(places.directories.contains_key(&root.join("etc")));
        assert!(places.directories.contains_key(&root.join("v1")));
        for name in ["etc/headwater.toml", "etc/data", "v1/headwater.toml", "etc/sources.d"] {
            assert!(places.matter(&root.join(name)), "{name}");
        }
        assert!(!places.matter(&root.join("etc/other")));
    }

    #[test]
    fn a_missing_directory_is_awaited_where_it_would_be() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let places = places(&Paths::new(root.join("a/b/headwater.toml")));
        assert_eq!(places.directories.keys().collect::<Vec<_>>(), [&root]);
        assert!(places.matter(&root.join("a")));
    }

    #[test]
    fn a_circle_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("headwater.toml", dir.path().join("headwater.toml")).unwrap();
        assert!(!places(&Paths::new(dir.path().join("headwater.toml"))).directories.is_empty());
    }

    #[test]
    fn only_toml_files_of_sources_d_matter() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("sources.d")).unwrap();
        let places = places(&Paths::new(root.join("headwater.toml")));
        assert!(places.matter(&root.join("sources.d/new.toml")));
        assert!(!places.matter(&root.join("sources.d/new.toml~")));
    }
}
