//! The one thread that writes: takes all that waits, writes it in one transaction, tells the publishers, and between
//! batches does what the file needs. When the disk does not take it, it tries again; when the file is lost, it begins
//! another. Started by opening, ended by closing.

use super::{
    Shared,
    batch::{self, Spans},
    fault::Fault,
    live::{Live, Run, Waiting},
    lives::{self, Birth, Ended},
    lock::Lock,
    options::{Durability, Notice},
    outage::Outage,
    pace::Pace,
    recovery,
    retention::Retention,
    upkeep::Upkeep,
};
use crate::EngineError;
use headwater_event::Timestamp;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// After so many attempts that found the file damaged it is given up. One might have met a passing fault.
pub(crate) const DAMAGED: u32 = 3;

/// Why a file is given up that is no longer there.
const GONE: &str = "it was removed or replaced while it was in use";

/// The thread's own things.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// Keeps other daemons away from the file.
    lock: Lock,
    connection: Connection,
    spans: Spans,
    /// What must be written before anything else.
    birth: Option<Birth>,
    retention: Retention,
    upkeep: Upkeep,
    pace: Pace,
    outage: Option<Outage>,
    /// The end of the last outage has not been told.
    behind: bool,
    /// How many events had been lost when that was last told.
    lost_told: u64,
    /// How many attempts have found the file damaged.
    damaged: u32,
    /// The file is to be opened again: it could not be written when it was.
    stale: bool,
    /// The file is lost and no other could be begun yet.
    lost: Option<Lost>,
    /// Closing was asked for, and writing does not work.
    gave_up: bool,
}

/// A file that is lost: why, and where it has been moved.
struct Lost {
    reason: String,
    moved_to: Option<PathBuf>,
}

/// What the thread is woken for.
enum Work {
    Batch(Vec<Run>, Vec<Waiting>),
    Sync,
    Retention,
    /// The keeper met a fault.
    Fault(Fault),
    /// Readers met damage, in this file.
    Spoilt(u64, String),
    End,
}

/// Tells publishers when the thread is gone, also when it panicked: they must not wait for ever.
struct Gone(Arc<Shared>);

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, lock: Lock, connection: Connection, birth: Option<Birth>) -> Self {
        let failing = birth.is_some();
        Self {
            upkeep: Upkeep::new(&shared),
            pace: Pace::new(shared.options.durability),
            shared,
            lock,
            connection,
            spans: Spans::default(),
            birth,
            retention: Retention::new(),
            outage: failing.then(Outage::begin),
            behind: false,
            lost_told: 0,
            damaged: 0,
            // The first attempt finds out.
            stale: failing,
            lost: None,
            gave_up: false,
        }
    }

    /// Works until the engine is closed.
    pub(crate) fn run(mut self) {
        let _gone = Gone(self.shared.clone());
        loop {
            match self.wait() {
                Work::Batch(runs, receipts) => self.batch(runs, receipts),
                Work::Sync => self.sync(),
                Work::Retention => self.retention(0),
                Work::Fault(fault) => self.failed(&fault, None),
                Work::Spoilt(file, reason) => self.spoilt(file, &reason),
                Work::End => break,
            }
        }
        self.end();
    }

    fn wait(&mut self) -> Work {
        let shared = self.shared.clone();
        let mut live = shared.lock();
        loop {
            let now = Instant::now();
            let closing = live.closing;
            if let Some(fault) = self.upkeep.fault() {
                return Work::Fault(fault);
            }
            if let Some((file, reason)) = live.spoilt.take() {
                return Work::Spoilt(file, reason);
            }
            let sync = self.upkeep.sync_due();
            let retry = self.outage.as_ref().map(|outage| outage.retry);
            // The sync first: under load there is always a batch.
            if retry.is_none() && sync.is_some_and(|at| at <= now) {
                return Work::Sync;
            }
            let mut until = sync.filter(|_| retry.is_none()).into_iter().chain(retry).min();
            if closing && (self.gave_up || !live.has_work()) {
                return Work::End;
            }
            if closing || retry.is_some_and(|retry| retry <= now) {
                return take(&mut live);
            }
            if retry.is_none() {
                if live.has_work() {
                    let Some(later) = self.pace.linger(&live, now) else {
                        self.pace.taken(&live);
                        return take(&mut live);
                    };
                    until = until.into_iter().chain([later]).min();
                } else {
                    let Some(next) = self.retention.next() else { return Work::Retention };
                    until = until.into_iter().chain([next]).min();
                }
            }
            live = sleep(&shared, live, until.map(|at| at.saturating_duration_since(now)));
        }
    }

    fn batch(&mut self, runs: Vec<Run>, receipts: Vec<Waiting>) {
        let bytes = match self.write(&runs) {
            Ok(bytes) => bytes,
            Err(fault) => return self.failed(&fault, Some((runs, receipts))),
        };
        let events: u64 = runs.iter().map(|run| run.events.len() as u64).sum();
        let drained = {
            let mut live = self.shared.lock();
            live.wrote(&runs);
            live.failing = None;
            live.bytes <= self.shared.options.queue / 2
        };
        self.shared.counts.stored.fetch_add(events, Relaxed);
        self.shared.counts.batches.fetch_add(u64::from(events > 0), Relaxed);
        for waiting in receipts {
            waiting.receipt.complete(Ok(waiting.positions));
        }
        self.retention.wrote(&runs, &bytes);
        // Here, not under the lock: where nobody else holds the events any more, this frees them.
        drop(runs);
        self.tell(drained);
        self.upkeep.wrote(&self.shared);
        self.retention(events as usize);
        self.checkpoint();
    }

    /// A batch is written: tells of events that found no room though the disk works, and of the end of that or of an
    /// outage, once half of the queue is free again.
    fn tell(&mut self, drained: bool) {
        let lost = self.shared.counts.lost.load(Relaxed);
        if self.outage.take().is_some() {
            // That has been told.
            self.behind = true;
        } else if lost > self.lost_told && !self.behind {
            self.behind = true;
            let reason = "the disk is slower than events come".into();
            (self.shared.options.notices)(Notice::Failing { reason });
        }
        if self.behind && drained {
            self.behind = false;
            let before = std::mem::replace(&mut self.lost_told, lost);
            (self.shared.options.notices)(Notice::Recovered { lost: lost - before });
        }
    }

    fn write(&mut self, runs: &[Run]) -> Result<Vec<u64>, Fault> {
        if self.outage.is_some() {
            self.lock.hold().map_err(|error| Fault::Disk(error.to_string()))?;
            // A file that is given up comes back by `anew` alone, which makes it whole.
            if self.stale && self.lost.is_none() {
                self.reopen()?;
            }
            // What is in the `-wal` already may go into the file, and make room in it: also on a disk that is full.
            let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
        }
        if let Some(birth) = &self.birth {
            birth.write(&self.connection, self.shared.options.durability)?;
            self.birth = None;
        }
        if self.outage.is_some() {
            // There may be no batch; whether writing works shows only when something is written.
            let mut statement = self.connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES('recovered', ?)")?;
            statement.execute([Timestamp::now().0])?;
        }
        let bytes = batch::write(&self.connection, &mut self.spans, runs)?;
        if self.outage.is_some() && self.shared.options.durability != Durability::Durable {
            self.upkeep.sync_now(&self.shared)?;
        }
        Ok(bytes)
    }

    /// Something could not be written, perhaps a batch. Begins a new file where this one is lost.
    fn failed(&mut self, fault: &Fault, batch: Option<(Vec<Run>, Vec<Waiting>)>) {
        self.goes_out(fault, batch);
        // Never another daemon's file.
        if self.gave_up || self.lock.hold().is_err() {
            return;
        }
        if self.upkeep.is_gone(&self.shared) {
            self.anew(GONE);
        } else if self.damaged >= DAMAGED {
            self.anew(fault.reason());
        }
    }

    /// Begins an outage, or goes on with one: what could not be written waits, publishers are told, and it is tried again
    /// later.
    fn goes_out(&mut self, fault: &Fault, batch: Option<(Vec<Run>, Vec<Waiting>)>) {
        let first = self.outage.is_none();
        self.outage = Some(self.outage.take().map_or_else(Outage::begin, Outage::goes_on));
        self.damaged += u32::from(matches!(fault, Fault::Spoilt(_) | Fault::Odd(_)));
        self.stale |= matches!(fault, Fault::ReadOnly(_));
        let reason: Arc<str> = fault.reason().into();
        let (runs, mut receipts) = batch.unwrap_or_default();
        {
            let mut live = self.shared.lock();
            live.failed(runs);
            live.failing = Some(reason.clone());
            receipts.append(&mut live.receipts);
            self.gave_up = live.closing;
        }
        for waiting in receipts {
            let error = EngineError::Down(format!("the history cannot be written: {reason}"));
            waiting.receipt.complete(Err(error));
        }
        if first && !self.behind {
            (self.shared.options.notices)(Notice::Failing { reason: (*reason).into() });
        }
    }

    fn sync(&mut self) {
        if let Err(fault) = self.upkeep.sync(&self.shared) {
            self.failed(&fault, None);
        }
    }

    fn retention(&mut self, events: usize) {
        if self.outage.is_some() || self.retention.next().is_some() {
            return;
        }
        if self.upkeep.is_time() {
            if let Err(error) = self.lock.hold() {
                return self.goes_out(&Fault::Disk(error.to_string()), None);
            }
            if self.upkeep.is_gone(&self.shared) {
                return self.anew(GONE);
            }
        }
        if let Err(fault) = self.retention.slice(&self.shared, &self.connection, events) {
            self.failed(&fault, None);
        }
        if events == 0 {
            self.checkpoint();
        }
    }

    fn checkpoint(&mut self) {
        if let Err(fault) = self.upkeep.checkpoint(&self.connection) {
            self.failed(&fault, None);
        }
    }

    /// Opens the file again: what may be done with it has changed since.
    fn reopen(&mut self) -> Result<(), Fault> {
        let connection = recovery::reopen(&self.shared.options)?;
        self.upkeep.stop();
        self.connection = connection;
        self.upkeep = Upkeep::new(&self.shared);
        self.stale = false;
        Ok(())
    }

    /// Gives a file up in which readers have found damage.
    fn spoilt(&mut self, file: u64, reason: &str) {
        // It may have been given up meanwhile. And never another daemon's.
        if file == self.shared.pool.file() && self.lock.hold().is_ok() {
            self.anew(reason);
        }
    }

    /// Moves the file aside and begins a new one. The numbering goes on; what the old one held is a hole.
    fn anew(&mut self, reason: &str) {
        // The old one must be closed before it is moved; nothing is ever written to this one.
        self.upkeep.stop();
        let Ok(none) = Connection::open_in_memory() else { return };
        drop(std::mem::replace(&mut self.connection, none));
        self.shared.pool.close();
        let mut lost = self.lost.take().unwrap_or_else(|| Lost { reason: reason.into(), moved_to: None });
        self.connection = match recovery::anew(&self.shared.options, &mut lost.moved_to) {
            Ok(connection) => connection,
            Err(error) => {
                // Tried again with the next batch, which finds nothing to write to.
                self.lost = Some(lost);
                return self.goes_out(&Fault::Disk(error.to_string()), None);
            }
        };
        self.damaged = 0;
        self.stale = false;
        self.spans = Spans::default();
        self.retention = Retention::new();
        self.upkeep = Upkeep::new(&self.shared);
        let seed = {
            let mut live = self.shared.lock();
            live.lost_file();
            live.seed
        };
        self.shared.pool.open();
        self.birth = Some(Birth::new(seed));
        let Lost { reason, moved_to } = lost;
        (self.shared.options.notices)(Notice::Replaced { moved_to, reason });
    }

    /// Notes how far each channel has come and that this life ended in order.
    fn end(mut self) {
        self.upkeep.stop();
        let channels: Vec<Ended> = {
            let live = self.shared.lock();
            if live.has_work() || self.birth.is_some() {
                return;
            }
            live.channels.iter().map(Ended::of).collect()
        };
        // If this does not work, the next life takes the file for uncleanly ended, which it is.
        let _ = lives::end(&self.connection, &channels);
    }
}

fn take(live: &mut Live) -> Work {
    Work::Batch(live.take(), std::mem::take(&mut live.receipts))
}

fn sleep<'a>(shared: &'a Shared, live: MutexGuard<'a, Live>, pause: Option<Duration>) -> MutexGuard<'a, Live> {
    match pause {
        Some(pause) => shared.wake.wait_timeout(live, pause).unwrap_or_else(PoisonError::into_inner).0,
        None => shared.wake.wait(live).unwrap_or_else(PoisonError::into_inner),
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        let receipts = {
            let mut live = self.0.lock();
            live.failing = Some("its writer has ended".into());
            std::mem::take(&mut live.receipts)
        };
        // Outside the lock: a publisher that is woken may publish. Dropping tells it.
        drop(receipts);
        if std::thread::panicking() {
            (self.0.options.notices)(Notice::Failing { reason: "its writer has panicked".into() });
        }
    }
}
