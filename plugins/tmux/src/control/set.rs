//! The control clients of a server: one for each session that is selected.

use super::{
    backoff::{AT_ONCE, Backoff},
    client::{Client, Reader},
    unrest::{CALM, Unrest},
};
use crate::{
    inbox::{Awaited, ClientId, Inbox},
    server::{ask::Program, listing::Question},
    tree::{
        Tree,
        id::{PaneId, SessionId, WindowId},
    },
};
use headwater_plugin::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// A client that owes an answer for so long is wedged: it tells nothing else either. An answer takes less than a millisecond.
const SILENCE: Duration = Duration::from_secs(1);

/// More sessions than this get no client. Each is a process and a thread.
const MOST: usize = 128;

/// What following the sessions has led to.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// A client was started, and is to be read at once.
    pub(crate) reader: Option<Reader>,
    /// When to follow them again, at the latest: a session has no client yet.
    pub(crate) again: Option<Instant>,
}

/// The clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_session: BTreeMap<SessionId, Client>,
    next: u64,
    backoff: Backoff,
    /// Sessions whose client ended at once. It counts only if the session is still there.
    suspects: BTreeSet<SessionId>,
    /// Processes of clients that ended a moment ago.
    former: Vec<(u32, Instant)>,
}

impl Clients {
    /// Ends the clients of other sessions than these, and starts one for a session that has none, if it may be started now.
    /// `unrest` is when a session last came, went or changed, or a client of the user did. By attaching we use a session, and a
    /// plain `tmux attach` goes to that which was used last: so the one that was `used` longest ago comes first.
    pub(crate) fn follow(
        &mut self,
        program: &Program,
        tree: &Tree,
        wanted: &BTreeSet<SessionId>,
        used: &BTreeMap<SessionId, u32>,
        unrest: Unrest,
        now: Instant,
    ) -> Followed {
        for session in std::mem::take(&mut self.suspects) {
            if tree.sessions.contains_key(&session) {
                self.backoff.strike(now);
            }
        }
        let unwanted: Vec<SessionId> = self.by_session.keys().filter(|id| !wanted.contains(id)).copied().collect();
        for session in unwanted {
            self.remove(session, now);
        }
        let missing = wanted.iter().filter(|session| !self.by_session.contains_key(session));
        let missing = missing.min_by_key(|session| used.get(session));
        let Some(session) = missing.filter(|_| self.by_session.len() < MOST && self.resting(now).is_none()) else {
            return Followed::default();
        };
        let at = self.may_start(unrest);
        if at > now {
            return Followed { reader: None, again: Some(at) };
        }
        self.next += 1;
        let id = ClientId { session: *session, number: self.next };
        match Client::start(program, id, &tree.panes_in(*session)) {
            Ok((client, reader)) => {
                self.by_session.insert(*session, client);
                Followed { reader: Some(reader), again: Some(now + AT_ONCE) }
            }
            Err(error) => {
                warn!("cannot start a control client: {error}");
                self.backoff.strike(now);
                Followed::default()
            }
        }
    }

    /// When the next client may be started: when nothing is about to be told to all of them, and none is introducing itself.
    fn may_start(&self, unrest: Unrest) -> Instant {
        let calm = self.former.iter().map(|(_, since)| *since + CALM).fold(unrest.over(), Instant::max);
        let introduced = self.by_session.values().filter(|client| !client.is_attached());
        introduced.map(|client| client.started() + AT_ONCE).fold(calm, Instant::max)
    }

    /// A client ended.
    pub(crate) fn ended(&mut self, id: ClientId, now: Instant) {
        if self.by_session.get(&id.session).is_none_or(|client| client.id() != id) {
            return;
        }
        let client = self.remove(id.session, now);
        if client.is_some_and(|client| now.duration_since(client.started()) < AT_ONCE) {
            self.suspects.insert(id.session);
        } else {
            self.backoff.lived();
        }
    }

    /// A client is attached, and has said what was there. `false`: it is none of these any more.
    pub(crate) fn attached(&mut self, id: ClientId) -> bool {
        let client = self.by_session.get_mut(&id.session).filter(|client| client.id() == id);
        client.map(Client::attached).is_some()
    }

    /// Whether any is attached.
    pub(crate) fn any_attached(&self) -> bool {
        self.by_session.values().any(Client::is_attached)
    }

    /// Whether any tells what changes in the server: it is attached and not wedged.
    pub(crate) fn any_tells(&self, inbox: &Inbox, now: Instant) -> bool {
        let owing = inbox.owing();
        let tells = |client: &Client| owing.get(&client.id()).is_none_or(|since| *since + SILENCE > now);
        self.by_session.values().any(|client| client.is_attached() && tells(client))
    }

    /// When the next one counts as wedged, unless it answers before.
    pub(crate) fn silent_at(inbox: &Inbox, now: Instant) -> Option<Instant> {
        inbox.owing().into_values().map(|since| since + SILENCE).filter(|at| *at > now).min()
    }

    /// Until when no client is started.
    pub(crate) fn resting(&self, now: Instant) -> Option<Instant> {
        self.backoff.resting(now)
    }

    /// The processes of the clients, and of those that ended just now: the server may not have noticed yet.
    pub(crate) fn pids(&mut self, now: Instant) -> BTreeSet<u32> {
        self.former.retain(|(_, since)| now.duration_since(*since) < AT_ONCE);
        let former = self.former.iter().map(|(pid, _)| *pid);
        self.by_session.values().map(Client::pid).chain(former).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_session.len()
    }

    /// Whether a client brings what the panes of this window print.
    pub(crate) fn covers(&self, tree: &Tree, window: WindowId) -> bool {
        self.by_session.iter().any(|(session, client)| client.is_attached() && tree.links(*session, window))
    }

    fn remove(&mut self, session: SessionId, now: Instant) -> Option<Client> {
        let client = self.by_session.remove(&session)?;
        self.former.push((client.pid(), now));
        Some(client)
    }

    /// Asks every client that brings this pane's output to keep it back.
    pub(crate) fn pause(&mut self, tree: &Tree, pane: PaneId) {
        self.each_of(tree, pane, |client| client.pause(pane));
    }

    /// Asks the first that can be asked for everything. One that still owes an answer is behind or wedged and not asked again
    /// before it has given it, so it delays one look only.
    pub(crate) fn ask_all(&mut self, question: &Question, inbox: &Inbox) -> Option<Awaited> {
        let mut attached = self.by_session.values_mut().filter(|client| client.is_attached());
        attached.find_map(|client| inbox.expect(client.id()).filter(|_| client.ask_all(question)))
    }

    /// Asks what this pane shows.
    pub(crate) fn ask(&mut self, tree: &Tree, pane: PaneId) {
        self.each_of(tree, pane, |client| client.ask(pane));
    }

    /// Asks them to go on.
    pub(crate) fn resume(&mut self, tree: &Tree, pane: PaneId) {
        self.each_of(tree, pane, |client| client.resume(pane));
    }

    fn each_of(&mut self, tree: &Tree, pane: PaneId, say: impl Fn(&mut Client) -> bool) {
        let Some(window) = tree.panes.get(&pane).map(|pane| pane.window) else { return };
        // One that does not read what we say is of no use; a new one begins anew.
        let deaf: Vec<SessionId> = self
            .by_session
            .iter_mut()
            .filter(|(session, _)| tree.links(**session, window))
            .filter_map(|(session, client)| (!say(client)).then_some(*session))
            .collect();
        for session in deaf {
            self.remove(session, Instant::now());
        }
    }
}
