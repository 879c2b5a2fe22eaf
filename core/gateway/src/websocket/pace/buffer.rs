//! A buffered subscription to one channel: not events, but the place of the first that waits and how many do. The log
//! holds them. What time it is it is told; nothing here waits.

use std::time::Duration;
use tokio::time::Instant;

/// What waits for the next flush.
#[derive(Debug)]
pub(super) struct Buffer {
    interval: Duration,
    size: usize,
    /// Below this offset everything may be sent.
    until: u64,
    /// The offset of the first event that waits; says nothing where none does.
    first: u64,
    waiting: usize,
    /// Flushes come at this time and each interval after it.
    origin: Instant,
    /// When the next one is due; only while something waits.
    due: Option<Instant>,
    /// Priority events below this offset have been sent.
    passed: u64,
}

impl Buffer {
    pub(super) fn new(interval: Duration, size: usize, next: u64, now: Instant) -> Self {
        Self { interval, size, until: next, first: next, waiting: 0, origin: now, due: None, passed: 0 }
    }

    /// Everything before `next` has been sent; from there on it gathers.
    pub(super) fn begin(&mut self, next: u64, now: Instant) {
        *self = Self::new(self.interval, self.size, next, now);
    }

    /// One more event waits. `true`: that is as many as may.
    pub(super) fn add(&mut self, offset: u64, now: Instant) -> bool {
        if self.waiting == 0 {
            self.first = offset;
            self.due = Some(self.next_flush(now));
        }
        self.waiting += 1;
        self.waiting >= self.size
    }

    /// A priority event has been sent past the ones that wait.
    pub(super) fn pass(&mut self, offset: u64) {
        self.passed = offset + 1;
    }

    /// Whether a priority event has been sent already.
    pub(super) fn has_passed(&self, offset: u64) -> bool {
        offset < self.passed
    }

    /// Lets everything below `until` go, before its time or in time.
    pub(super) fn release(&mut self, until: u64, now: Instant) {
        // One that went early begins its interval anew.
        if self.due.is_some_and(|due| now < due) {
            self.origin = now;
        }
        self.until = self.until.max(until);
        self.waiting = 0;
        self.due = None;
    }

    /// When the next flush is due, if something waits for it.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Below this offset everything may be sent.
    pub(super) fn until(&self) -> u64 {
        self.until
    }

    /// The first offset that has not been sent, of one who is not behind a channel that stands at `next`.
    pub(super) fn place(&self, next: u64) -> u64 {
        if self.waiting > 0 { self.first } else { next }
    }

    /// The first of the flush times after `now`.
    fn next_flush(&self, now: Instant) -> Instant {
        let passed = now.duration_since(self.origin).as_nanos() / self.interval.as_nanos().max(1);
        let passed = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        (self.origin + self.interval.saturating_mul(passed)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn buffer(now: Instant) -> Buffer {
        Buffer::new(100 * MS, 3, 5, now)
    }

    #[test]
    fn it_flushes_in_each_interval_in_which_something_came() {
        let start = Instant::now();
        let mut buffer = buffer(start);
        assert_eq!((buffer.due(), buffer.place(7)), (None, 7));
        assert!(!buffer.add(7, start + 30 * MS));
        assert!(!buffer.add(9, start + 99 * MS));
        assert_eq!((buffer.due(), buffer.place(10), buffer.until()), (Some(start + 100 * MS), 7, 5));
        buffer.release(10, start + 101 * MS);
        assert_eq!((buffer.due(), buffer.place(10), buffer.until()), (None, 10, 10));
        // A quiet time sets off no flush, and does not shift the next one.
        assert!(!buffer.add(10, start + 520 * MS));
        assert_eq!(buffer.due(), Some(start + 600 * MS));
    }

    #[test]
    fn a_full_buffer_goes_early_and_the_next_interval_begins_then() {
        let start = Instant::now();
        let mut buffer = buffer(start);
        let early = start + 40 * MS;
        assert_eq!([5, 6, 7].map(|offset| buffer.add(offset, early)), [false, false, true]);
        buffer.release(8, early);
        assert!(!buffer.add(8, early + 10 * MS));
        assert_eq!(buffer.due(), Some(early + 100 * MS));
    }

    #[test]
    fn what_went_first_is_known() {
        let start = Instant::now();
        let mut buffer = buffer(start);
        buffer.add(5, start);
        buffer.pass(6);
        assert!(buffer.has_passed(6) && !buffer.has_passed(7));
        assert_eq!(buffer.place(7), 5, "it resumes before what waits");
    }
}
