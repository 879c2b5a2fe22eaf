//! What a daemon that was killed has left: hooks that write into a FIFO that nobody reads, and such FIFOs.

use super::fifo::{State, directory, is_name, state};
use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// A FIFO without a reader that is younger than this may be one that another daemon is about to open.
const YOUNG: Duration = Duration::from_mins(1);

/// Whether a hook that writes into this FIFO is of no use to anybody.
pub(super) fn is_left_over(fifo: &str) -> bool {
    matches!(state(Path::new(fifo)), State::None | State::Abandoned)
}

/// Removes the FIFO of such a hook.
pub(super) fn clear(fifo: &str) {
    let path = Path::new(fifo);
    if matches!(state(path), State::Abandoned) {
        let _ = fs::remove_file(path);
    }
}

/// Removes old FIFOs that nobody reads, beside the one that we use: those of servers that are gone too.
pub(super) fn sweep(but: &Path) {
    let Ok(files) = fs::read_dir(directory()) else { return };
    for file in files.flatten().filter(|file| is_name(&file.file_name()) && file.path() != but) {
        let modified = file.metadata().and_then(|meta| meta.modified()).unwrap_or_else(|_| SystemTime::now());
        if modified.elapsed().is_ok_and(|age| age > YOUNG) && matches!(state(&file.path()), State::Abandoned) {
            let _ = fs::remove_file(file.path());
        }
    }
}
