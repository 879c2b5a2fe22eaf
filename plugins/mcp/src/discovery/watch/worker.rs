//! The thread behind [`super::Watch`]: asks for notices, looks, tells, waits.

use super::{
    Pace,
    content::{self, Outside},
    known::Known,
    notices::Notices,
};
use crate::discovery::{Change, Client, Place};
use headwater_plugin::tokio::sync::mpsc::Sender;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender},
    time::{Duration, Instant},
};

/// Projects of files that are looked into at most. Claude Code keeps each directory that it was ever started in.
const PROJECTS: usize = 64;

/// What is looked at in one.
const IN_PROJECT: &str = ".mcp.json";

type Files = Vec<(Known, Option<Outside>)>;

pub(super) struct Worker {
    files: Files,
    /// Those of projects that one of `files` knows of.
    grown: Files,
    notices: Notices,
    pace: Pace,
}

impl Worker {
    pub(super) fn new(places: Vec<Place>, pace: Pace, wake: SyncSender<()>) -> Self {
        let files = places.into_iter().map(|place| (Known::new(place), None)).collect();
        Self { files, grown: Vec::new(), notices: Notices::new(wake), pace }
    }

    /// Looks until nobody listens any more.
    pub(super) fn run(mut self, woken: &Receiver<()>, told: &Sender<Vec<Change>>) {
        let mut first = true;
        loop {
            let began = Instant::now();
            // Ask first and look then: a change between the two is noticed.
            self.ask();
            let mut changes = look(&mut self.files, self.pace);
            let left = self.grow();
            changes.extend(left);
            changes.extend(look(&mut self.grown, self.pace));
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

    fn ask(&mut self) {
        let files = self.files.iter().chain(&self.grown);
        self.notices.ask(&files.map(|(known, _)| known.place.file.as_path()));
    }

    /// Looks from now on at the projects that the files know of now, and at no others: what changes by that.
    fn grow(&mut self) -> Vec<Change> {
        let projects = self.files.iter().flat_map(|(known, _)| &known.projects).take(PROJECTS);
        let wanted: BTreeMap<PathBuf, PathBuf> = projects.map(|path| (path.join(IN_PROJECT), path.clone())).collect();
        let (kept, left): (Files, Files) =
            std::mem::take(&mut self.grown).into_iter().partition(|(known, _)| wanted.contains_key(&known.place.file));
        self.grown = kept;
        let mut is_new = false;
        for (file, project) in wanted {
            let is_known = |files: &Files| files.iter().any(|(known, _)| known.place.file == file);
            if !is_known(&self.files) && !is_known(&self.grown) {
                is_new = true;
                let place = Place { client: Client::McpJson, file, project: Some(project) };
                self.grown.push((Known::new(place), None));
            }
        }
        if is_new {
            self.ask();
        }
        left.into_iter().flat_map(|(known, _)| known.retire()).collect()
    }

    /// Waits for a notice and for the burst it belongs to, or until it is time to look anyway.
    fn wait(&self, woken: &Receiver<()>, looked: Instant) {
        let poll = if self.notices.are_blind() { self.pace.poll_blind } else { self.pace.poll };
        let due = self.files.iter().chain(&self.grown).filter_map(|(known, _)| known.due(&self.pace)).min();
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

fn look(files: &mut Files, pace: Pace) -> Vec<Change> {
    let look = |(known, outside): &mut (Known, Option<Outside>)| {
        let content = content::read(&known.place.file, outside);
        known.look(content, Instant::now(), &pace)
    };
    files.iter_mut().flat_map(look).collect()
}
