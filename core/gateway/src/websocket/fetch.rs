//! Reads that do not belong on a shard's thread: pages of the store, and the newest event of each key. A drain task asks
//! for one at a time and writes what comes at once; what the socket does not take is let go of and read again.

use super::cursor::{Cursor, Stage};
use headwater_event::{Event, Retention};
use headwater_filter::Filter;
use headwater_protocol::ConflateBy;
use headwater_router::{ChannelLog, EngineError, PageLimit, Paged, Read, ReadLimit, Router};
use std::{collections::HashMap, rc::Rc, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// Reads of one shard at the same time. Each holds a page of at most about a megabyte, whoever it is for; the others
/// wait, and their sockets with them.
const AT_ONCE: usize = 4;
/// A store that is busy or has failed is asked again this often, after these waits.
const AGAIN: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];
/// How many events of a log are looked at without giving its lock back.
const CHUNK: ReadLimit = ReadLimit { events: 1_000, bytes: usize::MAX };

/// What is read for one channel of a connection.
pub(super) struct Fetch {
    /// Index of the channel in the shard.
    pub(super) channel: u32,
    pub(super) log: Arc<ChannelLog>,
    /// From this offset on.
    pub(super) next: u64,
    pub(super) what: What,
    pub(super) limit: PageLimit,
}

/// Where it is read from.
pub(super) enum What {
    /// From the store, all of it.
    Stored,
    /// From the log: of the events before `until` that the filter wants, the newest of each key.
    Newest { until: u64, key: ConflateBy, filter: Option<Filter> },
}

impl Fetch {
    /// Whether a cursor still waits for this: it may have been moved meanwhile, or be another subscription's by now.
    pub(super) fn is_for(&self, log: &Arc<ChannelLog>, cursor: &Cursor) -> bool {
        let as_then = match (&self.what, &cursor.stage) {
            (What::Newest { until: then, .. }, Stage::Newest { until }) => then == until,
            (What::Newest { .. }, _) | (What::Stored, Stage::Newest { .. }) => false,
            (What::Stored, _) => true,
        };
        as_then && cursor.next == self.next && Arc::ptr_eq(log, &self.log)
    }
}

/// What was read.
pub(super) struct Fetched {
    pub(super) fetch: Arc<Fetch>,
    pub(super) got: Result<Paged, EngineError>,
    /// Held until the page has been written or let go of.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The reads of one shard.
#[derive(Clone)]
pub(super) struct Fetches {
    router: Arc<Router>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Fetches {
    /// None yet.
    pub(super) fn new(router: Arc<Router>, tasks: TaskTracker) -> Rc<Self> {
        Rc::new(Self { router, permits: Arc::new(Semaphore::new(AT_ONCE)), tasks })
    }

    /// Does a read on a thread that may block. Waits while there are as many as there may be.
    pub(super) async fn read(&self, fetch: Fetch) -> Fetched {
        let permit = self.permits.clone().acquire_owned().await.ok();
        let mut waits = AGAIN.into_iter();
        let fetch = Arc::new(fetch);
        loop {
            let (router, asked) = (self.router.clone(), fetch.clone());
            let got = self.blocking(move || asked.run(&router)).await;
            let again = matches!(got, Err(EngineError::Busy(_) | EngineError::Down(_)));
            match waits.next().filter(|_| again) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Fetched { fetch, got, _permit: permit },
            }
        }
    }

    /// Runs something that may block on a disk.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let done = self.tasks.spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(EngineError::Down(format!("a read of the store failed: {error}"))))
    }
}

impl Fetch {
    fn run(&self, router: &Router) -> Result<Paged, EngineError> {
        match &self.what {
            What::Stored => router.page(&self.log, self.next, self.limit),
            What::Newest { until, key, filter } => Ok(self.newest(*until, key, filter.as_ref())),
        }
    }

    fn newest(&self, until: u64, key: &ConflateBy, filter: Option<&Filter>) -> Paged {
        let wanted = |event: &Event| filter.is_none_or(|filter| filter.matches(event));
        let mut last = HashMap::new();
        self.each(until, |event| {
            if wanted(event) {
                last.insert(key_of(event, key), event.position.offset);
            }
            true
        });
        let (mut events, mut bytes, mut next) = (Vec::new(), 0, until);
        self.each(until, |event| {
            let newest = wanted(event) && last.get(&key_of(event, key)) == Some(&event.position.offset);
            if newest {
                bytes += event.data.as_bytes().len();
                if !events.is_empty() && (events.len() >= self.limit.events || bytes > self.limit.bytes) {
                    next = event.position.offset;
                    return false;
                }
                events.push(event.clone());
            }
            true
        });
        Paged::Events { events, next }
    }

    /// Shows the events of the log that are there still, until told to stop.
    fn each(&self, until: u64, mut show: impl FnMut(&Arc<Event>) -> bool) {
        let (mut next, mut events) = (self.next, Vec::new());
        while next < until {
            match self.log.read(next, CHUNK, &mut events) {
                Read::Behind { tail } => next = tail,
                Read::Ok { next: end } if end == next => return,
                Read::Ok { next: end } => next = end,
            }
            for event in events.drain(..) {
                if event.position.offset >= until || !show(&event) {
                    return;
                }
            }
        }
    }
}

/// What makes two events the same thing at two times.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// Nothing: the event stands for itself.
    Own(u64),
    Of(Box<str>),
}

fn key_of(event: &Event, by: &ConflateBy) -> Key {
    let key = match (by, &event.retention) {
        (ConflateBy::Key, Retention::Keep(key) | Retention::Forget(key)) => Some(&**key),
        (ConflateBy::Key, Retention::None) => None,
        (ConflateBy::Type, _) => Some(&*event.kind),
        (ConflateBy::Attribute(name), _) => event.attribute(name),
    };
    key.map_or(Key::Own(event.position.offset), |key| Key::Of(key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_engine::MemoryEngine;
    use headwater_event::{ChannelName, Draft, Payload};
    use headwater_router::LogLimits;

    fn draft(kind: &str, key: Option<&str>, pane: Option<&str>) -> Draft {
        let data = Payload::new(bytes::Bytes::from_static(b"1")).unwrap();
        let mut draft = Draft::new(ChannelName::new("a").unwrap(), kind, "test", data);
        draft.retention = key.map_or(Retention::None, |key| Retention::Keep(key.into()));
        draft.attributes = pane.into_iter().map(|pane| ("pane".into(), pane.into())).collect();
        draft
    }

    fn offsets(paged: &Paged) -> (Vec<u64>, u64) {
        let Paged::Events { events, next } = paged else { panic!("{paged:?}") };
        (events.iter().map(|event| event.position.offset).collect(), *next)
    }

    /// Harm prevented: a page of the newest of each key is taken for all that there is, by a subscription that took the
    /// place of the one it was read for.
    #[test]
    fn a_page_is_for_the_cursor_that_it_was_read_for() {
        let router = Router::new(Arc::new(MemoryEngine::new(2)), LogLimits::default());
        router.publish(vec![draft("t", None, None)]).unwrap();
        let log = router.log("a").unwrap();
        let fetch = |what| Fetch { channel: 0, log: log.clone(), next: 5, what, limit: PageLimit::default() };
        let newest = || What::Newest { until: 9, key: ConflateBy::Type, filter: None };
        let cursor = |next, stage| Cursor { next, warned: false, stage };
        for (what, cursor, expected) in [
            (What::Stored, cursor(5, Stage::Past), true),
            (What::Stored, cursor(5, Stage::Stored), true),
            (What::Stored, cursor(6, Stage::Past), false),
            (What::Stored, cursor(5, Stage::Newest { until: 9 }), false),
            (newest(), cursor(5, Stage::Newest { until: 9 }), true),
            (newest(), cursor(5, Stage::Newest { until: 10 }), false),
            (newest(), cursor(5, Stage::Past), false),
        ] {
            assert_eq!(fetch(what).is_for(&log, &cursor), expected, "{cursor:?}");
        }
        router.publish(vec![Draft { channel: ChannelName::new("b").unwrap(), ..draft("t", None, None) }]).unwrap();
        let other = router.log("b").unwrap();
        assert!(!fetch(What::Stored).is_for(&other, &cursor(5, Stage::Past)), "its index is another channel's by now");
    }

    #[test]
    fn of_each_key_the_newest_comes_in_order_and_what_has_no_key_stands_for_itself() {
        let router = Router::new(Arc::new(MemoryEngine::new(1)), LogLimits::default());
        let events = [
            ("t", Some("x"), None),      // 1
            ("t", Some("y"), Some("p")), // 2
            ("u", None, Some("p")),      // 3
            ("u", None, None),           // 4
            ("t", Some("x"), Some("q")), // 5
            ("v", Some("z"), None),      // 6: not asked for
        ];
        let batch = events.into_iter().map(|(kind, key, pane)| draft(kind, key, pane)).collect();
        router.publish(batch).unwrap().wait().unwrap();
        let log = router.log("a").unwrap();
        let read = |key, filter, next, limit| {
            let what = What::Newest { until: 6, key, filter };
            let fetch = Fetch { channel: 0, log: log.clone(), next, what, limit };
            offsets(&fetch.run(&router).unwrap())
        };
        let all = PageLimit::default();
        assert_eq!(read(ConflateBy::Key, None, 1, all), (vec![2, 3, 4, 5], 6));
        assert_eq!(read(ConflateBy::Type, None, 1, all), (vec![4, 5], 6));
        assert_eq!(read(ConflateBy::Attribute("pane".into()), None, 1, all), (vec![1, 3, 4, 5], 6));
        // Of those that are wanted: an older one is not hidden by one that the reader would not get.
        let only_t = Filter::new(&["t".into()], None, &[], &[]);
        assert_eq!(read(ConflateBy::Attribute("pane".into()), Some(only_t), 1, all), (vec![1, 2, 5], 6));
        // What does not fit in a page begins the next one, and none is sent twice.
        let two = PageLimit { events: 2, ..all };
        assert_eq!(read(ConflateBy::Key, None, 1, two), (vec![2, 3], 4));
        assert_eq!(read(ConflateBy::Key, None, 4, two), (vec![4, 5], 6));
    }
}
