//! Whether a file may be run as ours: who could have put it there.
//!
//! A plugin runs with the rights of the daemon. Whoever can write its file, or rename another one over it, has them too.
//! Called by the image before it reads a plugin, and for the directory of private copies.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Why a file is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrusted {
    /// Anybody can change it.
    #[error("{} can be written by anybody; `chmod o-w` it", .0.display())]
    Writable(PathBuf),
    /// Somebody else can change it.
    #[error(
        "{} belongs to user {owner}, and the daemon runs as user {user}; `chown` it, or run the daemon as its owner",
        .path.display()
    )]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The daemon's user.
        user: u32,
    },
    /// It cannot be looked at.
    #[error("cannot look at {}: {reason}", .path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// Checks an open file, by the metadata of the open file, and every directory above it: as the path is written, and as
/// it is once links are followed.
pub(crate) fn check(path: &Path, opened: &Metadata) -> Result<(), Untrusted> {
    let user = rustix::process::geteuid().as_raw();
    judge(path, opened, user)?;
    let unreadable = |error: io::Error| Untrusted::Unreadable { path: path.into(), reason: error.to_string() };
    let written = std::path::absolute(path).map_err(unreadable)?;
    let followed = path.canonicalize().map_err(unreadable)?;
    for start in [written, followed] {
        start.parent().map_or(Ok(()), |parent| directories(parent, user))?;
    }
    Ok(())
}

/// Checks a directory and every one above it.
pub(crate) fn check_directory(path: &Path) -> Result<(), Untrusted> {
    directories(path, rustix::process::geteuid().as_raw())
}

fn directories(start: &Path, user: u32) -> Result<(), Untrusted> {
    for directory in start.ancestors().filter(|path| !path.as_os_str().is_empty()) {
        let metadata = directory
            .metadata()
            .map_err(|error| Untrusted::Unreadable { path: directory.into(), reason: error.to_string() })?;
        judge(directory, &metadata, user)?;
    }
    Ok(())
}

fn judge(path: &Path, metadata: &Metadata, user: u32) -> Result<(), Untrusted> {
    let owner = metadata.uid();
    if owner != user && owner != ROOT {
        return Err(Untrusted::Owner { path: path.into(), owner, user });
    }
    // In a sticky directory (/tmp) others can add files, but neither remove nor rename ours.
    let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
    if metadata.mode() & WRITABLE_BY_ALL != 0 && !sticky {
        return Err(Untrusted::Writable(path.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, File, Permissions},
        os::unix::fs::{PermissionsExt, chown, symlink},
    };

    fn verdict(path: &Path) -> Result<(), Untrusted> {
        check(path, &File::open(path).unwrap().metadata().unwrap())
    }

    #[test]
    fn what_anybody_can_write_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let (sub, file) = (directory.path().join("sub"), directory.path().join("sub/libdisk.so"));
        fs::create_dir(&sub).unwrap();
        fs::write(&file, "").unwrap();
        assert_eq!(verdict(&file), Ok(()));

        fs::set_permissions(&sub, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(verdict(&file), Err(Untrusted::Writable(sub.clone())));
        fs::set_permissions(&sub, Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(verdict(&file), Ok(()), "others cannot rename in a sticky directory");
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let error = verdict(&file).unwrap_err();
        assert_eq!(error.to_string(), format!("{} can be written by anybody; `chmod o-w` it", file.display()));
    }

    #[test]
    fn a_link_is_as_trusted_as_the_place_it_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let (open, link) = (directory.path().join("open"), directory.path().join("libdisk.so"));
        fs::create_dir(&open).unwrap();
        fs::write(open.join("libdisk.so"), "").unwrap();
        symlink(open.join("libdisk.so"), &link).unwrap();
        assert_eq!(verdict(&link), Ok(()));
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(verdict(&link), Err(Untrusted::Writable(path)) if path.ends_with("open")));
    }

    #[test]
    fn another_users_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("libdisk.so");
        fs::write(&file, "").unwrap();
        let metadata = file.metadata().unwrap();
        assert!(
            matches!(judge(&file, &metadata, metadata.uid() + 1), Err(Untrusted::Owner { .. }))
                == (metadata.uid() != ROOT)
        );
        // Only root can give a file away; elsewhere the line above has shown it.
        if chown(&file, Some(12345), None).is_ok() {
            assert!(matches!(verdict(&file), Err(Untrusted::Owner { owner: 12345, .. })));
        }
    }
}
