//! One reader: its cursors, and the turn in which they are read. Asked by whoever made it; nothing happens in between.

use crate::{
    Follow, FollowError, Item, Lag, Page, Until,
    cursor::{Cursor, Step},
    errand::Errand,
    hub::{Hub, Registration},
};
use headwater_event::{ChannelName, Event, Position, Timestamp};
use headwater_filter::Filter;
use headwater_router::{ChannelLog, From, PageLimit, RouterError};
use std::{collections::VecDeque, fmt, mem, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// What one page may hold, and what may be looked at for one: a filter that lets nothing through must not keep the thread.
const PAGE: PageLimit = PageLimit { events: 1_000, bytes: 256 * 1024 };

/// A reader of some channels.
pub struct Follower {
    hub: Arc<Hub>,
    registration: Option<Registration>,
    filter: Filter,
    from: Box<dyn Fn(&ChannelName) -> From + Send + Sync>,
    lag: Lag,
    /// When it ends, and after which time an event is no longer wanted.
    until: Option<Timestamp>,
    /// Whether the end of each channel is known.
    bounded: bool,
    cursors: Vec<Cursor>,
    /// Cursors, by their number, that may have something to read from a log, in the order of their turns.
    ready: VecDeque<u32>,
    /// Those that wait for the store.
    stored: VecDeque<u32>,
    /// Those whose store failed, and when it is asked again.
    later: Vec<(Instant, u32)>,
    errand: Option<Errand>,
    /// Cursors that have not come to their end.
    open: usize,
    /// What was read in this turn; kept for its allocation.
    events: Vec<Arc<Event>>,
}

/// What a page is gathered into.
#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    looked_at: usize,
    bytes: usize,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.looked_at >= PAGE.events || self.bytes >= PAGE.bytes
    }
}

impl Follower {
    pub(crate) fn new(
        hub: Arc<Hub>,
        follow: Follow,
        logs: Vec<Arc<ChannelLog>>,
        registration: Option<Registration>,
    ) -> Result<Self, FollowError> {
        let Follow { filter, from, lag, until, .. } = follow;
        let mut follower = Self {
            hub,
            filter,
            from,
            lag,
            until: if let Until::Time(time) = until { Some(time) } else { None },
            bounded: registration.is_none(),
            registration,
            cursors: Vec::with_capacity(logs.len()),
            ready: VecDeque::new(),
            stored: VecDeque::new(),
            later: Vec::new(),
            errand: None,
            open: 0,
            events: Vec::new(),
        };
        for log in logs {
            let from = (follower.from)(log.name());
            follower.add(log, from)?;
        }
        Ok(follower)
    }

    /// What comes next: `None` when it has come to its end, or the hub has. Waits where there is nothing yet.
    ///
    /// It may be dropped while it waits and called again; nothing is lost or given twice by that.
    pub async fn next(&mut self) -> Option<Page> {
        loop {
            // What ends by itself ends whole: nobody could tell a part of it from all.
            if !self.bounded && self.hub.cancel.is_cancelled() {
                return None;
            }
            self.hear();
            self.look_at_the_clock();
            // Not only where it waits: a busy log must not keep what comes from the store.
            if let Some(errand) = self.errand.as_mut().filter(|errand| errand.is_back()) {
                errand.back().await;
            }
            let mut gathered = Gathered::default();
            self.collect(&mut gathered);
            self.gather(&mut gathered);
            self.send();
            if !gathered.items.is_empty() {
                return Some(Page { items: gathered.items });
            }
            if self.open == 0 && self.bounded {
                return None;
            }
            if gathered.looked_at > 0 || !self.ready.is_empty() {
                // There is more, of which nothing was wanted yet.
                tokio::task::yield_now().await;
            } else {
                self.wait().await;
            }
        }
    }

    /// How far the reader has been given each channel, what its filter left out included. A channel whose beginning is
    /// still being looked up is not among them.
    pub fn positions(&self) -> Vec<(ChannelName, Position)> {
        self.cursors.iter().filter_map(Cursor::position).collect()
    }

    fn add(&mut self, log: Arc<ChannelLog>, from: From) -> Result<(), FollowError> {
        let channel = log.name().clone();
        let ends = self.until.filter(|_| self.bounded);
        let cursor = Cursor::attach(&self.hub.router, log, from, ends).map_err(RouterError::from)?;
        let mut cursor = cursor.map_err(|head| FollowError::Ahead { channel, head })?;
        if self.bounded {
            cursor.end_at_head();
        }
        self.open += 1;
        self.cursors.push(cursor);
        let number = self.cursors.len() as u32 - 1;
        self.queue(number);
        Ok(())
    }

    /// Takes what the bell says.
    fn hear(&mut self) {
        let Some(registration) = &self.registration else { return };
        let (news, met) = registration.bell.take();
        for log in met {
            self.meet(log);
        }
        for cursor in news {
            self.queue(cursor);
        }
    }

    /// A channel that has come to be.
    fn meet(&mut self, log: Arc<ChannelLog>) {
        let zero = Position { epoch: log.epoch(), offset: 0 };
        let from = match (self.from)(log.name()) {
            // It was there before, and this reader knows it: what became of its position is told.
            after @ From::After(_) => after,
            _ => From::After(zero),
        };
        // Its number is taken, so that there must be a cursor.
        if self.add(log.clone(), from).is_err() && self.add(log.clone(), From::After(zero)).is_err() {
            let _ = self.add(log, From::Held);
        }
    }

    fn queue(&mut self, number: u32) {
        let Some(cursor) = self.cursors.get_mut(number as usize) else { return };
        if !mem::replace(&mut cursor.queued, true) {
            self.ready.push_back(number);
        }
    }

    /// Reads from the logs what there is, a share for each channel.
    fn gather(&mut self, gathered: &mut Gathered) {
        let sharing = self.ready.len().max(1);
        while !gathered.is_full() {
            let Some(number) = self.ready.pop_front() else { break };
            let limit = PageLimit {
                events: PAGE.events.div_ceil(sharing).min(PAGE.events - gathered.looked_at),
                bytes: PAGE.bytes.div_ceil(sharing).min(PAGE.bytes - gathered.bytes),
            };
            let cursor = &mut self.cursors[number as usize];
            let step = cursor.step(&self.hub.router, self.lag, limit, &mut self.events, &mut gathered.items);
            cursor.queued = matches!(step, Step::More | Step::Store);
            match step {
                Step::More => self.ready.push_back(number),
                Step::Store => self.stored.push_back(number),
                Step::Done => self.open -= 1,
                Step::Idle => {}
            }
            self.keep(gathered);
        }
    }

    /// Puts the events that a cursor came by into the page.
    fn keep(&mut self, gathered: &mut Gathered) {
        gathered.looked_at += self.events.len();
        for event in self.events.drain(..) {
            gathered.bytes += event.data.as_bytes().len();
            if self.until.is_none_or(|until| event.time <= until) && self.filter.matches(&event) {
                gathered.items.push(Item::Event(event));
            }
        }
    }

    /// Asks the store for the first that waits for it.
    fn send(&mut self) {
        if self.errand.is_none()
            && let Some(number) = self.stored.pop_front()
        {
            let cursor = &self.cursors[number as usize];
            let question = cursor.question(PAGE);
            self.errand = Some(Errand::send(&self.hub, number, cursor.log().clone(), question));
        }
    }

    /// Takes what the store has said, if it has.
    fn collect(&mut self, gathered: &mut Gathered) {
        let (number, answer) = match self.errand.take().map(Errand::answer) {
            Some(Ok(answered)) => answered,
            Some(Err(under_way)) => {
                self.errand = Some(under_way);
                return;
            }
            None => return,
        };
        let cursor = &mut self.cursors[number as usize];
        let again = match answer {
            Ok(found) => {
                cursor.take(found, &mut self.events, &mut gathered.items);
                None
            }
            Err(error) => cursor.fail(&error, &mut gathered.items),
        };
        match again {
            Some(when) => self.later.push((when, number)),
            // Behind those that wait: the log may have what comes next, and the others have their turn.
            None => self.ready.push_back(number),
        }
        self.keep(gathered);
    }

    /// Ends what has come to its time, and lets the store be asked again.
    fn look_at_the_clock(&mut self) {
        if !self.later.is_empty() {
            let now = Instant::now();
            let (due, later) = mem::take(&mut self.later).into_iter().partition(|(when, _)| *when <= now);
            self.later = later;
            self.stored.extend(Vec::into_iter(due).map(|(_, number)| number));
        }
        if !self.bounded && self.until.is_some_and(|until| Timestamp::now() >= until) {
            self.registration = None;
            self.bounded = true;
            for number in 0..self.cursors.len() {
                self.cursors[number].end_at_head();
                self.queue(number as u32);
            }
        }
    }

    /// Waits for news, for the store, for the time to ask it again, or for the end.
    async fn wait(&mut self) {
        let end = self.until.filter(|_| !self.bounded).map(in_time);
        let again = self.later.iter().map(|(when, _)| *when).min();
        let cancel = &self.hub.cancel;
        tokio::select! {
            () = cancel.cancelled(), if !self.bounded => {}
            () = heard(self.registration.as_ref()) => {}
            () = back(self.errand.as_mut()) => {}
            () = at(again) => {}
            () = at(end) => {}
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("positions", &self.positions()).finish_non_exhaustive()
    }
}

/// When this time will be.
fn in_time(time: Timestamp) -> Instant {
    let left = time.0.saturating_sub(Timestamp::now().0);
    // At least a moment, and a day at most: then it is looked at again.
    let left = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
    Instant::now() + left.clamp(Duration::from_millis(1), Duration::from_hours(24))
}

async fn heard(registration: Option<&Registration>) {
    match registration {
        Some(registration) => registration.bell.notify.notified().await,
        None => std::future::pending().await,
    }
}

async fn back(errand: Option<&mut Errand>) {
    match errand {
        Some(errand) => errand.back().await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
