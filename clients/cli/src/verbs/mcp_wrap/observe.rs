//! The observer: a thread that reads the copies and makes reports of them.

use super::{
    copy::Way,
    exchange::Exchange,
    priority,
    publish::Publisher,
    report::{Identity, Report},
    scan::Scanner,
    tap::{Copies, Copy},
};
use std::{
    sync::mpsc::RecvTimeoutError,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Calls are reported so long after the first of them.
const GATHER: Duration = Duration::from_millis(500);

/// The thread rests so long after it has looked at something. Each time that it is woken the server or its client may have to
/// wait for a core: with an answer each tenth of a millisecond that is one answer in five hundred.
const REST: Duration = Duration::from_millis(50);

/// The running thread.
pub(super) struct Observer(JoinHandle<Publisher>);

impl Observer {
    /// Starts it. Where there can be no thread, nothing is observed.
    pub(super) fn start(identity: Identity, copies: Copies, publisher: Option<Publisher>) -> Option<Self> {
        let publisher = publisher?;
        let work = move || {
            priority::last();
            Desk::new(identity, publisher).run(&copies)
        };
        thread::Builder::new().name("observer".to_owned()).spawn(work).ok().map(Self)
    }

    /// Waits, but not for long, until the last report is out.
    pub(super) fn finish(self, deadline: Instant) {
        self.0.thread().unpark();
        // It has at most what the queue holds before it, and asks nobody.
        if let Ok(publisher) = self.0.join() {
            publisher.finish(deadline);
        }
    }
}

struct Desk {
    scanners: [Scanner; 2],
    exchange: Exchange,
    report: Report,
    publisher: Publisher,
}

impl Desk {
    fn new(identity: Identity, publisher: Publisher) -> Self {
        Self { scanners: Default::default(), exchange: Exchange::default(), report: Report::new(identity), publisher }
    }

    fn run(mut self, copies: &Copies) -> Publisher {
        // Who runs is told at once.
        let mut due = Some(Instant::now());
        loop {
            if due.is_some_and(|due| due <= Instant::now()) {
                self.send();
                due = None;
            }
            let copy = match due {
                None => copies.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => copies.receiver.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let mut next = match copy {
                Ok(copy) => Some(copy),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return self.publisher,
            };
            while let Some(copy) = next {
                match copy {
                    Copy::Bytes { way, at, after_gap, bytes } => {
                        copies.taken(bytes.len());
                        self.bytes(way, at, after_gap, &bytes);
                    }
                    Copy::End(ending) => {
                        for (way, call) in self.exchange.end(Instant::now()) {
                            self.report.add(way, call);
                        }
                        self.report.missing(std::mem::take(&mut self.exchange.lost));
                        let parcel = self.report.last(&self.exchange.known, Some(ending));
                        self.publisher.send(parcel);
                        return self.publisher;
                    }
                }
                next = copies.receiver.try_recv().ok();
            }
            if due.is_none() && self.report.is_due(&self.exchange.known) {
                due = Some(Instant::now() + GATHER);
            }
            // The end of the server wakes it.
            thread::park_timeout(REST);
        }
    }

    fn bytes(&mut self, way: Way, at: Instant, after_gap: bool, bytes: &[u8]) {
        let scanner = &mut self.scanners[way as usize];
        if after_gap {
            scanner.gap();
            self.exchange.gap();
        }
        let (exchange, report) = (&mut self.exchange, &mut self.report);
        scanner.feed(bytes, |message| {
            if let Some((way, call)) = exchange.message(way, message, at) {
                report.add(way, call);
            }
        });
        report.missing(std::mem::take(&mut exchange.lost));
    }

    fn send(&mut self) {
        self.report.missing(self.publisher.unsent());
        let parcel = self.report.take(&self.exchange.known);
        self.publisher.send(parcel);
    }
}
