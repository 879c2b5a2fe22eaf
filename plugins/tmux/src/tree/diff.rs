//! The steps from one tree to another. Applied in their order to the old one, they lead to the new one.

use super::{
    Ending, Pane, Session, Tree, Window,
    id::{PaneId, SessionId, WindowId},
};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A pane is gone.
    PaneRemoved(PaneId),
    /// A session no longer has this window at this index.
    WindowUnlinked {
        /// Whose.
        session: SessionId,
        /// Where it was.
        index: u32,
        /// The window.
        window: WindowId,
        /// The session has it at another index now.
        moved: bool,
    },
    /// No session has this window any more.
    WindowGone(WindowId),
    /// A session is gone.
    SessionRemoved(SessionId),
    /// A session is there, as yet without windows.
    SessionCreated(SessionId, Session),
    /// It has another name.
    SessionRenamed(SessionId, String),
    /// It has another working directory.
    SessionPath(SessionId, Option<String>),
    /// It must, or need not any more, end when nobody is attached.
    SessionFleeting(SessionId, bool),
    /// Another number of clients is attached.
    SessionClients(SessionId, u32),
    /// A window that no session had before.
    WindowNew(WindowId, Window),
    /// A session has this window at this index.
    WindowLinked {
        /// Whose.
        session: SessionId,
        /// Where it is.
        index: u32,
        /// The window.
        window: WindowId,
        /// The session had it at another index before.
        moved: bool,
    },
    /// It has another name.
    WindowRenamed(WindowId, String),
    /// Another window of the session is current.
    WindowActivated(SessionId, Option<u32>),
    /// Another pane of the window is active.
    PaneActivated(WindowId, Option<PaneId>),
    /// A pane is there.
    PaneCreated(PaneId, Pane),
    /// It is in another window, or at another index.
    PaneMoved(PaneId, WindowId, u32),
    /// It has other rows and columns.
    PaneResized(PaneId, (u32, u32)),
    /// It has another title.
    PaneTitle(PaneId, String),
    /// Another command is in the foreground.
    PaneCommand(PaneId, String),
    /// That command has another working directory.
    PanePath(PaneId, String),
    /// tmux started another process in it.
    PaneRespawned(PaneId, Option<u32>),
    /// Its process ended and the pane remained, or it runs again.
    PaneDead(PaneId, Option<Ending>),
}

/// The steps from `old` to `new`.
pub(crate) fn diff(old: &Tree, new: &Tree) -> Vec<Change> {
    let mut changes = Vec::new();
    for id in old.panes.keys().filter(|id| !new.panes.contains_key(id)) {
        changes.push(Change::PaneRemoved(*id));
    }
    for (session, before) in &old.sessions {
        let after = new.sessions.get(session);
        for (index, window) in before.windows.iter().filter(|(index, w)| !has(after, **index, **w)) {
            let moved = is_new_there(after, Some(before), *window);
            changes.push(Change::WindowUnlinked { session: *session, index: *index, window: *window, moved });
        }
    }
    for id in old.windows.keys().filter(|id| !new.windows.contains_key(id)) {
        changes.push(Change::WindowGone(*id));
    }
    for id in old.sessions.keys().filter(|id| !new.sessions.contains_key(id)) {
        changes.push(Change::SessionRemoved(*id));
    }
    for (id, after) in &new.sessions {
        match old.sessions.get(id) {
            None => changes.push(Change::SessionCreated(*id, blank(after))),
            Some(before) => session_changes(*id, before, after, &mut changes),
        }
    }
    for (id, window) in new.windows.iter().filter(|(id, _)| !old.windows.contains_key(id)) {
        changes.push(Change::WindowNew(*id, window.clone()));
    }
    for (session, after) in &new.sessions {
        let before = old.sessions.get(session);
        for (index, window) in after.windows.iter().filter(|(index, w)| !has(before, **index, **w)) {
            let moved = is_new_there(before, Some(after), *window);
            changes.push(Change::WindowLinked { session: *session, index: *index, window: *window, moved });
        }
    }
    for (id, after) in &new.panes {
        match old.panes.get(id) {
            None => changes.push(Change::PaneCreated(*id, after.clone())),
            Some(before) => pane_changes(*id, before, after, &mut changes),
        }
    }
    for (id, after) in &new.windows {
        if let Some(before) = old.windows.get(id) {
            if before.name != after.name {
                changes.push(Change::WindowRenamed(*id, after.name.clone()));
            }
            if before.active != after.active {
                changes.push(Change::PaneActivated(*id, after.active));
            }
        }
    }
    for (id, after) in &new.sessions {
        // By its window, not by its index: a current window that was only moved is still the current one. The index is
        // kept right all the same, by a step that tells nothing.
        if old.sessions.get(id).and_then(|before| before.current) != after.current {
            changes.push(Change::WindowActivated(*id, after.current));
        }
    }
    changes
}

/// Whether the session has this window at this index.
fn has(session: Option<&Session>, index: u32, window: WindowId) -> bool {
    session.is_some_and(|session| session.windows.get(&index) == Some(&window))
}

/// Whether `there` has the window at an index at which `here` does not have it.
fn is_new_there(there: Option<&Session>, here: Option<&Session>, window: WindowId) -> bool {
    there.is_some_and(|there| there.windows.iter().any(|(index, id)| *id == window && !has(here, *index, window)))
}

fn blank(session: &Session) -> Session {
    Session { windows: std::collections::BTreeMap::new(), current: None, ..session.clone() }
}

fn session_changes(id: SessionId, before: &Session, after: &Session, changes: &mut Vec<Change>) {
    if before.name != after.name {
        changes.push(Change::SessionRenamed(id, after.name.clone()));
    }
    if before.path != after.path {
        changes.push(Change::SessionPath(id, after.path.clone()));
    }
    if before.fleeting != after.fleeting {
        changes.push(Change::SessionFleeting(id, after.fleeting));
    }
    if before.attached != after.attached {
        changes.push(Change::SessionClients(id, after.attached));
    }
}

fn pane_changes(id: PaneId, before: &Pane, after: &Pane, changes: &mut Vec<Change>) {
    if (before.window, before.index) != (after.window, after.index) {
        changes.push(Change::PaneMoved(id, after.window, after.index));
    }
    if before.size != after.size {
        changes.push(Change::PaneResized(id, after.size));
    }
    // Before title and command, which are those of the new process.
    if before.pid != after.pid {
        changes.push(Change::PaneRespawned(id, after.pid));
    }
    if before.dead != after.dead {
        changes.push(Change::PaneDead(id, after.dead));
    }
    if before.title != after.title {
        changes.push(Change::PaneTitle(id, after.title.clone()));
    }
    if before.command != after.command {
        changes.push(Change::PaneCommand(id, after.command.clone()));
    }
    if before.path != after.path {
        changes.push(Change::PanePath(id, after.path.clone()));
    }
}

impl Tree {
    /// Takes one step. A step about something that is not there changes nothing.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::PaneRemoved(id) => drop(self.panes.remove(id)),
            Change::WindowUnlinked { session, index, .. } => {
                self.session(*session, |session| session.windows.retain(|at, _| at != index));
            }
            Change::WindowGone(id) => drop(self.windows.remove(id)),
            Change::SessionRemoved(id) => drop(self.sessions.remove(id)),
            Change::SessionCreated(id, session) => drop(self.sessions.insert(*id, session.clone())),
            Change::SessionRenamed(id, name) => self.session(*id, |session| session.name.clone_from(name)),
            Change::SessionPath(id, path) => self.session(*id, |session| session.path.clone_from(path)),
            Change::SessionFleeting(id, fleeting) => self.session(*id, |session| session.fleeting = *fleeting),
            Change::SessionClients(id, clients) => self.session(*id, |session| session.attached = *clients),
            Change::WindowNew(id, window) => drop(self.windows.insert(*id, window.clone())),
            Change::WindowLinked { session, index, window, .. } => {
                self.session(*session, |session| session.windows.extend([(*index, *window)]));
            }
            Change::WindowRenamed(id, name) => self.window(*id, |window| window.name.clone_from(name)),
            Change::WindowActivated(id, index) => self.session(*id, |session| session.current = *index),
            Change::PaneActivated(id, pane) => self.window(*id, |window| window.active = *pane),
            Change::PaneCreated(id, pane) => drop(self.panes.insert(*id, pane.clone())),
            Change::PaneMoved(id, window, index) => {
                self.pane(*id, |pane| (pane.window, pane.index) = (*window, *index));
            }
            Change::PaneResized(id, size) => self.pane(*id, |pane| pane.size = *size),
            Change::PaneTitle(id, title) => self.pane(*id, |pane| pane.title.clone_from(title)),
            Change::PaneCommand(id, command) => self.pane(*id, |pane| pane.command.clone_from(command)),
            Change::PanePath(id, path) => self.pane(*id, |pane| pane.path.clone_from(path)),
            Change::PaneRespawned(id, pid) => self.pane(*id, |pane| pane.pid = *pid),
            Change::PaneDead(id, dead) => self.pane(*id, |pane| pane.dead = *dead),
        }
    }

    fn session(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.sessions.get_mut(&id) {
            change(session);
        }
    }

    fn window(&mut self, id: WindowId, change: impl FnOnce(&mut Window)) {
        if let Some(window) = self.windows.get_mut(&id) {
            change(window);
        }
    }

    fn pane(&mut self, id: PaneId, change: impl FnOnce(&mut Pane)) {
        if let Some(pane) = self.panes.get_mut(&id) {
            change(pane);
        }
    }
}

#[cfg(test)]
mod tests;
