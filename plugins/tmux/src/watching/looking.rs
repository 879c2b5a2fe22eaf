//! Looking at the whole server, and telling what differs from the last look.

use super::{
    Done, End, Watching,
    schedule::{Cause, Look},
};
use crate::{
    events::{self, place::Place},
    inbox::Awaited,
    ladder::Mode,
    server::{
        ask::{AskError, Program},
        listing::{self, Listing, Question},
    },
    tree::{
        Tree,
        diff::{Change, diff},
    },
};
use headwater_plugin::prelude::*;
use std::{
    collections::BTreeSet,
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::timeout};

/// A control client that takes longer is behind with output, or wedged. An answer takes less than a millisecond.
const PATIENCE_FOR_CLIENT: Duration = Duration::from_millis(50);

/// A look at everything.
#[derive(Debug)]
pub(crate) struct Looked {
    look: Look,
    /// What is known of later than this is newer than the look.
    began: Instant,
    /// The processes of our clients when it began.
    ours: BTreeSet<u32>,
    found: Result<Listing, AskError>,
}

impl Watching<'_> {
    /// Begins to look, if it is time.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        let Some(look) = self.schedule.begin(now) else { return };
        let program = self.program.patient();
        let ours = self.clients.pids(now);
        let question = Question::new(look.hooks && self.hooks.is_some());
        let awaited = self.clients.ask_all(&question, &self.inbox);
        self.work.spawn(async move {
            let found = find(program, question, awaited).await;
            Done::Looked(Looked { look, began: now, ours, found })
        });
    }

    /// Takes what a look has found.
    pub(super) async fn looked(&mut self, ctx: &mut Context, looked: Looked) -> Result<Option<End>> {
        let cause = looked.look.cause;
        let listing = match looked.found {
            Ok(listing) if listing.server != Some(self.server.pid) => return Ok(Some(End::Gone)),
            Ok(mut listing) => {
                // A client that was started meanwhile may have been seen, and is no user.
                let mut ours = self.clients.pids(Instant::now());
                ours.extend(looked.ours);
                listing.count_clients(&ours);
                self.clean_titles(&mut listing.tree);
                self.keep_newer(&mut listing.tree, looked.began);
                self.lives.fill_in(&self.tree, &mut listing.tree);
                listing
            }
            Err(AskError::NoServer) => return Ok(Some(End::Gone)),
            Err(error) => {
                warn!("tmux could not be looked at: {error}");
                self.schedule.failed(looked.look, Instant::now());
                return Ok(None);
            }
        };
        self.schedule.done();
        if let (Some(hooks), Some(found)) = (&self.hooks, &listing.hooks)
            && !hooks.complete(found)
        {
            let (hooks, program, found) = (Arc::clone(hooks), self.program.patient(), found.clone());
            self.work.spawn_blocking(move || Done::Repaired(hooks.repair(&program, &found)));
        }
        self.exits_unattached = listing.exits_unattached;
        self.used = listing.used;
        let evidence = cause.evidence(self.mode() == Mode::Poll);
        if cause == Cause::First && !self.newborn {
            // What was there before us was not created now: it is only known from now on.
            let changes = diff(&self.tree, &listing.tree);
            self.lives.follow(&self.server, &self.tree, &listing.tree, &changes, Instant::now());
            self.lives.pass_over_dead(&listing.tree);
            self.tree = listing.tree;
            self.panes.follow(&self.tree, Instant::now());
            self.snapshots.tell(ctx, &self.server, &self.tree, &self.extras, evidence).await?;
            self.meet_agents(ctx, &changes).await?;
        } else {
            let evidence = if cause == Cause::First { Evidence::Inferred } else { evidence };
            self.become_tree(ctx, listing.tree, evidence).await?;
        }
        self.follow_sessions();
        self.step(ctx).await?;
        Ok(None)
    }

    /// tmux keeps titles as they were set. They are told as those are that come with the output: one that were told in both
    /// ways would change with every look, and show its secrets.
    fn clean_titles(&self, found: &mut Tree) {
        let redaction = self.redaction();
        for (id, pane) in &mut found.panes {
            if self.tree.panes.get(id).is_none_or(|known| known.title != pane.title) {
                pane.title = redaction.title(&pane.title);
            }
        }
    }

    /// Titles and commands that were seen after the look began are newer than what it found.
    fn keep_newer(&self, found: &mut Tree, began: Instant) {
        for (id, pane) in &mut found.panes {
            let Some(known) = self.tree.panes.get(id) else { continue };
            if self.panes.titled_since(*id, began) {
                pane.title.clone_from(&known.title);
            }
            if self.panes.commanded_since(*id, began) {
                pane.command.clone_from(&known.command);
            }
        }
    }

    /// Tells what differs, and takes the tree over.
    pub(super) async fn become_tree(&mut self, ctx: &mut Context, new: Tree, evidence: Evidence) -> Result<()> {
        let changes = diff(&self.tree, &new);
        if changes.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        if changes.iter().any(is_unrest) {
            self.unrest.happened(now);
        }
        for change in &changes {
            match change {
                Change::PaneCreated(id, _) => self.panes.created(*id, now),
                Change::PaneRemoved(id) => {
                    let place = Place::pane(&self.server, &self.tree, *id);
                    let left = self.panes.finish(*id, now);
                    self.tell_seen(ctx, *id, &place, left).await?;
                    self.extras.remove(id);
                }
                _ => {}
            }
        }
        let ends = self.lives.follow(&self.server, &self.tree, &new, &changes, now);
        let events = events::changes::events(&self.server, &self.tree, &new, &changes);
        for told in ends.before.iter().chain(&events).chain(&ends.after) {
            // Nobody tells which command runs: it is found whenever something else is looked at.
            let evidence = if told.kind == "pane.command" { Evidence::Polled } else { evidence };
            told.emit(ctx, evidence, None).await?;
        }
        for change in &changes {
            self.tree.apply(change);
        }
        self.panes.follow(&self.tree, now);
        self.floods.retain(|pane| self.tree.panes.contains_key(&pane));
        self.inbox.forget(changes.iter().filter_map(|change| match change {
            Change::PaneRemoved(id) => Some(*id),
            _ => None,
        }));
        self.follow_moved_panes();
        self.snapshots.tell(ctx, &self.server, &self.tree, &self.extras, evidence).await?;
        self.meet_agents(ctx, &changes).await
    }

    /// A pane that was moved to another session is read by the client of that one from now on. What it printed meanwhile is on
    /// its screen.
    fn follow_moved_panes(&mut self) {
        let tree = &self.tree;
        // One that is not known yet may be anywhere.
        let links = |session, pane| tree.panes.get(&pane).is_none_or(|pane| tree.links(session, pane.window));
        for pane in self.inbox.disown(|client, pane| links(client.session, pane)) {
            self.clients.ask(&self.tree, pane);
        }
    }
}

/// Whether tmux tells all control clients of this.
fn is_unrest(change: &Change) -> bool {
    matches!(
        change,
        Change::SessionCreated(..)
            | Change::SessionRemoved(_)
            | Change::SessionRenamed(..)
            | Change::SessionClients(..)
    )
}

/// What there is: as a control client says that was asked, which is at once. Where none was, or where it does not answer in time,
/// `tmux` is run.
async fn find(program: Program, question: Question, awaited: Option<Awaited>) -> Result<Listing, AskError> {
    if let Some(awaited) = awaited
        && let Ok(Ok(Some(answer))) = timeout(PATIENCE_FOR_CLIENT, awaited).await
        && let Ok(listing) = listing::read(&answer)
    {
        return Ok(listing);
    }
    let found = spawn_blocking(move || listing::ask(&program, &question)).await;
    found.unwrap_or_else(|error| Err(AskError::Io(io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inbox::{ClientId, Inbox},
        tree::id::Id,
    };

    /// The longest that a test waits.
    const LONG: Duration = Duration::from_secs(30);

    /// What is found where `tmux` cannot be run.
    async fn found(awaited: Option<Awaited>) -> Result<Listing, AskError> {
        let program = Program::new("/nowhere/tmux".into(), "/nowhere/socket".into());
        timeout(LONG, find(program, Question::new(false), awaited)).await.expect("it waits for ever")
    }

    #[tokio::test]
    async fn a_client_that_does_not_answer_or_not_in_sense_is_done_without() {
        let inbox = Inbox::default();
        let [first, wedged, ended, other] = [1, 2, 3, 4].map(|number| ClientId { session: Id(1), number });
        let awaited = inbox.expect(first);
        inbox.listing(first, Some(b"%begin 1 2 1\nS 4711\n%end 1 2 1\n".to_vec()));
        assert_eq!(found(awaited).await.unwrap().server, Some(4711), "nothing is run");
        assert!(matches!(found(inbox.expect(wedged)).await, Err(AskError::NotInstalled)));
        let awaited = inbox.expect(ended);
        inbox.ended(ended);
        assert!(matches!(found(awaited).await, Err(AskError::NotInstalled)));
        for wrong in [None, Some(b"S prod\n".to_vec())] {
            let awaited = inbox.expect(other);
            inbox.listing(other, wrong);
            assert!(matches!(found(awaited).await, Err(AskError::NotInstalled)));
        }
        assert!(matches!(found(None).await, Err(AskError::NotInstalled)));
    }
}
