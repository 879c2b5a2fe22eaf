//! The control clients: which sessions have one, what they bring, and when they are kept back.

use super::Watching;
use crate::{
    config::Ceiling,
    events::{place::Place, told::Told},
    inbox::{ClientId, Output},
    tree::id::PaneId,
};
use headwater_plugin::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

/// What is to be done about a pane's output that was not seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missed {
    /// Bytes that came and were dropped.
    bytes: u64,
    /// For how long tmux kept output back.
    paused_ms: u64,
}

impl Watching<'_> {
    /// Whether control clients may be used at all.
    pub(super) fn may_control(&self) -> bool {
        self.config.mode == Ceiling::Control && !self.exits_unattached
    }

    /// Starts and ends clients, as the sessions of the tree want it.
    pub(super) fn follow_sessions(&mut self) {
        let mut wanted = BTreeSet::new();
        if self.may_control() {
            let taken = self.tree.sessions.iter().filter(|(_, s)| self.selection.takes(&s.name) && !s.fleeting);
            wanted.extend(taken.map(|(id, _)| *id));
        }
        let now = Instant::now();
        for session in &wanted {
            for pane in self.tree.panes_in(*session) {
                if self.panes.expect(pane, now) {
                    // By a client that is there already, such as when a pane is moved into its session.
                    self.clients.ask(&self.tree, pane);
                }
            }
        }
        while self.readers.try_join_next().is_some() {} // those of clients that have ended
        let followed = self.clients.follow(self.program, &self.tree, &wanted, &self.used, self.unrest, now);
        if let Some(reader) = followed.reader {
            let inbox = Arc::clone(&self.inbox);
            self.readers.spawn_blocking(move || reader.run(&inbox));
        }
        self.next_client = followed.again;
        self.wants_clients = !wanted.is_empty();
    }

    /// Takes what panes have printed.
    pub(super) async fn printed(&mut self, ctx: &mut Context, output: BTreeMap<PaneId, Output>) -> Result<()> {
        let now = Instant::now();
        for (pane, output) in output {
            if output.dropped > 0 {
                self.missed(ctx, pane, Missed { bytes: output.dropped, ..Missed::default() }).await?;
            }
            self.panes.feed(pane, &output.before, now);
            if let Some(screen) = &output.screen {
                self.panes.show(pane, screen, now);
            }
            self.panes.feed(pane, &output.bytes, now);
            if self.floods.count(pane, output.written(), now) {
                self.clients.pause(&self.tree, pane);
            } else if output.dropped > 0 {
                self.clients.ask(&self.tree, pane);
            }
        }
        Ok(())
    }

    /// tmux kept panes back. Where we did not ask for it, we were a second behind.
    pub(super) async fn kept_back(&mut self, ctx: &mut Context, paused: BTreeSet<(PaneId, ClientId)>) -> Result<()> {
        let panes: BTreeSet<PaneId> = paused.into_iter().map(|(pane, _)| pane).collect();
        let behind: Vec<PaneId> = panes.into_iter().filter(|pane| !self.floods.is_paused(*pane)).collect();
        for pane in &behind {
            self.clients.resume(&self.tree, *pane);
            self.missed(ctx, *pane, Missed::default()).await?;
        }
        Ok(())
    }

    /// Lets panes go on that have flooded.
    pub(super) async fn end_pauses(&mut self, ctx: &mut Context) -> Result<()> {
        let due = self.floods.take_due(Instant::now());
        for (pane, paused) in &due {
            self.clients.resume(&self.tree, *pane);
            let paused_ms = paused.as_millis() as u64;
            self.missed(ctx, *pane, Missed { paused_ms, ..Missed::default() }).await?;
        }
        Ok(())
    }

    /// Tells that output was not seen: how many bytes, where they were counted, or for how long.
    pub(super) async fn missed(&mut self, ctx: &mut Context, pane: PaneId, missed: Missed) -> Result<()> {
        self.missed_bytes += missed.bytes;
        let mut more = json!({});
        if missed.bytes > 0 {
            more["bytes"] = missed.bytes.into();
        }
        if missed.paused_ms > 0 {
            more["paused_ms"] = missed.paused_ms.into();
        }
        let told = Told::new("tmux.output_dropped", Place::pane(&self.server, &self.tree, pane), more);
        told.severity(Severity::Warning).emit(ctx, Evidence::Observed, None).await
    }
}

impl From<u64> for Missed {
    fn from(bytes: u64) -> Self {
        Self { bytes, paused_ms: 0 }
    }
}
