//! Reads a file if it may have changed since it was read last.

use rustix::{fs::OFlags, io::Errno};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, SystemTime},
};

/// The largest file that is read. Claude Code's grows to some megabytes; what is larger than this is something else.
const LARGEST: u64 = 16 << 20;

/// Times of files are kept in ticks of some milliseconds. A file that changed less than this before it was read may have
/// changed again within the same tick, and would look the same: it is read once more.
const TICK: Duration = Duration::from_millis(100);

/// What one look at a file gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// What it was when it was read last.
    Same,
    /// There is no file.
    Missing,
    /// It cannot be read, for this reason.
    Unreadable(&'static str),
    /// What is in it.
    Text(Vec<u8>),
}

/// The state in which a file was read, as it looks from outside.
#[derive(Debug)]
pub(super) struct Outside {
    identity: (u64, u64, u64, (i64, i64), (i64, i64)),
    settled: bool,
}

/// Reads a file, unless it looks from outside as it did when `before` was noted. Notes how it looks now.
pub(super) fn read(path: &Path, before: &mut Option<Outside>) -> Content {
    // Before reading: what is written while we read must look newer.
    let began = SystemTime::now();
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => {
            *before = None;
            return missing_or_unreadable(&error);
        }
    };
    let identity =
        (meta.dev(), meta.ino(), meta.size(), (meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    if before.as_ref().is_some_and(|before| before.settled && before.identity == identity) {
        return Content::Same;
    }
    let changed = SystemTime::UNIX_EPOCH
        + Duration::new(meta.ctime().try_into().unwrap_or(0), meta.ctime_nsec().try_into().unwrap_or(0));
    let settled = began.duration_since(changed).is_ok_and(|age| age > TICK);
    *before = Some(Outside { identity, settled });
    // Opening a pipe would wait for its other end.
    if !meta.is_file() {
        return Content::Unreadable("it is no regular file");
    }
    match bounded(path) {
        Ok(Some(text)) => Content::Text(text),
        Ok(None) => Content::Unreadable("it is larger than 16 MiB"),
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            Content::Unreadable("it is no regular file")
        }
        Err(error) => missing_or_unreadable(&error),
    }
}

fn bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Errno::NXIO.into());
    }
    file.take(LARGEST + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= LARGEST).then_some(text))
}

/// Opens without waiting: what was a file a moment ago may be a pipe now, whose other end nobody opens.
fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

fn missing_or_unreadable(error: &io::Error) -> Content {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Content::Missing,
        io::ErrorKind::PermissionDenied => Content::Unreadable("it may not be read by this user"),
        _ => Content::Unreadable("the system cannot read it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_file_is_read_once_and_a_changed_one_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut outside = None;
        assert_eq!(read(&path, &mut outside), Content::Missing);
        std::fs::write(&path, "a").unwrap();
        assert_eq!(read(&path, &mut outside), Content::Text(b"a".to_vec()));
        assert!(!outside.as_ref().unwrap().settled, "it changed just now: its times are not trusted yet");
        assert_eq!(read(&path, &mut outside), Content::Text(b"a".to_vec()));
        outside.as_mut().unwrap().settled = true;
        assert_eq!(read(&path, &mut outside), Content::Same);
        std::fs::write(&path, "bc").unwrap();
        assert_eq!(read(&path, &mut outside), Content::Text(b"bc".to_vec()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, &mut outside), Content::Missing);
    }

    /// Harm prevented: a pipe that took the file's place between two looks at it held the thread up for ever.
    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (told, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(bounded(&path).map_err(|error| error.raw_os_error())));
        let read = done.recv_timeout(Duration::from_secs(30)).expect("it does not wait");
        assert_eq!(read, Err(Some(Errno::NXIO.raw_os_error())));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let read = |name: &str| read(&directory.path().join(name), &mut None);
        assert!(matches!(read(""), Content::Unreadable(reason) if reason.contains("regular")));
        File::create(directory.path().join("large")).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(matches!(read("large"), Content::Unreadable(reason) if reason.contains("larger")));
        std::os::unix::fs::symlink("loop", directory.path().join("loop")).unwrap();
        assert!(matches!(read("loop"), Content::Unreadable(reason) if reason.contains("system")));
        assert_eq!(read("large/below"), Content::Missing);
    }
}
