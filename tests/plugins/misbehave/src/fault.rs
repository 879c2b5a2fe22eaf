//! What kills the process, and what only `unsafe` can do. All of it is on purpose.
#![allow(unsafe_code)] // a fault of memory cannot be had without it

use std::{
    fs,
    hint::black_box,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// Writes where no memory is.
pub(crate) fn segfault() {
    let nowhere = black_box(8_usize) as *mut u8;
    // SAFETY: there is none. The write is the fault that is wanted; what follows it is never reached.
    unsafe { nowhere.write_volatile(1) };
}

/// Uses up the stack.
pub(crate) fn overflow_the_stack(depth: u64) -> u64 {
    let room = black_box([depth; 128]);
    // The compiler cannot know that this never ends.
    if black_box(depth) == u64::MAX { room[0] } else { overflow_the_stack(depth + 1) + room[127] }
}

/// Closes all files of the process, the link to the host among them.
pub(crate) fn close_files() {
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd").map_or_else(
        |_| (3..256).collect(),
        |entries| entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
    );
    // The directory that was just read is closed again, and std ends the process over a descriptor that is none.
    let is_open = |fd: &RawFd| fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok();
    for fd in open.into_iter().filter(|fd| *fd > 2).filter(is_open) {
        // SAFETY: the descriptors belong to others. That they are pulled away under their owners is the fault wanted.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}
