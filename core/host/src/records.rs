//! A source's log records on their way into the daemon's log: under the source's name, at a bounded rate.
//!
//! Called for records that a plugin forwards and for lines that a child writes. A source that logs without end would
//! otherwise fill the disk and hide all others.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Records of one source that are written each second; more are counted, and the count is written.
const PER_SECOND: u32 = 200;

/// The log of one source.
#[derive(Debug)]
pub(crate) struct Records {
    source: String,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    written: u32,
    dropped: u64,
}

impl Records {
    pub(crate) fn new(source: &str) -> Self {
        let window = Window { began: Instant::now(), written: 0, dropped: 0 };
        Self { source: source.to_owned(), window: Mutex::new(window) }
    }

    /// A record of a plugin: level 1 (error) to 5 (trace).
    pub(crate) fn record(&self, level: u8, module: &str, message: &str) {
        if !self.admit() {
            return;
        }
        let source = &*self.source;
        match level {
            1 => tracing::error!(target: "headwater::source", source, module, "{message}"),
            2 => tracing::warn!(target: "headwater::source", source, module, "{message}"),
            3 => tracing::info!(target: "headwater::source", source, module, "{message}"),
            4 => tracing::debug!(target: "headwater::source", source, module, "{message}"),
            _ => tracing::trace!(target: "headwater::source", source, module, "{message}"),
        }
    }

    /// A line of output.
    pub(crate) fn output(&self, line: &str) {
        if self.admit() {
            tracing::info!(target: "headwater::source", source = &*self.source, "{line}");
        }
    }

    fn admit(&self) -> bool {
        let (admitted, dropped) = self.window.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
        if dropped > 0 {
            tracing::warn!(
                target: "headwater::source", source = &*self.source,
                "{dropped} log lines were dropped: a source may write {PER_SECOND} a second"
            );
        }
        admitted
    }
}

impl Window {
    /// Whether one more may be written now, and how many were dropped before, when that is to be said.
    fn admit(&mut self, now: Instant) -> (bool, u64) {
        let mut dropped = 0;
        if now.saturating_duration_since(self.began) >= Duration::from_secs(1) {
            dropped = self.dropped;
            *self = Self { began: now, written: 0, dropped: 0 };
        }
        let admitted = self.written < PER_SECOND;
        if admitted {
            self.written += 1;
        } else {
            self.dropped += 1;
        }
        (admitted, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted_and_quiet_sources_are_not() {
        let began = Instant::now();
        let mut window = Window { began, written: 0, dropped: 0 };
        let admitted = (0..1000).filter(|_| window.admit(began).0).count();
        assert_eq!(admitted, PER_SECOND as usize);
        assert_eq!(window.admit(began + Duration::from_secs(1)), (true, 800));
        assert_eq!(window.admit(began + Duration::from_secs(2)), (true, 0));
    }
}
