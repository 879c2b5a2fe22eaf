//! The FIFO that the hooks write into, and the shell command that writes.
//!
//! It is open for reading and writing on both sides, so that no writer ever waits for a reader: when the daemon is gone, what
//! is written is gone with the writer. Its name is the mark by which hooks are known as ours.

use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What the names begin with.
const MARK: &str = "headwater-tmux-";

/// What they end with.
const END: &str = ".fifo";

/// A FIFO of ours; its file is removed on drop.
#[derive(Debug)]
pub(crate) struct Fifo {
    path: PathBuf,
    file: File,
}

impl Fifo {
    /// Makes one that only this user can open. It must not exist: nobody can put another file in its place.
    pub(crate) fn create() -> io::Result<Self> {
        let number = RandomState::new().hash_one(std::process::id());
        let path = directory().join(format!("{MARK}{number:016x}{END}"));
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let file = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        match file {
            Ok(file) => Ok(Self { path, file: file.into() }),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error.into())
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A further handle, to read from in a thread.
    pub(crate) fn reader(&self) -> io::Result<impl Read + Send + 'static> {
        self.file.try_clone()
    }

    /// Wakes the reader with a line that no hook writes.
    pub(crate) fn wake(&self) {
        let _ = (&self.file).write_all(b"\n");
    }

    /// The tmux command of a hook.
    pub(crate) fn hook(&self, name: &str) -> String {
        format!("run-shell -b \"{}\"", self.shell(name))
    }

    /// The shell command of a hook. It never fails and never prints: tmux would show either to the user. The ids that tmux
    /// puts in are `$1`, `@2` and `%3`; a name is never among them. Without `[ -p … ]`, a FIFO that somebody removed would
    /// come back as a file that grows.
    pub(crate) fn shell(&self, name: &str) -> String {
        let path = self.path.display();
        let line = format!("{name} #{{hook_session}} #{{hook_window}} #{{hook_pane}}");
        format!("{{ [ -p {path} ] && echo '{line}' 1<>{path}; }} 2>/dev/null || :")
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Where FIFOs go: the user's own runtime directory, if the shell takes its name as it is; otherwise the place for
/// temporary files.
pub(super) fn directory() -> PathBuf {
    let plain = |path: &PathBuf| {
        let text = path.to_str().unwrap_or_default();
        let simple = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        text.starts_with('/') && text.chars().all(simple) && writable(path)
    };
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime.into_iter().chain([env::temp_dir()]).find(plain).unwrap_or_else(|| PathBuf::from("/tmp"))
}

fn writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// The path of the FIFO that the text of a hook writes into, where it is one with our mark.
pub(super) fn path_in(text: &str) -> Option<&str> {
    let mark = text.find(MARK)?;
    let start = text[..mark].rfind(' ')? + 1;
    let end = mark + text[mark..].find(END)? + END.len();
    let path = &text[start..end];
    (path.starts_with('/') && is_name(OsStr::new(path.rsplit('/').next()?))).then_some(path)
}

/// Whether a file's name is one that [`Fifo::create`] gives.
pub(super) fn is_name(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.strip_prefix(MARK)?.strip_suffix(END));
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What is known of a FIFO on disk that is not ours to read.
pub(super) enum State {
    /// There is none, or none that this user owns.
    None,
    /// Nobody reads it.
    Abandoned,
    /// Somebody does.
    Read,
}

/// Whether somebody reads a FIFO: the kernel refuses a writer that would not wait when there is no reader.
pub(super) fn state(path: &Path) -> State {
    use std::os::unix::fs::FileTypeExt;
    let ours = |meta: &fs::Metadata| meta.file_type().is_fifo() && meta.uid() == rustix::process::getuid().as_raw();
    if !fs::symlink_metadata(path).is_ok_and(|meta| ours(&meta)) {
        return State::None;
    }
    match rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::NXIO) => State::Abandoned,
        _ => State::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, BufReader},
        os::unix::fs::PermissionsExt,
        process::Command,
    };

    fn run(command: &str) -> std::process::Output {
        Command::new("sh").args(["-c", command]).output().unwrap()
    }

    #[test]
    fn what_a_hook_writes_is_read_and_the_file_goes_with_its_owner() {
        let fifo = Fifo::create().unwrap();
        let mode = fs::metadata(fifo.path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(matches!(state(fifo.path()), State::Read));
        assert!(run(&fifo.shell("session-created")).status.success());
        let mut line = String::new();
        BufReader::new(fifo.reader().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "session-created #{hook_session} #{hook_window} #{hook_pane}\n", "tmux fills the ids in");
        let path = fifo.path().to_owned();
        drop(fifo);
        assert!(!path.exists());
    }

    /// After a `kill -9` of the daemon the hooks stay in the server. A writer that waited would pile up; one that failed or
    /// printed would be shown in the user's pane.
    #[test]
    fn a_hook_without_a_reader_or_without_a_fifo_is_silent_and_leaves_nothing() {
        let fifo = Fifo::create().unwrap();
        let (command, path) = (fifo.shell("session-closed"), fifo.path().to_owned());
        let other = path.with_file_name(format!("{MARK}{:016x}{END}", std::process::id()));
        rustix::fs::mknodat(CWD, &other, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let abandoned = command.replace(path.to_str().unwrap(), other.to_str().unwrap());
        assert!(matches!(state(&other), State::Abandoned));
        let ran = run(&abandoned);
        assert!(ran.status.success() && ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
        fs::remove_file(&other).unwrap();
        let ran = run(&abandoned);
        assert!(ran.status.success() && ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
        assert!(!other.exists(), "no file in place of the FIFO");
    }

    #[test]
    fn only_our_own_names_are_a_mark() {
        let ours = "/tmp/headwater-tmux-0123456789abcdef.fifo";
        assert_eq!(path_in(&format!("run-shell -b \"{{ [ -p {ours} ] && echo 'x' 1<>{ours}; }}\"")), Some(ours));
        assert_eq!(path_in("run-shell \"[ -p /tmp/x.fifo ]\""), None);
        assert_eq!(path_in("display \"headwater-tmux-\""), None);
        assert_eq!(path_in("run-shell \"[ -p /tmp/headwater-tmux-../../etc/passwd.fifo ]\""), None);
        assert_eq!(path_in("run-shell \"[ -p headwater-tmux-0123456789abcdef.fifo ]\""), None);
    }
}
