//! The processes in the panes, and how they ended.

use crate::{
    events::{place::Place, told::Told},
    exits::Exits,
    server::identity::Server,
    tree::{Ending, Pane, Tree, diff::Change, id::PaneId},
};
use headwater_plugin::prelude::*;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A pane that is gone may leave its process behind, which then ends within this time, or goes on without us.
pub(super) const FAREWELL: Duration = Duration::from_secs(15);

/// How long it is waited for tmux to say how a process ended. It knows as soon as it has asked the kernel; but on a busy machine
/// that, its hook and a look take seconds, and a status that comes late is worth more than an end without one.
const PATIENCE: Duration = Duration::from_secs(15);

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
    /// It has ended, and since then it is waited for tmux to say how.
    awaited: Option<Instant>,
    /// How it ended, where that is known.
    ending: Option<Ending>,
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
    Unknown,
    /// Nothing.
    Nothing,
}

impl Life {
    /// Its end is told now.
    fn ends(&mut self, ending: Ending) {
        (self.over, self.awaited) = (true, None);
        self.ending = Some(ending).filter(|ending| *ending != Ending::default());
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
                    self.begin(server, *id, pane, now);
                    ends.after.extend(self.at_once(server, new, *id, pane));
                }
                Change::PaneRespawned(id, _) => {
                    ends.before.extend(self.leave(*id, Place::pane(server, new, *id), now));
                    if let Some(pane) = new.panes.get(id) {
                        self.begin(server, *id, pane, now);
                        ends.after.extend(self.at_once(server, new, *id, pane));
                    }
                }
                Change::PaneDead(id, Some(ending)) => {
                    let life = self.panes.entry(*id).or_default();
                    if life.over {
                        continue;
                    }
                    // tmux sees the terminal close before it has asked how the process ended, or while that goes on without it.
                    if *ending != Ending::default() {
                        life.ends(*ending);
                        ends.before.push(exited(Place::pane(server, new, *id), *ending));
                    } else if life.number.is_none() {
                        life.awaited.get_or_insert(now);
                    }
                }
                Change::PaneRemoved(id) => {
                    ends.before.extend(self.leave(*id, Place::pane(server, old, *id), now));
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

    /// What was dead before us is not told, also where tmux or the kernel will yet say how.
    pub(crate) fn pass_over_dead(&mut self, found: &Tree) {
        for (id, life) in &mut self.panes {
            if found.panes.get(id).is_some_and(|pane| pane.dead.is_some()) {
                (life.over, life.awaited) = (true, None);
            }
        }
    }

    /// What the kernel has said holds where tmux, as it was just found, is still to ask.
    pub(crate) fn fill_in(&self, known: &Tree, found: &mut Tree) {
        for (id, pane) in &mut found.panes {
            let same = known.panes.get(id).is_some_and(|known| known.pid == pane.pid);
            if same && pane.dead == Some(Ending::default()) {
                pane.dead = pane.dead.map(|none| self.panes.get(id).and_then(|life| life.ending).unwrap_or(none));
            }
        }
    }

    /// Whether no process is there any more whose end is to be told.
    pub(crate) fn are_over(&self) -> bool {
        self.watched.is_empty()
    }

    /// A process ended.
    pub(crate) fn ended(
        &mut self,
        server: &Server,
        tree: &Tree,
        (number, ending): (u64, Ending),
        now: Instant,
    ) -> Exit {
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
            life.awaited = Some(now);
            return Exit::Unknown;
        }
        life.ends(ending);
        Exit::Pane(exited(Place::pane(server, tree, watched.pane), ending))
    }

    /// When it is given up to wait for tmux.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.panes.values().filter_map(|life| life.awaited).min().map(|since| since + PATIENCE)
    }

    /// The ends of which nobody has said in time how.
    pub(crate) fn give_up(&mut self, server: &Server, tree: &Tree, now: Instant) -> Vec<Told> {
        let late = self.panes.iter_mut().filter(|(_, life)| life.awaited.is_some_and(|since| since + PATIENCE <= now));
        let told = late.map(|(pane, life)| {
            life.ends(Ending::default());
            exited(Place::pane(server, tree, *pane), Ending::default())
        });
        told.collect()
    }

    /// A process is in a pane now.
    fn begin(&mut self, server: &Server, id: PaneId, pane: &Pane, now: Instant) {
        let watch = |pid| self.exits.watch(pid, Some(server.pid));
        let number = pane.pid.filter(|_| pane.dead.is_none_or(|ending| ending == Ending::default())).and_then(watch);
        if let Some(number) = number {
            self.watched.insert(number, Watched { pane: id, left: None });
        }
        // It ended before it was known, and tmux is about to say how.
        let awaited = (pane.dead.is_some() && number.is_none()).then_some(now);
        // tmux can make a pane in which nothing is run.
        let over = pane.pid.is_none();
        self.panes.insert(id, Life { number, awaited: awaited.filter(|_| !over), over, ending: None });
    }

    /// How a process ended that is new and has ended.
    fn at_once(&mut self, server: &Server, tree: &Tree, id: PaneId, pane: &Pane) -> Option<Told> {
        let ending = pane.dead.filter(|ending| *ending != Ending::default())?;
        self.panes.get_mut(&id)?.ends(ending);
        Some(exited(Place::pane(server, tree, id), ending))
    }

    /// The process is not in the pane any more, and may end later. Where nobody will say when, that is told now.
    fn leave(&mut self, pane: PaneId, place: Place, now: Instant) -> Option<Told> {
        let life = self.panes.get(&pane)?;
        match life.number {
            Some(number) if life.over => {
                self.watched.remove(&number);
                self.exits.forget(number);
                None
            }
            Some(number) => {
                self.watched.get_mut(&number)?.left = Some((place, now));
                None
            }
            None => (!life.over).then(|| exited(place, Ending::default())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{diff::diff, id::Id};

    const PANE: PaneId = Id(1);

    /// A tree with one pane whose process has this number, and how it ended. No process has a number so high.
    fn tree(pid: Option<u32>, dead: Option<Ending>) -> Tree {
        let pane = Pane {
            window: Id(1),
            index: 0,
            size: (24, 80),
            pid,
            title: String::new(),
            command: String::new(),
            path: String::new(),
            dead,
        };
        Tree { panes: [(PANE, pane)].into(), ..Tree::default() }
    }

    /// Follows the steps from one tree to another; what was told.
    fn follow(lives: &mut Lives, server: &Server, trees: [&Tree; 2], now: Instant) -> Vec<Option<Value>> {
        let ends = lives.follow(server, trees[0], trees[1], &diff(trees[0], trees[1]), now);
        ends.before.iter().chain(&ends.after).map(|told| told.more.get("exit_status").cloned()).collect()
    }

    fn lives() -> (Lives, Server) {
        let server = Server { pid: u32::MAX, started: 0, socket: "/nowhere".into(), version: String::new() };
        (Lives::new(Exits::new().unwrap().0, &server), server)
    }

    const UNSAID: Option<Ending> = Some(Ending { status: None, signal: None });
    const SAID: Option<Ending> = Some(Ending { status: Some(42), signal: None });
    const PID: Option<u32> = Some(u32::MAX - 1);

    #[test]
    fn an_end_is_told_once_as_soon_as_tmux_says_how_or_when_it_does_not() {
        let (start, empty) = (Instant::now(), Tree::default());
        for (later, told) in [(SAID, json!(42)), (UNSAID, Value::Null)] {
            let (mut lives, server) = lives();
            let [dead, then] = [tree(PID, UNSAID), tree(PID, later)];
            assert!(follow(&mut lives, &server, [&empty, &dead], start).is_empty(), "tmux is about to say it");
            let due = lives.due().unwrap();
            assert!(lives.give_up(&server, &dead, start + PATIENCE / 2).is_empty());
            let mut all = follow(&mut lives, &server, [&dead, &then], start);
            let late = lives.give_up(&server, &then, due);
            all.extend(late.iter().map(|told| told.more.get("exit_status").cloned()));
            assert_eq!(all, [Some(told).filter(|told| !told.is_null())]);
            assert_eq!(lives.due(), None);
            assert!(follow(&mut lives, &server, [&then, &empty], due).is_empty(), "each once");
        }
    }

    /// It would be told that a process has ended that runs.
    #[test]
    fn who_is_started_in_the_pane_meanwhile_has_not_ended() {
        let (start, empty) = (Instant::now(), Tree::default());
        let (mut lives, server) = lives();
        let [dead, again] = [tree(PID, UNSAID), tree(Some(u32::MAX - 2), None)];
        follow(&mut lives, &server, [&empty, &dead], start);
        assert_eq!(follow(&mut lives, &server, [&dead, &again], start), [None], "the first one");
        assert_eq!(lives.due(), None);
        assert!(lives.give_up(&server, &again, start + 2 * PATIENCE).is_empty());
    }

    #[test]
    fn what_was_dead_before_us_is_not_told() {
        let (start, empty) = (Instant::now(), Tree::default());
        let (mut lives, server) = lives();
        let [dead, said] = [tree(PID, UNSAID), tree(PID, SAID)];
        follow(&mut lives, &server, [&empty, &dead], start);
        lives.pass_over_dead(&dead);
        assert_eq!(lives.due(), None);
        assert!(follow(&mut lives, &server, [&dead, &said], start).is_empty());
        assert!(follow(&mut lives, &server, [&said, &empty], start).is_empty());
    }

    /// `split-window ''`
    #[test]
    fn a_pane_in_which_nothing_was_run_has_no_end_to_tell() {
        let (start, empty, nothing) = (Instant::now(), Tree::default(), tree(None, UNSAID));
        let (mut lives, server) = lives();
        assert!(follow(&mut lives, &server, [&empty, &nothing], start).is_empty());
        assert_eq!(lives.due(), None);
        assert!(follow(&mut lives, &server, [&nothing, &empty], start).is_empty());
    }

    #[test]
    fn what_the_kernel_said_is_said_of_that_process_only() {
        let (start, empty) = (Instant::now(), Tree::default());
        let (mut lives, server) = lives();
        let known = tree(PID, SAID);
        assert_eq!(follow(&mut lives, &server, [&empty, &known], start), [Some(json!(42))]);
        for (mut found, filled) in
            [(tree(PID, UNSAID), SAID), (tree(PID, None), None), (tree(Some(u32::MAX - 2), UNSAID), UNSAID)]
        {
            lives.fill_in(&known, &mut found);
            assert_eq!(found.panes[&PANE].dead, filled);
        }
    }
}
