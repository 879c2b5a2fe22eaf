//! Global hooks of the server: it tells of what changes in any session, with no client of ours attached. While one is, it is told
//! of most changes, and no hooks are set for those.
//!
//! Each hook runs a shell command that writes one line into a FIFO of ours ([`fifo`]). The line says what happened and to
//! which ids ([`news`]); what is true now is then asked ([`crate::server::listing`]), so that lines may come late, twice or
//! out of order. The hooks stand at an index far above those that people use, beside the user's own.

pub(crate) mod fifo;
mod leftovers;
pub(crate) mod news;

use crate::server::ask::{AskError, Program};
use fifo::Fifo;
use std::{
    collections::BTreeSet,
    io::{self, Read},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The first index that we take. `set-hook -a` of a user takes the lowest free one, so we stay far away.
const FIRST_INDEX: u32 = 97_310;

/// The hooks for what nobody else tells, or only in some versions of tmux or of some sessions.
const ALWAYS: &[&str] = &[
    "client-attached",
    "client-detached",
    "client-session-changed",
    "alert-bell",
    "alert-activity",
    "alert-silence",
    "window-layout-changed",
    "pane-exited",
    "pane-died",
];

/// Those for what tmux tells each control client, whichever session is concerned.
const CHANGES: &[&str] = &[
    "session-created",
    "session-closed",
    "session-renamed",
    "session-window-changed",
    "window-linked",
    "window-unlinked",
    "window-renamed",
    "window-pane-changed",
];

/// That for titles.
const TITLES: &[&str] = &["pane-title-changed"];

/// Which hooks are set beside those that always are. The shell of each takes the server half a millisecond, in which it does
/// nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// No control client is told of sessions and windows.
    pub(crate) changes: bool,
    /// Titles do not come with the output. An agent at work changes its title every second.
    pub(crate) titles: bool,
}

impl Needs {
    fn names(self) -> impl Iterator<Item = &'static str> {
        let changes = if self.changes { CHANGES } else { &[] };
        let titles = if self.titles { TITLES } else { &[] };
        [ALWAYS, changes, titles].into_iter().flatten().copied()
    }
}

/// A hook of ours, or of a daemon before us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name with its index, such as `session-created[97310]`.
    pub(crate) name: String,
    /// The path of the FIFO that it writes into.
    pub(crate) fifo: String,
}

/// The entries that carry our mark, in what `show-hooks` says.
pub(crate) fn entries(shown: &str) -> Vec<Entry> {
    shown
        .lines()
        .filter_map(|line| {
            let (name, text) = line.split_once(' ')?;
            let fifo = fifo::path_in(text)?;
            name.ends_with(']').then(|| Entry { name: name.to_owned(), fifo: fifo.to_owned() })
        })
        .collect()
}

/// The hooks of this source on one server.
#[derive(Debug)]
pub(crate) struct Hooks {
    index: u32,
    fifo: Fifo,
    needs: Mutex<Needs>,
    /// They were taken away for good. Held while they are changed: a repair that comes late would set them again.
    gone: Mutex<bool>,
}

impl Hooks {
    /// Sets the hooks, after clearing away what a daemon that is gone has left. Blocking.
    pub(crate) fn install(program: &Program, fifo: Fifo, needs: Needs) -> Result<Self, AskError> {
        let found = shown(program)?;
        let dead: Vec<&Entry> = found.iter().filter(|entry| leftovers::is_left_over(&entry.fifo)).collect();
        remove(program, dead.iter().map(|entry| entry.name.as_str()))?;
        for entry in &dead {
            leftovers::clear(&entry.fifo);
        }
        leftovers::sweep(fifo.path());
        // Another daemon that watches the same server keeps its hooks.
        let taken: BTreeSet<u32> =
            found.iter().filter(|e| !dead.contains(e)).filter_map(|e| index_of(&e.name)).collect();
        let index = (FIRST_INDEX..u32::MAX).find(|index| !taken.contains(index)).unwrap_or(FIRST_INDEX);
        let hooks = Self { index, fifo, needs: needs.into(), gone: Mutex::default() };
        hooks.set(program, needs.names())?;
        Ok(hooks)
    }

    /// A handle to read what the hooks write.
    pub(crate) fn reader(&self) -> io::Result<impl Read + Send + 'static> {
        self.fifo.reader()
    }

    /// Wakes the reader.
    pub(crate) fn wake(&self) {
        self.fifo.wake();
    }

    /// From now on these are needed. `true`: the hooks are to be looked at.
    pub(crate) fn need(&self, needs: Needs) -> bool {
        std::mem::replace(&mut *self.needs(), needs) != needs
    }

    /// Whether these are needed now.
    pub(crate) fn are_needed(&self, needs: Needs) -> bool {
        *self.needs() == needs
    }

    /// Sets what is missing, and takes away what is not needed any more; how many were missing, and what was needed then. A
    /// user's `set-hook -g` without an index empties the whole array. Blocking.
    pub(crate) fn repair(&self, program: &Program, found: &[Entry]) -> Result<(usize, Needs), AskError> {
        let needs = *self.needs();
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if *gone {
            return Ok((0, needs));
        }
        let missing: Vec<&str> = needs.names().filter(|name| !self.holds(found, name)).collect();
        self.set(program, missing.iter().copied())?;
        let in_vain: Vec<String> = self.in_vain(needs, found).map(|name| self.full(name)).collect();
        remove(program, in_vain.iter().map(String::as_str))?;
        Ok((missing.len(), needs))
    }

    /// Takes our hooks away, and only ours. Blocking.
    pub(crate) fn uninstall(&self, program: &Program) -> Result<(), AskError> {
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let ours = self.fifo.path().to_string_lossy().into_owned();
        let found = shown(program)?;
        remove(program, found.iter().filter(|entry| entry.fifo == ours).map(|entry| entry.name.as_str()))
    }

    /// Whether these entries hold each hook that is needed, and no other one of ours.
    pub(crate) fn complete(&self, found: &[Entry]) -> bool {
        let needs = *self.needs();
        needs.names().all(|name| self.holds(found, name)) && self.in_vain(needs, found).next().is_none()
    }

    fn in_vain(&self, needs: Needs, found: &[Entry]) -> impl Iterator<Item = &'static str> {
        let all = Needs { changes: true, titles: true }.names();
        all.filter(move |name| needs.names().all(|needed| needed != *name) && self.holds(found, name))
    }

    fn needs(&self) -> MutexGuard<'_, Needs> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, found: &[Entry], name: &str) -> bool {
        let full = self.full(name);
        found.iter().any(|entry| entry.name == full && self.fifo.path().as_os_str() == entry.fifo.as_str())
    }

    fn full(&self, name: &str) -> String {
        format!("{name}[{}]", self.index)
    }

    fn set<'a>(&self, program: &Program, names: impl Iterator<Item = &'a str>) -> Result<(), AskError> {
        let pairs: Vec<(String, String)> = names.map(|name| (self.full(name), self.fifo.hook(name))).collect();
        let mut question = Vec::new();
        for (name, text) in &pairs {
            question.extend(["set-hook", "-g", name, text, ";"]);
        }
        if question.pop().is_some() {
            program.ask(&question)?;
        }
        Ok(())
    }
}

/// What the server has that is ours or was a daemon's before us.
fn shown(program: &Program) -> Result<Vec<Entry>, AskError> {
    let answer = program.ask(&["show-hooks", "-g", ";", "show-hooks", "-gw"])?;
    Ok(entries(&String::from_utf8_lossy(&answer)))
}

fn remove<'a>(program: &Program, names: impl Iterator<Item = &'a str>) -> Result<(), AskError> {
    let mut question: Vec<&str> = names.flat_map(|name| ["set-hook", "-gu", name, ";"]).collect();
    if question.pop().is_some() {
        program.ask(&question)?;
    }
    Ok(())
}

/// The index in `session-created[97310]`.
fn index_of(name: &str) -> Option<u32> {
    name.strip_suffix(']')?.rsplit_once('[')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_entries_are_found() {
        let fifo = Fifo::create().unwrap();
        let ours = format!("session-created[97310] run-shell -b \"{}\"", fifo.shell("session-created"));
        let shown = format!(
            "after-new-window\nsession-created[0] display-message \"hello\"\n{ours}\nwindow-linked[3] run-shell \"[ -p /tmp/x ]\"\n"
        );
        let path = fifo.path().to_string_lossy().into_owned();
        assert_eq!(entries(&shown), [Entry { name: "session-created[97310]".into(), fifo: path }]);
        assert_eq!(index_of("session-created[97310]"), Some(97_310));
    }
}
