//! Loads a plugin into this process. The one place of the host where foreign code is first run.
//!
//! Called on private copies of files that passed pre-flight: by the child, and by the daemon for `isolation = "thread"`.
//! What is loaded stays loaded: unloading a library that used thread-locals is a crash, otherwise it does nothing.
#![allow(unsafe_code)] // dlopen runs the constructors of the library, dlsym believes it about its symbols' types

use headwater_abi::{
    PluginV1Ref, SYMBOL,
    abi_stable::library::{AbiHeaderRef, LibraryError},
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::io::Errno;
use std::{
    error::Error,
    io,
    mem::ManuallyDrop,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// Why a plugin does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// The system's loader.
    #[error("the system cannot load it: {0}")]
    System(String),
    /// The system's loader, for want of something that may be there another time.
    #[error("the system cannot load it now: {0}")]
    NotNow(String),
    /// It has no header under our symbol, or not ours.
    #[error("it exports no usable `{SYMBOL}`: {0}")]
    Symbol(String),
    /// Its tables have another layout.
    #[error(
        "its tables are laid out otherwise than this daemon's ({summary}); rebuild it with the current headwater-plugin"
    )]
    Layout {
        /// The last line of the difference.
        summary: String,
        /// All of it; hundreds of lines.
        full: String,
    },
    /// The process can load no more.
    #[error(
        "the daemon has loaded {MOST} plugins into itself since it started, and cannot unload any; restart it, or set isolation = \"process\""
    )]
    Spent,
}

/// How many plugins one process loads at most. Each takes one of the 1,024 keys for thread-locals that the C library has,
/// for good; the next one would abort the process.
const MOST: u32 = 900;

/// What a system runs short of and has again later: descriptors of the process, of the system, and memory.
const PASSING: [(Errno, &str); 3] = [
    (Errno::MFILE, "Too many open files"),
    (Errno::NFILE, "Too many open files in system"),
    (Errno::NOMEM, "Cannot allocate memory"),
];

/// Whether an error says nothing about the file that it came of.
pub(crate) fn passing(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|number| PASSING.iter().any(|(passing, _)| *passing == number))
}

/// Loads a file and checks the layout of its tables.
pub(crate) fn open(path: &Path) -> Result<PluginV1Ref, LoadError> {
    static LOADED: AtomicU32 = AtomicU32::new(0);
    if LOADED.fetch_add(1, Ordering::Relaxed) >= MOST {
        return Err(LoadError::Spent);
    }
    // NOW, so that a missing symbol is an error here and not the end of the process at its first use; LOCAL, so that
    // plugins do not see each other's symbols.
    // SAFETY: the constructors of the library run; that is what hosting a plugin means, and why pre-flight and the trust
    // check come first.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = ManuallyDrop::new(library.map_err(|error| {
        // Nothing of it stays, so that tries without end use nothing up.
        LOADED.fetch_sub(1, Ordering::Relaxed);
        let reason = chain(&error);
        // The loader says no number, only words, and says them in English: nothing here sets a locale.
        if PASSING.iter().any(|(_, words)| reason.contains(words)) {
            LoadError::NotNow(reason)
        } else {
            LoadError::System(reason)
        }
    })?);
    // SAFETY: the symbol is a static of the type that the export macro defines; a library that lies about it could have
    // done anything in its constructors already. `upgrade` compares the header's magic before more is read.
    let header = unsafe { library.get::<AbiHeaderRef>(SYMBOL) }.map(|symbol| *symbol);
    let header = header.map_err(|error| LoadError::Symbol(chain(&error)))?;
    let header = header.upgrade().map_err(|error| LoadError::Symbol(last_line(&error)))?;
    header
        .init_root_module::<PluginV1Ref>()
        .map_err(|error| LoadError::Layout { summary: last_line(&error), full: error.to_string() })
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn last_line(error: &LibraryError) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::fs::{self, File};

    #[test]
    fn a_library_without_our_symbol_is_an_error() {
        let error = open(Path::new("libc.so.6")).err().unwrap();
        assert!(matches!(error, LoadError::Symbol(_)), "{error}");
        assert!(error.to_string().starts_with("it exports no usable `headwater_plugin_v1`"), "{error}");
    }

    #[test]
    fn a_process_that_can_load_no_more_says_so_before_it_aborts() {
        for _ in 0..=MOST {
            assert_ne!(open(Path::new("/nonexistent/libdisk.so")).err(), Some(LoadError::Spent));
        }
        for _ in 0..MOST {
            assert_ne!(open(Path::new("libc.so.6")).err(), Some(LoadError::Spent));
        }
        assert_eq!(open(Path::new("libc.so.6")).err(), Some(LoadError::Spent));
    }

    #[test]
    fn what_the_system_has_too_little_of_now_is_not_the_fault_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "no library").unwrap();
        assert!(matches!(open(file.path()).err(), Some(LoadError::System(_))));
        // The test is a process of its own under nextest; under `cargo test` the others would be short of descriptors too,
        // so that the limit goes back at once.
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
        let (loaded, read) = (open(file.path()).err(), File::open(file.path()).unwrap_err());
        setrlimit(Resource::Nofile, before).unwrap();
        assert!(matches!(loaded, Some(LoadError::NotNow(_))), "{loaded:?}");
        assert!(passing(&read));
    }

    #[test]
    fn a_file_that_the_system_refuses_is_an_error_with_its_words() {
        let error = open(Path::new("/nonexistent/libdisk.so")).err().unwrap();
        assert!(error.to_string().contains("No such file or directory"), "{error}");
    }
}
