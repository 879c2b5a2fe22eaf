//! The processes in the panes, and how they ended.

use crate::{
    events::{place::Place, told::Told},
    exits::Exits,
    server::identity::Server,
    tree::{Ending, Tree, diff::Change, id::PaneId},
};
use headwater_plugin::prelude::*;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A pane that is gone may leave its process behind, which then ends within this time, or goes on without us.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is known of the processes.
#[derive(Debug)]
pub(crate) struct Lives {
    exits: Exits,
    server: Option<u64>,
    panes: BTreeMap<PaneId, Life>,
    watched: BTreeMap<u64, Watched>,
}

/// The process of a pane.
#[derive(Debug, Default)]
struct Life {
    /// Under what its end will be told.
    number: Option<u64>,
    /// It has ended, and it is waited for tmux to say how.
    awaited: bool,
    /// Its end was told.
    over: bool,
}

#[derive(Debug)]
struct Watched {
    pane: PaneId,
    /// Where it was, when it is not there any more.
    left: Option<(Place, Instant)>,
}

/// What is told of ends beside the changes of the tree.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Before the changes: a pane goes after its process.
    pub(crate) before: Vec<Told>,
    /// After them: a pane that was not known yet has come first.
    pub(crate) after: Vec<Told>,
}

/// What an end under some number means.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The server ended.
    Server,
    /// A pane's process ended.
    Pane(Told),
    /// A pane's process ended; how, tmux may know.
    Unknown(PaneId),
    /// Nothing.
    Nothing,
}

impl Life {
    /// One that had ended before it was known; `told`: and how is known too.
    fn ended(told: bool) -> Self {
        Self { number: None, awaited: !told, over: told }
    }
}

impl Lives {
    /// Watches the server.
    pub(crate) fn new(mut exits: Exits, server: &Server) -> Self {
        let server = exits.watch(server.pid, None);
        Self { exits, server, panes: BTreeMap::new(), watched: BTreeMap::new() }
    }

    /// Follows the tree.
    pub(crate) fn follow(&mut self, server: &Server, old: &Tree, new: &Tree, changes: &[Change], now: Instant) -> Ends {
        let mut ends = Ends::default();
        for change in changes {
            match change {
                Change::PaneCreated(id, pane) => {
                    let known = pane.dead.filter(|ending| *ending != Ending::default());
                    ends.after.extend(known.map(|ending| exited(Place::pane(server, new, *id), ending)));
                    match pane.dead {
                        None => self.begin(server, *id, pane.pid),
                        // Without a status, tmux is about to say it.
                        Some(_) => drop(self.panes.insert(*id, Life::ended(known.is_some()))),
                    }
                }
                Change::PaneRespawned(id, pid) => {
                    self.leave(*id, Place::pane(server, new, *id), now);
                    self.begin(server, *id, *pid);
                }
                Change::PaneDead(id, Some(ending)) => {
                    let life = self.panes.entry(*id).or_default();
                    // tmux sees the terminal close before it has asked how the process ended.
                    let comes = life.number.is_some() || life.awaited;
                    if *ending == Ending::default() && comes {
                        continue;
                    }
                    if !std::mem::replace(&mut life.over, true) {
                        ends.before.push(exited(Place::pane(server, new, *id), *ending));
                    }
                }
                Change::PaneRemoved(id) => {
                    let place = Place::pane(server, old, *id);
                    let unseen = self.panes.get(id).is_some_and(|life| life.number.is_none() && !life.over);
                    if unseen {
                        ends.before.push(exited(place.clone(), Ending::default()));
                    }
                    self.leave(*id, place, now);
                    self.panes.remove(id);
                }
                _ => {}
            }
        }
        let late =
            |watched: &Watched| watched.left.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > FAREWELL);
        for number in
            self.watched.iter().filter(|(_, watched)| late(watched)).map(|(number, _)| *number).collect::<Vec<_>>()
        {
            self.watched.remove(&number);
            self.exits.forget(number);
        }
        ends
    }

    /// A process ended.
    pub(crate) fn ended(&mut self, server: &Server, tree: &Tree, number: u64, ending: Ending) -> Exit {
        if Some(number) == self.server {
            return Exit::Server;
        }
        let Some(watched) = self.watched.remove(&number) else { return Exit::Nothing };
        if let Some((place, _)) = watched.left {
            return Exit::Pane(exited(place, ending));
        }
        let life = self.panes.entry(watched.pane).or_default();
        life.number = None;
        if life.over {
            return Exit::Nothing;
        }
        if ending == Ending::default() {
            life.awaited = true;
            return Exit::Unknown(watched.pane);
        }
        life.over = true;
        Exit::Pane(exited(Place::pane(server, tree, watched.pane), ending))
    }

    /// Nobody says how this pane's process ended.
    pub(crate) fn give_up_on(&mut self, server: &Server, tree: &Tree, pane: PaneId) -> Option<Told> {
        let life = self.panes.get_mut(&pane)?;
        let untold = !std::mem::replace(&mut life.over, true);
        untold.then(|| exited(Place::pane(server, tree, pane), Ending::default()))
    }

    fn begin(&mut self, server: &Server, pane: PaneId, pid: Option<u32>) {
        let number = pid.and_then(|pid| self.exits.watch(pid, Some(server.pid)));
        if let Some(number) = number {
            self.watched.insert(number, Watched { pane, left: None });
        }
        self.panes.insert(pane, Life { number, ..Life::default() });
    }

    /// The process is not in the pane any more, and may end later.
    fn leave(&mut self, pane: PaneId, place: Place, now: Instant) {
        let number = self.panes.get(&pane).and_then(|life| life.number);
        if let Some(watched) = number.and_then(|number| self.watched.get_mut(&number)) {
            watched.left = Some((place, now));
        }
    }
}

/// What is known of how it ended; absent is what is not.
fn exited(place: Place, ending: Ending) -> Told {
    let mut more = json!({});
    if let Some(status) = ending.status {
        more["exit_status"] = status.into();
    }
    if let Some(signal) = ending.signal {
        more["signal"] = signal.into();
    }
    let well = matches!(ending, Ending { status: None | Some(0), signal: None });
    Told::new("pane.exited", place, more).severity(if well { Severity::Info } else { Severity::Warning })
}
