//! Where notices must be asked for: the directories in which the files, and all links on the way to them, have their names.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// The most directories that are watched: each takes one of the user's inotify watches. What is beyond is found by looking.
pub(super) const MOST: usize = 256;

/// A chain of links that is longer leads in a circle.
const MOST_LINKS: usize = 40;

/// The directories to watch, and the names that matter in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directories {
    /// Real paths, each with what tells it from another directory of that name.
    pub(super) watched: BTreeMap<PathBuf, (u64, u64)>,
    names: BTreeSet<PathBuf>,
    /// There are more than [`MOST`].
    pub(super) too_many: bool,
}

impl Directories {
    /// Where these files are at this moment.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Path>) -> Self {
        let mut directories = Self::default();
        for file in files {
            directories.follow(file);
        }
        directories
    }

    /// Whether a notice about this path may be about one of the files.
    pub(super) fn matter(&self, path: &Path) -> bool {
        self.names.contains(path) || self.watched.contains_key(path)
    }

    /// Goes along a path name by name, through links. Each link's own name matters, and so does the last name; where a
    /// directory is missing, its name does.
    fn follow(&mut self, file: &Path) {
        let mut rest: VecDeque<OsString> = names(file).collect();
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            match std::fs::symlink_metadata(&next) {
                Ok(meta) if meta.is_symlink() => {
                    self.name(&at, next.clone());
                    links += 1;
                    let Some(target) = std::fs::read_link(&next).ok().filter(|_| links <= MOST_LINKS) else { return };
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(name);
                    }
                }
                Ok(_) if !rest.is_empty() => at = next,
                _ => return self.name(&at, next),
            }
        }
    }

    fn name(&mut self, directory: &Path, path: PathBuf) {
        self.names.insert(path);
        if self.watched.contains_key(directory) {
            return;
        }
        if self.watched.len() == MOST {
            self.too_many = true;
        } else if let Ok(meta) = std::fs::metadata(directory) {
            self.watched.insert(directory.to_owned(), identity(&meta));
        }
    }
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn directories_of_files_links_and_what_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/.cursor")).unwrap();
        symlink("real", root.join("link")).unwrap();
        let files = [root.join("link/.cursor/mcp.json"), root.join("link/.vscode/mcp.json")];
        let directories = Directories::of(files.iter().map(PathBuf::as_path));
        let watched: Vec<_> = directories.watched.keys().cloned().collect();
        assert_eq!(watched, [root.clone(), root.join("real"), root.join("real/.cursor")]);
        for (name, matters) in [
            ("link", true),
            ("real/.vscode", true),
            ("real/.cursor/mcp.json", true),
            ("real/.cursor/other", false),
            ("other", false),
        ] {
            assert_eq!(directories.matter(&root.join(name)), matters, "{name}");
        }
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(Directories::of([root.join("loop/x").as_path()].into_iter()).watched.len(), 1);
    }
}
