//! What a tmux server holds: sessions, the windows that they link, the panes of those. Pure data; [`diff`] compares two.

pub(crate) mod diff;
pub(crate) mod id;

use id::{PaneId, SessionId, WindowId};
use std::collections::BTreeMap;

/// All of a server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Sessions by id.
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Windows by id. A window may be linked by several sessions.
    pub(crate) windows: BTreeMap<WindowId, Window>,
    /// Panes by id.
    pub(crate) panes: BTreeMap<PaneId, Pane>,
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its name; anything may be in it.
    pub(crate) name: String,
    /// Its working directory.
    pub(crate) path: Option<String>,
    /// How many clients are attached, without our own.
    pub(crate) attached: u32,
    /// Whether it must end when nobody is attached: then we must not be attached either.
    pub(crate) fleeting: bool,
    /// Its windows by index.
    pub(crate) windows: BTreeMap<u32, WindowId>,
    /// The index of its current window.
    pub(crate) current: Option<u32>,
}

/// A window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its name; anything may be in it.
    pub(crate) name: String,
    /// Its active pane.
    pub(crate) active: Option<PaneId>,
}

/// A pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pane {
    /// The window that it is in.
    pub(crate) window: WindowId,
    /// Its index there.
    pub(crate) index: u32,
    /// Its rows and columns.
    pub(crate) size: (u32, u32),
    /// The process that tmux started in it.
    pub(crate) pid: Option<u32>,
    /// Its title.
    pub(crate) title: String,
    /// The command in the foreground.
    pub(crate) command: String,
    /// The working directory of that command.
    pub(crate) path: String,
    /// How its process ended, where the pane remains after that.
    pub(crate) dead: Option<Ending>,
}

/// How a process ended; both absent where nobody told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// What it returned.
    pub(crate) status: Option<i32>,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
}

impl Tree {
    /// Where a window is: the first session that links it, and its index there.
    pub(crate) fn home(&self, window: WindowId) -> Option<(SessionId, u32)> {
        let index_in =
            |session: &Session| session.windows.iter().find(|(_, id)| **id == window).map(|(index, _)| *index);
        self.sessions.iter().find_map(|(id, session)| Some((*id, index_in(session)?)))
    }

    /// Whether a session links this window.
    pub(crate) fn links(&self, session: SessionId, window: WindowId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.windows.values().any(|id| *id == window))
    }

    /// The panes of all windows of a session.
    pub(crate) fn panes_in(&self, session: SessionId) -> Vec<PaneId> {
        let windows = self.sessions.get(&session).into_iter().flat_map(|session| session.windows.values());
        windows.flat_map(|window| self.panes_of(*window)).collect()
    }

    /// The panes of a window, in the order of their indices.
    pub(crate) fn panes_of(&self, window: WindowId) -> Vec<PaneId> {
        let mut panes: Vec<_> = self.panes.iter().filter(|(_, pane)| pane.window == window).collect();
        panes.sort_by_key(|(_, pane)| pane.index);
        panes.into_iter().map(|(id, _)| *id).collect()
    }
}
