//! All followers of one router: hears of new events once and rings for those whose channels they are in. Started by the
//! assembly or the gateway; ends with its token, and its followers with it.

use crate::{Follow, FollowError, Follower, Until, bell::Bell};
use headwater_event::{ChannelName, ChannelPattern, Event, Timestamp};
use headwater_router::{ChannelLog, Inbox, Router, Taken};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Pages that are read from the store at the same moment, for all followers together. Hundreds of clients that come back
/// at once would otherwise take a thread each.
const STORE_READS: usize = 8;

/// Whoever reads by pulling, over one inbox of the router.
#[derive(Debug)]
pub struct Followers(Arc<Hub>);

/// What followers and the listening task share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) router: Arc<Router>,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
    pub(crate) store_reads: Arc<Semaphore>,
    inbox: Inbox,
    /// Taken before the router's own locks, never while they are held.
    directory: Mutex<Directory>,
}

/// Who follows what.
#[derive(Debug, Default)]
struct Directory {
    numbered: u64,
    followers: HashMap<u64, Entry>,
    /// By channel: the followers that read it, each with the number of its cursor. A channel that stands here has all
    /// whose patterns mean it.
    channels: HashMap<ChannelName, Vec<(u64, u32)>>,
}

#[derive(Debug)]
struct Entry {
    patterns: Vec<ChannelPattern>,
    /// By the number of their cursors.
    channels: Vec<ChannelName>,
    bell: Arc<Bell>,
}

/// A follower's place in the hub, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    hub: Arc<Hub>,
    number: u64,
    pub(crate) bell: Arc<Bell>,
}

impl Followers {
    /// Over a running router; `tasks` owns what runs for the followers.
    pub fn start(router: &Arc<Router>, tasks: &TaskTracker, cancel: CancellationToken) -> Arc<Self> {
        let woken = Arc::new(Notify::new());
        let wake = woken.clone();
        let hub = Arc::new(Hub {
            router: router.clone(),
            tasks: tasks.clone(),
            cancel: cancel.clone(),
            store_reads: Arc::new(Semaphore::new(STORE_READS)),
            inbox: router.shard(Box::new(move || wake.notify_one())),
            directory: Mutex::default(),
        });
        let listening = hub.clone();
        tasks.spawn(async move {
            let mut events = Vec::new();
            loop {
                tokio::select! {
                    () = woken.notified() => listening.take(&mut events),
                    () = cancel.cancelled() => return,
                }
            }
        });
        Arc::new(Self(hub))
    }

    /// A reader that stands where it was asked to begin. Quick: what needs a disk is done when it is first asked for a page.
    pub fn follow(&self, follow: Follow) -> Result<Follower, FollowError> {
        let hub = &self.0;
        // What ends by itself has no use for news.
        let live = match follow.until {
            Until::Forever => true,
            Until::Heads => false,
            Until::Time(time) => time > Timestamp::now(),
        };
        if live {
            let (registration, logs) = hub.register(&follow.channels)?;
            return Follower::new(hub.clone(), follow, logs, Some(registration));
        }
        let mut seen = HashSet::new();
        let logs = follow.channels.iter().flat_map(|pattern| hub.router.logs(pattern));
        let logs = logs.filter(|log| seen.insert(log.name().clone())).collect();
        Follower::new(hub.clone(), follow, logs, None)
    }
}

impl Hub {
    /// The inbox only tells that there is news; the events themselves are read from the logs.
    fn take(&self, events: &mut Vec<Arc<Event>>) {
        let overflowed = self.inbox.take(events) == Taken::Overflowed;
        let mut directory = self.lock();
        let mut last: Option<&ChannelName> = None;
        for name in events.iter().map(|event| &event.channel) {
            if last != Some(name) {
                directory.news(name, &self.router);
            }
            last = Some(name);
        }
        if overflowed {
            // Any channel may have news, or be new.
            for info in self.router.channels().into_iter().filter(|info| info.head > 0) {
                directory.news(&info.channel, &self.router);
            }
        }
        drop(directory);
        events.clear();
    }

    /// Watches, and from then on rings. Gives what the patterns mean now, in the order of the follower's cursors.
    fn register(
        self: &Arc<Self>,
        patterns: &[ChannelPattern],
    ) -> Result<(Registration, Vec<Arc<ChannelLog>>), FollowError> {
        // Held all along: an event that comes after the watch must find the follower here.
        let mut directory = self.lock();
        let mut found: Vec<Arc<ChannelLog>> = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            match self.inbox.watch(pattern) {
                Ok(logs) => found.extend(logs),
                Err(error) => {
                    for pattern in &patterns[..index] {
                        self.inbox.unwatch(pattern);
                    }
                    return Err(error.into());
                }
            }
        }
        found.sort_by(|a, b| a.name().cmp(b.name()));
        found.dedup_by(|a, b| a.name() == b.name());
        let bell = Arc::new(Bell::default());
        for log in &found {
            directory.enter(log);
        }
        directory.numbered += 1;
        let number = directory.numbered;
        for (cursor, log) in (0..).zip(&found) {
            directory.channels.entry(log.name().clone()).or_default().push((number, cursor));
        }
        let channels = found.iter().map(|log| log.name().clone()).collect();
        let entry = Entry { patterns: patterns.to_vec(), channels, bell: bell.clone() };
        directory.followers.insert(number, entry);
        drop(directory);
        Ok((Registration { hub: self.clone(), number, bell }, found))
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory {
    /// Rings for everyone who reads this channel.
    fn news(&mut self, name: &ChannelName, router: &Router) {
        if !self.channels.contains_key(name) {
            let Some(log) = router.log(name.as_str()) else { return };
            self.enter(&log);
        }
        for (follower, cursor) in self.channels.get(name).into_iter().flatten() {
            if let Some(entry) = self.followers.get(follower) {
                entry.bell.ring(*cursor);
            }
        }
    }

    /// Lets a channel in that nobody read here, to those whose patterns mean it. It has come to be since they began:
    /// what was there then, they were given then.
    fn enter(&mut self, log: &Arc<ChannelLog>) {
        if self.channels.contains_key(log.name()) {
            return;
        }
        let mut readers = Vec::new();
        for (number, entry) in &mut self.followers {
            if entry.patterns.iter().any(|pattern| pattern.matches(log.name().as_str())) {
                readers.push((*number, entry.channels.len() as u32));
                entry.channels.push(log.name().clone());
                entry.bell.meet(log.clone());
            }
        }
        if !readers.is_empty() {
            self.channels.insert(log.name().clone(), readers);
        }
    }

    /// Forgets a follower.
    fn leave(&mut self, number: u64) -> Vec<ChannelPattern> {
        let Some(entry) = self.followers.remove(&number) else { return Vec::new() };
        for name in &entry.channels {
            if let Some(readers) = self.channels.get_mut(name) {
                readers.retain(|(follower, _)| *follower != number);
                if readers.is_empty() {
                    self.channels.remove(name);
                }
            }
        }
        entry.patterns
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let patterns = self.hub.lock().leave(self.number);
        for pattern in &patterns {
            self.hub.inbox.unwatch(pattern);
        }
    }
}
