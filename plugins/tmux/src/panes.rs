//! What is known of the panes beside the tree: their text.

use crate::{
    server::screen::Screen,
    text::{Options, PaneText, Redaction, Seen},
    tree::{Tree, id::PaneId},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// A pane that the tree does not have is kept for so long: its output may come before it is known.
const UNKNOWN: Duration = Duration::from_secs(5);

/// The panes that are read.
#[derive(Debug)]
pub(crate) struct Panes {
    options: Options,
    redaction: Arc<Redaction>,
    views: BTreeMap<PaneId, View>,
}

/// One of them.
struct View {
    text: PaneText,
    since: Instant,
    begun: Begun,
    /// When its title was last read from its output.
    titled: Option<Instant>,
    /// When its command was last looked at.
    commanded: Option<Instant>,
}

/// How a pane came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// It was created while we watched: all that it shows is new.
    New,
    /// It was there before. Until its screen has come, what it prints is on that screen anyway, and cannot be told from what
    /// was there before.
    Unread,
    /// Its screen is known.
    Read,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("begun", &self.begun).field("titled", &self.titled).finish_non_exhaustive()
    }
}

impl Panes {
    pub(crate) fn new(options: Options, redaction: Arc<Redaction>) -> Self {
        Self { options, redaction, views: BTreeMap::new() }
    }

    /// What is blotted out of all text.
    pub(crate) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.redaction)
    }

    /// A pane's program has written.
    pub(crate) fn feed(&mut self, pane: PaneId, bytes: &[u8], now: Instant) {
        let view = self.view(pane, Begun::New, now);
        if view.begun != Begun::Unread {
            view.text.feed(now, bytes);
        }
    }

    /// A pane was created while we watched.
    pub(crate) fn created(&mut self, pane: PaneId, now: Instant) {
        self.view(pane, Begun::New, now);
    }

    /// The screen of a pane is to be asked for. `false`: it is read already.
    pub(crate) fn expect(&mut self, pane: PaneId, now: Instant) -> bool {
        let new = !self.views.contains_key(&pane);
        self.view(pane, Begun::Unread, now);
        new
    }

    /// What a pane shows now.
    pub(crate) fn show(&mut self, pane: PaneId, screen: &Screen, now: Instant) {
        let view = self.view(pane, Begun::Unread, now);
        let begun = std::mem::replace(&mut view.begun, Begun::Read);
        if begun == Begun::New && view.text.tail(1).is_empty() {
            // A first screen counts as old, so there is an empty one before it.
            view.text.resync(now, "", (0, 0));
        }
        view.text.resync(now, &screen.text, screen.cursor);
    }

    /// When something is to be taken from a pane that the tree has.
    pub(crate) fn due(&self, tree: &Tree) -> Option<Instant> {
        let known = self.views.iter().filter(|(pane, _)| tree.panes.contains_key(pane));
        known.filter_map(|(_, view)| view.text.due()).min()
    }

    /// What is due in panes that the tree has.
    pub(crate) fn take(&mut self, tree: &Tree, now: Instant) -> Vec<(PaneId, Vec<Seen>)> {
        let known = self.views.iter_mut().filter(|(pane, _)| tree.panes.contains_key(pane));
        let due = known.filter(|(_, view)| view.text.due().is_some_and(|due| due <= now));
        due.map(|(pane, view)| {
            let seen = view.text.take(now);
            if seen.iter().any(|seen| matches!(seen, Seen::Title(_))) {
                view.titled = Some(now);
            }
            (*pane, seen)
        })
        .collect()
    }

    /// A pane is gone: all that is left of it.
    pub(crate) fn finish(&mut self, pane: PaneId, now: Instant) -> Vec<Seen> {
        self.views.remove(&pane).map(|mut view| view.text.finish(now)).unwrap_or_default()
    }

    /// Follows the sizes of the panes, and forgets those that never came into the tree.
    pub(crate) fn follow(&mut self, tree: &Tree, now: Instant) {
        self.views.retain(|id, view| {
            let pane = tree.panes.get(id);
            if let Some(pane) = pane {
                view.text.resize(pane.size.0 as usize, pane.size.1 as usize);
            }
            pane.is_some() || now.duration_since(view.since) < UNKNOWN
        });
    }

    /// Whether a pane's title was read from its output after this time.
    pub(crate) fn titled_since(&self, pane: PaneId, time: Instant) -> bool {
        self.views.get(&pane).and_then(|view| view.titled).is_some_and(|titled| titled >= time)
    }

    /// The command of a pane was looked at.
    pub(crate) fn commanded(&mut self, pane: PaneId, now: Instant) {
        if let Some(view) = self.views.get_mut(&pane) {
            view.commanded = Some(now);
        }
    }

    /// Whether it was looked at after this time.
    pub(crate) fn commanded_since(&self, pane: PaneId, time: Instant) -> bool {
        self.views.get(&pane).and_then(|view| view.commanded).is_some_and(|looked| looked >= time)
    }

    /// The last lines of a pane that is read.
    pub(crate) fn tail(&self, pane: PaneId, lines: usize) -> Option<String> {
        let view = self.views.get(&pane).filter(|view| view.begun != Begun::Unread)?;
        Some(view.text.tail(lines))
    }

    fn view(&mut self, pane: PaneId, begun: Begun, now: Instant) -> &mut View {
        self.views.entry(pane).or_insert_with(|| View {
            text: PaneText::new(self.options.clone(), Arc::clone(&self.redaction)),
            since: now,
            begun,
            titled: None,
            commanded: None,
        })
    }
}
