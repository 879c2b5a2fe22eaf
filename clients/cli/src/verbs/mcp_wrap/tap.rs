//! Hands copies of what was passed on to the observer. It never waits: what the observer has no room for is left out, and
//! the observer learns that something is missing.

use super::{child::Ending, copy::Way};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Instant,
};

/// Copies that wait for the observer: so many, and so many bytes. What comes while it is full is left out.
const PIECES: usize = 4096;
const BYTES: usize = 16 << 20;

/// A piece of what was passed on, or the end of it all.
#[derive(Debug)]
pub(super) enum Copy {
    Bytes {
        way: Way,
        at: Instant,
        /// Something before it is missing.
        after_gap: bool,
        bytes: Vec<u8>,
    },
    End(Ending),
}

/// The end of the copying threads.
#[derive(Clone)]
pub(super) struct Tap {
    sender: SyncSender<Copy>,
    shared: Arc<Shared>,
}

/// The observer's end.
pub(super) struct Copies {
    pub(super) receiver: Receiver<Copy>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    gaps: [AtomicBool; 2],
}

pub(super) fn tap() -> (Tap, Copies) {
    let (sender, receiver) = sync_channel(PIECES);
    let shared = Arc::<Shared>::default();
    (Tap { sender, shared: Arc::clone(&shared) }, Copies { receiver, shared })
}

impl Tap {
    /// Hands on a copy of bytes that have been passed on.
    pub(super) fn copy(&self, way: Way, at: Instant, bytes: &[u8]) {
        let gap = &self.shared.gaps[way as usize];
        let room = self.shared.waiting.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() <= BYTES;
        if room {
            let after_gap = gap.swap(false, Ordering::Relaxed);
            let copy = Copy::Bytes { way, at, after_gap, bytes: bytes.to_vec() };
            if self.sender.try_send(copy).is_ok() {
                return;
            }
        }
        self.shared.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        gap.store(true, Ordering::Relaxed);
    }

    /// Says that nothing follows. The observer takes copies for as long as it lives, so there will be room.
    pub(super) fn end(&self, ending: Ending) {
        let mut end = Copy::End(ending);
        while let Err(TrySendError::Full(back)) = self.sender.try_send(end) {
            end = back;
            std::thread::yield_now();
        }
    }
}

impl Copies {
    /// Says that so many bytes have been looked at.
    pub(super) fn taken(&self, bytes: usize) {
        self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(copies: &Copies) -> Vec<(Way, bool, usize)> {
        let taken = copies.receiver.try_iter().map(|copy| match copy {
            Copy::Bytes { way, after_gap, bytes, .. } => {
                copies.taken(bytes.len());
                (way, after_gap, bytes.len())
            }
            Copy::End(_) => panic!(),
        });
        taken.collect()
    }

    #[test]
    fn what_there_is_no_room_for_is_a_gap_and_nobody_waits() {
        let (tap, copies) = tap();
        let now = Instant::now();
        for _ in 0..BYTES / 65_536 + 10 {
            tap.copy(Way::ToClient, now, &vec![0; 65_536]);
        }
        assert_eq!(bytes(&copies).len(), BYTES / 65_536);
        tap.copy(Way::ToServer, now, b"a");
        tap.copy(Way::ToClient, now, b"bc");
        tap.copy(Way::ToClient, now, b"d");
        let ways = [(Way::ToServer, false, 1), (Way::ToClient, true, 2), (Way::ToClient, false, 1)];
        assert_eq!(bytes(&copies), ways);
        for _ in 0..PIECES + 10 {
            tap.copy(Way::ToServer, now, b"a");
        }
        assert_eq!(bytes(&copies).len(), PIECES);
        // Nobody is there any more.
        drop(copies);
        tap.copy(Way::ToServer, now, b"a");
        tap.end(Ending::Code(0));
    }
}
