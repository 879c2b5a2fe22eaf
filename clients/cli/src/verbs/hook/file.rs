//! Settings files of other programs: read, kept aside once, and replaced in one step.

use crate::Failure;
use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

/// A file and what it shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) file: PathBuf,
    /// What it holds; `None`: it is not there.
    pub(super) before: Option<String>,
    /// What it shall hold; `None`: it shall not be there.
    pub(super) after: Option<String>,
}

impl Change {
    pub(super) fn is_none(&self) -> bool {
        self.before == self.after
    }

    /// Makes it. Another program may have written the file meanwhile; then nothing is done.
    pub(super) fn make(&self) -> Result<(), Failure> {
        if read(&self.file)? != self.before {
            return Err(Failure::Other(format!(
                "{} has changed meanwhile; nothing was written, try again",
                self.file.display()
            )));
        }
        let made = match &self.after {
            Some(text) => write(&self.file, text),
            None => fs::remove_file(&self.file),
        };
        made.map_err(|error| Failure::Other(format!("{} cannot be written: {error}", self.file.display())))
    }
}

/// The text of a file; `None` when there is none.
pub(super) fn read(file: &Path) -> Result<Option<String>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Other(format!("{} cannot be read: {error}", file.display()));
    match fs::read(file) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| failed(&"it is no UTF-8 text")),
        // Also a link to a file that is not there yet.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Where the settings from before our first change are.
pub(super) fn backup(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".headwater-backup");
    name.into()
}

/// Writes a file in one step: whoever reads sees the old text or the new one. A link stays a link; mode and owner stay.
pub(super) fn write(file: &Path, text: &str) -> io::Result<()> {
    let target = resolved(file);
    let directory = target.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    let mut beside = tempfile::NamedTempFile::new_in(directory)?;
    beside.write_all(text.as_bytes())?;
    // A new file is its owner's alone: settings hold keys.
    let present = fs::metadata(&target);
    let mode = present.as_ref().map_or(0o600, |data| data.permissions().mode());
    // Under `sudo` a file that is replaced would become root's, and the agent could not read its own settings any more.
    let owner = present.or_else(|_| fs::metadata(directory))?;
    let own = beside.as_file().metadata()?;
    if (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        let given = fchown(beside.as_file(), Some(owner.uid()), Some(owner.gid()));
        // Where the directory alone is somebody else's, or of another group, the new file may be ours.
        if owner.is_file() {
            given?;
        }
    }
    beside.as_file().set_permissions(Permissions::from_mode(mode & 0o7777))?;
    beside.as_file().sync_all()?;
    beside.persist(&target)?;
    Ok(())
}

/// The file behind links, also where the last one leads to nothing yet.
fn resolved(file: &Path) -> PathBuf {
    let mut target = file.to_owned();
    // As many as the system follows.
    for _ in 0..40 {
        let Ok(next) = fs::read_link(&target) else { break };
        target = target.parent().unwrap_or(Path::new("/")).join(next);
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_modes_stay() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::create_dir(path("dotfiles")).unwrap();
        fs::write(path("dotfiles/settings.json"), "{}").unwrap();
        fs::set_permissions(path("dotfiles/settings.json"), Permissions::from_mode(0o640)).unwrap();
        symlink("dotfiles/settings.json", path("settings.json")).unwrap();
        write(&path("settings.json"), "{\"a\":1}").unwrap();
        assert_eq!(fs::read_link(path("settings.json")).unwrap(), Path::new("dotfiles/settings.json"));
        let real = path("dotfiles/settings.json");
        assert_eq!(fs::read_to_string(&real).unwrap(), "{\"a\":1}");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        symlink("later/new.json", path("dangling.json")).unwrap();
        assert_eq!(read(&path("dangling.json")).unwrap(), None);
        write(&path("dangling.json"), "{}").unwrap();
        assert_eq!(fs::read_to_string(path("later/new.json")).unwrap(), "{}");
        assert_eq!(fs::metadata(path("later/new.json")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path("dotfiles")).unwrap().count(), 1, "nothing half-written is left");
    }

    /// Harm prevented: after `sudo headwater hook install` the agent cannot read its settings.
    #[test]
    fn the_owner_stays() {
        use std::os::unix::fs::chown;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("settings.json");
        fs::write(&file, "{}").unwrap();
        if chown(&file, Some(4242), Some(4243)).is_err() {
            // Only root can give a file away, and only root could take one.
            return;
        }
        write(&file, "{\"a\":1}").unwrap();
        let data = fs::metadata(&file).unwrap();
        assert_eq!((data.uid(), data.gid()), (4242, 4243));
        chown(home.path(), Some(4242), Some(4243)).unwrap();
        write(&backup(&file), "{}").unwrap();
        assert_eq!(fs::metadata(backup(&file)).unwrap().uid(), 4242, "a new file is whose directory it is in");
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("settings.json");
        let change = Change { file: file.clone(), before: None, after: Some("{}".into()) };
        fs::write(&file, "{\"theirs\":1}").unwrap();
        let failure = change.make().unwrap_err().to_string();
        assert!(failure.contains("has changed meanwhile"), "{failure}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"theirs\":1}");
        fs::write(&file, b"\xff").unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("UTF-8"));
    }
}
