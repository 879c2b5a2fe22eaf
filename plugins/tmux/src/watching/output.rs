//! What was read of the panes' text, as events.

use super::Watching;
use crate::{
    events::{
        changes,
        place::Place,
        told::{OUTPUT, Told},
    },
    text::{Output, Seen},
    tree::{
        diff::Change,
        id::{PaneId, WindowId},
    },
};
use headwater_plugin::{prelude::*, serde_json::Map};
use std::time::Instant;

impl Watching<'_> {
    /// Tells what is due.
    pub(super) async fn tell_output(&mut self, ctx: &mut Context) -> Result<()> {
        for (pane, seen) in self.panes.take(&self.tree, Instant::now()) {
            let place = Place::pane(&self.server, &self.tree, pane);
            self.tell_seen(ctx, pane, &place, seen).await?;
        }
        Ok(())
    }

    /// Tells what was seen in one pane.
    pub(super) async fn tell_seen(
        &mut self,
        ctx: &mut Context,
        pane: PaneId,
        place: &Place,
        seen: Vec<Seen>,
    ) -> Result<()> {
        for seen in seen {
            match seen {
                Seen::Output(output) => {
                    print(ctx, place, &output)?;
                    let change = self.agents.printed(pane, Instant::now());
                    self.agent_did(ctx, pane, change).await?;
                }
                Seen::Dropped { bytes } => self.missed(ctx, pane, bytes.into()).await?,
                Seen::Title(title) => {
                    let change = self.agents.title(pane, &title, Instant::now());
                    self.became(ctx, Change::PaneTitle(pane, title), Evidence::Observed).await?;
                    self.agent_did(ctx, pane, change).await?;
                }
                Seen::Bell => {
                    Told::new("pane.bell", place.clone(), json!({})).emit(ctx, Evidence::Observed, None).await?;
                }
                Seen::Osc { code, text } => {
                    let change = self.agents.command(pane, code, &text, Instant::now());
                    self.agent_did(ctx, pane, change).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells that a pane has another title or command, and takes it over.
    pub(super) async fn became(&mut self, ctx: &mut Context, change: Change, evidence: Evidence) -> Result<()> {
        let (Change::PaneTitle(id, _) | Change::PaneCommand(id, _)) = &change else { return Ok(()) };
        let Some(known) = self.tree.panes.get(id) else { return Ok(()) };
        let same = match &change {
            Change::PaneTitle(_, title) => known.title == *title,
            Change::PaneCommand(_, command) => known.command == *command,
            _ => true,
        };
        if same {
            return Ok(());
        }
        for told in changes::events(&self.server, &self.tree, &self.tree, std::slice::from_ref(&change)) {
            told.emit(ctx, evidence, None).await?;
        }
        self.tree.apply(&change);
        let nothing = Map::new();
        let extra = (*id, self.extras.get(id).unwrap_or(&nothing));
        self.snapshots.tell_pane(ctx, &self.server, &self.tree, extra, evidence).await
    }

    /// Whether a client brings the bells of this window: then the hook's are the same once more.
    pub(super) fn hears(&self, window: WindowId) -> bool {
        self.clients.covers(&self.tree, window)
    }
}

/// Output is dropped first: while the bus has no room, it is lost and counted, and everything else waits.
fn print(ctx: &mut Context, place: &Place, output: &Output) -> Result<()> {
    let severity = output.activity.severity();
    let word = match severity {
        Severity::Error | Severity::Critical => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Debug => "info",
    };
    let more = json!({
        "content": output.content, "severity": word, "preview": output.preview, "activity": output.activity.name(),
    });
    let mut told = Told::new("pane.output", place.clone(), more).on(OUTPUT);
    if output.replaces {
        told.more.insert("replaces".into(), true.into());
    }
    told.try_emit(ctx, Evidence::Observed)?;
    if let Some(kind) = output.activity.event() {
        told.kind = kind;
        told.severity(severity).try_emit(ctx, Evidence::Observed)?;
    }
    Ok(())
}
