//! The one thread that writes: takes all that waits, writes it in one transaction, tells the publishers, and does between
//! batches what the file needs (syncs, checkpoints). When the disk does not take it, it tries again. Started by opening,
//! ended by closing.

use super::{
    Shared,
    batch::{self, Spans},
    fault::Fault,
    live::{Live, Run, Waiting},
    options::{Durability, Notice},
    recovery::{self, Birth},
};
use crate::EngineError;
use headwater_event::Timestamp;
use rusqlite::{Connection, params};
use std::{
    fs::File,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The pauses between attempts while the disk does not take anything: the first one, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The `-wal` is copied into the file when it has so many pages.
const CHECKPOINT: i64 = 2_000;

/// The thread's own things.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    spans: Spans,
    /// What must be written before anything else.
    birth: Option<Birth>,
    /// For syncing it; no locks are held on it, so that it may be opened beside SQLite.
    wal: Option<File>,
    /// Since when something is written and not synced.
    unsynced: Option<Instant>,
    /// When it is tried again, and the pause after that.
    retry: Option<(Instant, Duration)>,
    /// How many events had been lost when the present outage began.
    lost_before: u64,
}

/// What the thread is woken for.
enum Work {
    Batch(Vec<Run>, Vec<Waiting>),
    Sync,
    End,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection, birth: Option<Birth>) -> Self {
        let retry = birth.is_some().then(|| (Instant::now() + RETRY.0, RETRY.0));
        Self { shared, connection, spans: Spans::default(), birth, wal: None, unsynced: None, retry, lost_before: 0 }
    }

    /// Works until the engine is closed.
    pub(crate) fn run(mut self) {
        loop {
            match self.wait() {
                Work::Batch(runs, receipts) => self.batch(runs, receipts),
                Work::Sync => self.sync(),
                Work::End => break,
            }
        }
        self.end();
    }

    fn wait(&self) -> Work {
        let mut live = self.shared.lock();
        loop {
            let now = Instant::now();
            let retry = self.retry.map(|(at, _)| at).filter(|at| *at > now && !live.closing);
            if live.has_work() && retry.is_none() {
                return take(&mut live);
            }
            if live.closing {
                return Work::End;
            }
            let sync = match self.shared.options.durability {
                Durability::Flush(every) => self.unsynced.map(|since| since + every),
                Durability::Memory | Durability::Durable => None,
            };
            if sync.is_some_and(|at| at <= now) {
                return Work::Sync;
            }
            let until = retry.into_iter().chain(sync).min();
            live = self.sleep(live, until.map(|at| at - now));
        }
    }

    fn sleep<'a>(&'a self, live: MutexGuard<'a, Live>, pause: Option<Duration>) -> MutexGuard<'a, Live> {
        match pause {
            Some(pause) => self.shared.wake.wait_timeout(live, pause).unwrap_or_else(PoisonError::into_inner).0,
            None => self.shared.wake.wait(live).unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn batch(&mut self, runs: Vec<Run>, receipts: Vec<Waiting>) {
        match self.write(&runs) {
            Ok(()) => {
                let events: u64 = runs.iter().map(|run| run.events.len() as u64).sum();
                let recovered = {
                    let mut live = self.shared.lock();
                    live.wrote(&runs);
                    live.failing.take().is_some()
                };
                self.shared.counts.stored.fetch_add(events, Relaxed);
                self.shared.counts.batches.fetch_add(1, Relaxed);
                self.retry = None;
                for waiting in receipts {
                    waiting.receipt.complete(Ok(waiting.positions));
                }
                // Here, not under the lock: where nobody else holds the events any more, this frees them.
                drop(runs);
                if recovered {
                    let lost = self.shared.counts.lost.load(Relaxed) - self.lost_before;
                    (self.shared.options.notices)(Notice::Recovered { lost });
                }
                self.wrote();
            }
            Err(fault) => self.failed(&fault, runs, receipts),
        }
    }

    fn write(&mut self, runs: &[Run]) -> Result<(), Fault> {
        if let Some(birth) = &self.birth {
            birth.write(&self.connection, self.shared.options.durability)?;
            self.birth = None;
        }
        batch::write(&self.connection, &mut self.spans, runs)?;
        Ok(())
    }

    fn failed(&mut self, fault: &Fault, runs: Vec<Run>, receipts: Vec<Waiting>) {
        let pause = self.retry.map_or(RETRY.0, |(_, pause)| (pause * 2).min(RETRY.1));
        self.retry = Some((Instant::now() + pause, pause));
        let reason: Arc<str> = fault.reason().into();
        let (first, since) = {
            let mut live = self.shared.lock();
            live.failed(runs);
            let first = live.failing.replace(reason.clone()).is_none();
            (first, std::mem::take(&mut live.receipts))
        };
        for waiting in receipts.into_iter().chain(since) {
            let error = EngineError::Down(format!("the history cannot be written: {reason}"));
            waiting.receipt.complete(Err(error));
        }
        if first {
            self.lost_before = self.shared.counts.lost.load(Relaxed);
            (self.shared.options.notices)(Notice::Failing { reason: (*reason).into() });
        }
        if self.shared.lock().closing {
            // One attempt was made; the next life begins new epochs.
            self.birth = None;
        }
    }

    /// After a batch: what the `-wal` needs.
    fn wrote(&mut self) {
        if self.shared.options.durability == Durability::Durable {
            self.synced();
        } else if self.unsynced.is_none() {
            self.unsynced = Some(Instant::now());
        }
        let pages = self
            .connection
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(1)));
        if pages.is_ok_and(|pages| pages >= CHECKPOINT) {
            let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
        }
    }

    fn sync(&mut self) {
        if self.wal.is_none() {
            self.wal = File::open(recovery::with_suffix(&self.shared.options.path, "-wal")).ok();
        }
        if self.wal.as_ref().is_some_and(|wal| wal.sync_data().is_ok()) {
            self.synced();
        }
        self.unsynced = None;
    }

    fn synced(&mut self) {
        self.unsynced = None;
        *self.shared.counts.synced.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Notes how far each channel has come and that this life ended in order.
    fn end(self) {
        let (unwritten, channels) = {
            let live = self.shared.lock();
            let channels: Vec<_> = live
                .channels
                .iter()
                .map(|channel| {
                    (channel.id, channel.name.clone(), channel.last, channel.recorded, channel.lineage.last())
                })
                .collect();
            (live.has_work(), channels)
        };
        if unwritten || self.birth.is_some() {
            return;
        }
        let write = || -> Result<(), Fault> {
            self.connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);")?;
            let transaction = self.connection.unchecked_transaction()?;
            let now = Timestamp::now().0;
            for (id, name, last, recorded, begin) in &channels {
                if !recorded {
                    transaction.execute("INSERT INTO channel VALUES(?, ?, 0)", params![id, name.as_str()])?;
                    let epoch = params![id, begin.first as i64, begin.epoch.0 as i64, now];
                    transaction.execute("INSERT INTO epoch VALUES(?, 1, ?, ?, ?)", epoch)?;
                }
                let mut statement =
                    transaction.prepare_cached("UPDATE channel SET last = ?2 WHERE id = ?1 AND last < ?2")?;
                statement.execute([*id, *last as i64])?;
            }
            transaction.execute("UPDATE meta SET value = ? WHERE key = 'closed'", [now])?;
            transaction.commit()?;
            self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
            Ok(())
        };
        // If this does not work, the next life takes the file for uncleanly ended, which it is.
        let _ = write();
    }
}

fn take(live: &mut Live) -> Work {
    Work::Batch(live.take(), std::mem::take(&mut live.receipts))
}
