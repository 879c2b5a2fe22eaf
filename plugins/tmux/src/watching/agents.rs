//! What the agents in the panes do.

use super::Watching;
use crate::{
    agents,
    events::{place::Place, told::Told},
    server::foreground,
    tree::{diff::Change, id::PaneId},
    watch,
};
use headwater_plugin::prelude::*;
use std::time::Instant;

impl Watching<'_> {
    /// Looks who is in a pane, and what its command is called.
    pub(super) async fn look_into(&mut self, ctx: &mut Context, pane: PaneId) -> Result<()> {
        let now = Instant::now();
        let Some(known) = self.tree.panes.get(&pane) else { return Ok(()) };
        let pid = known.pid.filter(|_| known.dead.is_none());
        let change = self.agents.look(pane, pid, now);
        if let Some(command) = pid.and_then(foreground::command) {
            self.panes.commanded(pane, now);
            self.became(ctx, Change::PaneCommand(pane, command), Evidence::Polled).await?;
        }
        self.agent_did(ctx, pane, change).await?;
        self.refresh(ctx, pane).await
    }

    /// Tells what follows from what was heard, and looks at the screen where that may say more.
    pub(super) async fn agent_did(
        &mut self,
        ctx: &mut Context,
        pane: PaneId,
        change: Option<watch::Change>,
    ) -> Result<()> {
        let tail = |lines| self.panes.tail(pane, lines);
        let finer = self.agents.tail(pane, Instant::now(), tail);
        for change in change.into_iter().chain(finer) {
            self.tell_status(ctx, pane, &change).await?;
        }
        Ok(())
    }

    /// Does what is due.
    pub(super) async fn mind_agents(&mut self, ctx: &mut Context) -> Result<()> {
        let (looks, changes) = self.agents.take_due(Instant::now());
        for (pane, change) in changes {
            self.agent_did(ctx, pane, Some(change)).await?;
        }
        for pane in looks {
            self.look_into(ctx, pane).await?;
        }
        Ok(())
    }

    /// Tells titles that are new, and looks into panes whose process or command is.
    pub(super) async fn meet_agents(&mut self, ctx: &mut Context, changes: &[Change]) -> Result<()> {
        self.agents.follow(&self.tree);
        for change in changes {
            let (Change::PaneCreated(pane, _)
            | Change::PaneTitle(pane, _)
            | Change::PaneCommand(pane, _)
            | Change::PaneRespawned(pane, _)
            | Change::PaneDead(pane, _)) = change
            else {
                continue;
            };
            let Some(title) = self.tree.panes.get(pane).map(|pane| pane.title.clone()) else { continue };
            let now = Instant::now();
            let did = match change {
                Change::PaneCreated(..) => self.agents.standing_title(*pane, &title, now),
                Change::PaneTitle(..) => self.agents.title(*pane, &title, now),
                _ => None,
            };
            self.agent_did(ctx, *pane, did).await?;
            // A new title is mostly that of a program that has just begun or ended.
            self.look_into(ctx, *pane).await?;
        }
        Ok(())
    }

    async fn tell_status(&mut self, ctx: &mut Context, pane: PaneId, change: &watch::Change) -> Result<()> {
        let Some(known) = self.tree.panes.get(&pane) else { return Ok(()) };
        let window = self.tree.windows.get(&known.window).map_or("", |window| window.name.as_str());
        let data = self.agents.data(pane);
        let present = data.get("agent").and_then(Value::as_str);
        let kind = watch::agent_type(present, window, &known.command);
        let place = Place::pane(&self.server, &self.tree, pane);
        let mut told = Told::new("agent.status", place, agents::status(change, &kind, &data));
        told.attribute = Some(("status", change.status.as_str().to_owned()));
        told.emit(ctx, Evidence::Inferred, None).await?;
        self.refresh(ctx, pane).await
    }

    /// Tells how a pane stands, if what is known of its agent is another than before.
    async fn refresh(&mut self, ctx: &mut Context, pane: PaneId) -> Result<()> {
        let data = self.agents.data(pane);
        if self.extras.get(&pane).map_or(data.is_empty(), |known| *known == data) {
            return Ok(());
        }
        self.snapshots.tell_pane(ctx, &self.server, &self.tree, (pane, &data), Evidence::Inferred).await?;
        self.extras.insert(pane, data);
        Ok(())
    }
}
