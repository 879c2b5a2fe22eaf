//! A throttled subscription to one channel: for each type a window of time in which one event goes at once and the newest
//! of the others at its end. What time it is it is told; nothing here waits.

use headwater_event::Event;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The most types that have a window at once, and so the most events that one subscription holds of a channel. With one
/// more type the window that ends first ends at once: its event comes early, and none is lost.
const MAX_WINDOWS: usize = 64;

/// The windows of a channel.
#[derive(Debug)]
pub(super) struct Throttle {
    window: Duration,
    windows: HashMap<Arc<str>, Window>,
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    /// The newest event since it began, but for the one that began it.
    kept: Option<Arc<Event>>,
}

impl Throttle {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, windows: HashMap::new() }
    }

    /// An event came. Those that go now are given to `send`.
    pub(super) fn feed(&mut self, event: &Arc<Event>, now: Instant, mut send: impl FnMut(Arc<Event>)) {
        if let Some(window) = self.windows.get_mut(&event.kind) {
            if now < window.ends {
                window.kept = Some(event.clone());
                return;
            }
            if let Some(kept) = window.kept.replace(event.clone()) {
                // Its end has come and nobody has looked yet: what was kept goes, and this one waits in the next window.
                window.ends = after(window.ends, self.window, now);
                send(kept);
                return;
            }
            window.kept = None;
            window.ends = now + self.window;
        } else {
            self.make_room(now, &mut send);
            self.windows.insert(event.kind.clone(), Window { ends: now + self.window, kept: None });
        }
        send(event.clone());
    }

    /// Ends the windows whose time has come, in the order in which they end.
    pub(super) fn expire(&mut self, now: Instant, mut send: impl FnMut(Arc<Event>)) {
        let mut over: Vec<(Instant, Arc<Event>)> = Vec::new();
        for window in self.windows.values_mut().filter(|window| window.ends <= now) {
            if let Some(kept) = window.kept.take() {
                over.push((window.ends, kept));
                window.ends = after(window.ends, self.window, now);
            }
        }
        over.sort_by_key(|(ends, kept)| (*ends, kept.position.offset));
        for (_, kept) in over {
            send(kept);
        }
        self.windows.retain(|_, window| window.kept.is_some() || window.ends > now);
    }

    /// When the next event has to go.
    pub(super) fn due(&self) -> Option<Instant> {
        self.windows.values().filter(|window| window.kept.is_some()).map(|window| window.ends).min()
    }

    /// The first offset that is kept.
    pub(super) fn held(&self) -> Option<u64> {
        self.windows.values().filter_map(|window| Some(window.kept.as_ref()?.position.offset)).min()
    }

    fn make_room(&mut self, now: Instant, send: &mut impl FnMut(Arc<Event>)) {
        if self.windows.len() < MAX_WINDOWS {
            return;
        }
        self.expire(now, &mut *send);
        if self.windows.len() < MAX_WINDOWS {
            return;
        }
        let first = self.windows.iter().min_by_key(|(_, window)| window.ends).map(|(kind, _)| kind.clone());
        if let Some(kept) = first.and_then(|first| self.windows.remove(&first)).and_then(|window| window.kept) {
            send(kept);
        }
    }
}

/// The end of the window after the one that ended at `ended`.
fn after(ended: Instant, window: Duration, now: Instant) -> Instant {
    let next = ended + window;
    if next > now { next } else { now + window }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::{ChannelName, Draft, Epoch, Payload, Position};
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);
    const NONE: [u64; 0] = [];

    fn event(kind: &str, offset: u64) -> Arc<Event> {
        let data = Payload::new(bytes::Bytes::from_static(b"1")).unwrap();
        let draft = Draft::new(ChannelName::new("a").unwrap(), kind, "test", data);
        Arc::new(Event::new(draft, Position { epoch: Epoch(1), offset }, uuid::Uuid::nil()))
    }

    /// A throttle of 100 ms, and the offsets that it let go.
    struct Tried(Throttle, Instant);

    impl Tried {
        fn new() -> Self {
            Self(Throttle::new(100 * MS), Instant::now())
        }

        fn feed(&mut self, kind: &str, offset: u64, at: u32) -> Vec<u64> {
            let mut sent = Vec::new();
            self.0.feed(&event(kind, offset), self.1 + at * MS, |event| sent.push(event.position.offset));
            sent
        }

        fn expire(&mut self, at: u32) -> Vec<u64> {
            let mut sent = Vec::new();
            self.0.expire(self.1 + at * MS, |event| sent.push(event.position.offset));
            sent
        }

        fn due(&self) -> Option<u128> {
            self.0.due().map(|due| (due - self.1).as_millis())
        }
    }

    #[test]
    fn the_first_goes_at_once_and_the_newest_at_the_end_of_the_window() {
        let mut tried = Tried::new();
        assert_eq!(tried.feed("a", 1, 0), [1]);
        assert_eq!(tried.due(), None);
        assert_eq!(tried.feed("a", 2, 10), NONE);
        assert_eq!(tried.feed("a", 3, 90), NONE);
        assert_eq!((tried.due(), tried.0.held()), (Some(100), Some(3)));
        assert_eq!(tried.expire(100), [3]);
        // That one began a window of its own.
        assert_eq!(tried.feed("a", 4, 150), NONE);
        assert_eq!(tried.due(), Some(200));
        assert_eq!(tried.expire(200), [4]);
        // After a quiet window the next goes at once again.
        assert_eq!(tried.expire(301), NONE);
        assert_eq!(tried.feed("a", 5, 310), [5]);
        assert_eq!(tried.feed("a", 6, 411), [6]);
    }

    #[test]
    fn each_type_has_a_window_of_its_own() {
        let mut tried = Tried::new();
        assert_eq!(tried.feed("a", 1, 0), [1]);
        assert_eq!(tried.feed("b", 2, 10), [2]);
        assert_eq!(tried.feed("b", 3, 20), NONE);
        assert_eq!(tried.feed("a", 4, 30), NONE);
        assert_eq!(tried.expire(105), [4]);
        assert_eq!(tried.expire(110), [3]);
    }

    #[test]
    fn a_clock_that_is_late_loses_nothing() {
        let mut tried = Tried::new();
        assert_eq!(tried.feed("a", 1, 0), [1]);
        assert_eq!(tried.feed("a", 2, 50), NONE);
        // Its end was at 100, and nobody looked.
        assert_eq!(tried.feed("a", 3, 120), [2]);
        assert_eq!(tried.due(), Some(200));
        assert_eq!(tried.expire(200), [3]);
    }

    #[test]
    fn types_without_number_cost_no_memory_without_end_and_lose_nothing() {
        let mut tried = Tried::new();
        let mut sent = 0;
        for number in 0..200_u64 {
            let kind = number.to_string();
            sent += tried.feed(&kind, 2 * number + 1, 0).len();
            sent += tried.feed(&kind, 2 * number + 2, 1).len();
            assert!(tried.0.windows.len() <= MAX_WINDOWS);
        }
        sent += tried.expire(1000).len();
        assert_eq!(sent, 400);
    }

    proptest! {
        /// Whatever comes when: two of a type are a window apart, and the newest of each type comes in the end.
        #[test]
        fn no_type_comes_more_often_than_its_window(steps in proptest::collection::vec((0..3_usize, 0..60_u32), 1..80)) {
            let mut tried = Tried::new();
            let kinds = ["a", "b", "c"];
            let (mut at, mut last_sent, mut newest) = (0, [None; 3], [None; 3]);
            let mut sent = Vec::new();
            for (offset, (kind, wait)) in (1..).zip(steps) {
                at += wait;
                // The clock is exact: it looks when something is due.
                while let Some(due) = tried.due().filter(|due| *due <= u128::from(at)) {
                    let due = due as u32;
                    sent.extend(tried.expire(due).into_iter().map(|offset| (offset, due)));
                }
                newest[kind] = Some(offset);
                let kind_of = kinds[kind];
                sent.extend(tried.feed(kind_of, offset * 3 + kind as u64, at).into_iter().map(|offset| (offset, at)));
            }
            while let Some(due) = tried.due() {
                let due = due as u32;
                sent.extend(tried.expire(due).into_iter().map(|offset| (offset, due)));
            }
            let mut came = [None; 3];
            for (offset, at) in sent {
                let kind = (offset % 3) as usize;
                prop_assert!(last_sent[kind].is_none_or(|last| at >= last + 100), "{offset} at {at}");
                prop_assert!(came[kind] < Some(offset / 3), "in order, and once");
                last_sent[kind] = Some(at);
                came[kind] = Some(offset / 3);
            }
            prop_assert_eq!(came, newest);
        }
    }
}
