//! What a server and its client say to each other goes first: the threads that look at it and tell of it take what is left.

/// Lets every other thread go before the one that calls this. Linux keeps priorities for each thread; where it refuses, the
/// thread runs as the others do.
pub(super) fn last() {
    let _ = rustix::process::setpriority_process(None, 19);
}
