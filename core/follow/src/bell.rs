//! How the hub tells one follower that there is something to read. It holds a mark for each channel and not the events,
//! so that a follower that does not come costs nothing more.

use headwater_router::ChannelLog;
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// One follower's bell.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<Rung>,
    pub(crate) notify: Notify,
}

/// What has come since the follower last looked. Bounded by its channels.
#[derive(Debug, Default)]
pub(crate) struct Rung {
    /// Cursors, by their number, whose channels have something new; each once.
    pub(crate) news: Vec<u32>,
    /// Channels that have come to be; their cursors take the next numbers, in this order.
    pub(crate) met: Vec<Arc<ChannelLog>>,
    /// By cursor, whether it stands in `news`.
    marked: Vec<bool>,
}

impl Bell {
    /// There is something new for this cursor.
    pub(crate) fn ring(&self, cursor: u32) {
        let index = cursor as usize;
        {
            let mut rung = self.lock();
            if rung.marked.len() <= index {
                rung.marked.resize(index + 1, false);
            }
            if mem::replace(&mut rung.marked[index], true) {
                return; // it has not looked since
            }
            rung.news.push(cursor);
        }
        self.notify.notify_one();
    }

    /// A channel has come to be.
    pub(crate) fn meet(&self, log: Arc<ChannelLog>) {
        self.lock().met.push(log);
        self.notify.notify_one();
    }

    /// Takes what has come.
    pub(crate) fn take(&self) -> (Vec<u32>, Vec<Arc<ChannelLog>>) {
        let mut rung = self.lock();
        let news = mem::take(&mut rung.news);
        for cursor in &news {
            rung.marked[*cursor as usize] = false;
        }
        (news, mem::take(&mut rung.met))
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Harm prevented: a reader that is not asked for a day holds a day's events, or a mark for each.
    #[test]
    fn a_follower_that_does_not_look_costs_a_mark_for_each_channel() {
        let bell = Bell::default();
        for _ in 0..10_000 {
            for cursor in [3, 0, 7] {
                bell.ring(cursor);
            }
        }
        assert_eq!(bell.take().0, [3, 0, 7]);
        assert_eq!(bell.take().0, [0; 0]);
        bell.ring(7);
        assert_eq!(bell.take().0, [7]);
    }
}
