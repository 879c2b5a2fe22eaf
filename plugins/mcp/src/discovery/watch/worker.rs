//! The thread behind [`super::Watch`]: asks for notices, looks, tells, waits.

use super::{
    Pace,
    content::{self, Outside},
    known::Known,
    notices::Notices,
};
use crate::discovery::{Change, Place};
use headwater_plugin::tokio::sync::mpsc::Sender;
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender},
    time::{Duration, Instant},
};

pub(super) struct Worker {
    files: Vec<(Known, Option<Outside>)>,
    notices: Notices,
    pace: Pace,
}

impl Worker {
    pub(super) fn new(places: Vec<Place>, pace: Pace, wake: SyncSender<()>) -> Self {
        let files = places.into_iter().map(|place| (Known::new(place), None)).collect();
        Self { files, notices: Notices::new(wake), pace }
    }

    /// Looks until nobody listens any more.
    pub(super) fn run(mut self, woken: &Receiver<()>, told: &Sender<Vec<Change>>) {
        let mut first = true;
        loop {
            let began = Instant::now();
            // Ask first and look then: a change between the two is noticed.
            self.notices.ask(&self.files.iter().map(|(known, _)| known.place.file.as_path()));
            let changes = self.look();
            if (first || !changes.is_empty()) && told.blocking_send(changes).is_err() {
                return;
            }
            first = false;
            self.wait(woken, began);
            if told.is_closed() {
                return;
            }
        }
    }

    fn look(&mut self) -> Vec<Change> {
        let pace = self.pace;
        let look = |(known, outside): &mut (Known, Option<Outside>)| {
            let content = content::read(&known.place.file, outside);
            known.look(content, Instant::now(), &pace)
        };
        self.files.iter_mut().flat_map(look).collect()
    }

    /// Waits for a notice and for the burst it belongs to, or until it is time to look anyway.
    fn wait(&self, woken: &Receiver<()>, looked: Instant) {
        let poll = if self.notices.are_blind() { self.pace.poll_blind } else { self.pace.poll };
        let due = self.files.iter().filter_map(|(known, _)| known.due(&self.pace)).min();
        let left = due.map_or(poll, |due| due.saturating_duration_since(Instant::now()).min(poll));
        if woken.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            return;
        }
        let begun = Instant::now();
        let latest = (begun + self.pace.longest_burst).max(looked + self.pace.apart);
        let earliest = looked + self.pace.apart;
        loop {
            let now = Instant::now();
            let quiet = (now + self.pace.quiet).max(earliest).min(latest);
            let left = quiet.saturating_duration_since(now);
            if left == Duration::ZERO || woken.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}
