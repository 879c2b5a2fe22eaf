//! An event before it is emitted.

use super::place::Place;
use headwater_plugin::{Emitter, EventBuilder, prelude::*, serde_json::Map};

/// Lifecycle, agents and the source's own state.
pub(crate) const TMUX: &str = "tmux";

/// What panes print.
pub(crate) const OUTPUT: &str = "tmux_output";

/// What happened, where, and how bad it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) channel: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) place: Place,
    /// What this event has beside its place.
    pub(crate) more: Map<String, Value>,
    pub(crate) severity: Severity,
    /// A further attribute to filter by.
    pub(crate) attribute: Option<(&'static str, String)>,
}

impl Told {
    /// An event on [`TMUX`]; `more` is a JSON object.
    pub(crate) fn new(kind: &'static str, place: Place, more: Value) -> Self {
        let more = match more {
            Value::Object(more) => more,
            _ => Map::new(),
        };
        Self { channel: TMUX, kind, place, more, severity: Severity::Info, attribute: None }
    }

    /// The same on another channel.
    pub(crate) fn on(mut self, channel: &'static str) -> Self {
        self.channel = channel;
        self
    }

    /// How bad it is.
    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Emits it, and waits while the bus has no room. With a key, it stays as the snapshot of that key.
    pub(crate) async fn emit(&self, ctx: &mut Context, evidence: Evidence, key: Option<&str>) -> Result<()> {
        let ids = self.ids();
        let mut event = self.begin(ctx.event(self.channel, self.kind), evidence, &ids);
        if let Some(key) = key {
            event = event.key(key);
        }
        event.emit(&self.data()).await?;
        Ok(())
    }

    /// The same from a task of the source.
    pub(crate) async fn emit_by(&self, emitter: &mut Emitter, evidence: Evidence) -> Result<()> {
        let ids = self.ids();
        self.begin(emitter.event(self.channel, self.kind), evidence, &ids).emit(&self.data()).await?;
        Ok(())
    }

    /// Emits it if the bus has room now. What is lost is counted and announced by the SDK.
    pub(crate) fn try_emit(&self, ctx: &mut Context, evidence: Evidence) -> Result<bool> {
        let ids = self.ids();
        Ok(self.begin(ctx.event(self.channel, self.kind), evidence, &ids).try_emit(&self.data())?)
    }

    /// The data: the place and what is beside it.
    pub(crate) fn data(&self) -> Map<String, Value> {
        let mut data = self.place.data.clone();
        data.extend(self.more.iter().map(|(key, value)| (key.clone(), value.clone())));
        data
    }

    fn ids(&self) -> [Option<String>; 3] {
        let place = &self.place;
        let [session, window] = [place.session.map(|id| id.to_string()), place.window.map(|id| id.to_string())];
        [session, window, place.pane.map(|id| id.to_string())]
    }

    fn begin<'a>(
        &'a self,
        event: EventBuilder<'a>,
        evidence: Evidence,
        ids: &'a [Option<String>; 3],
    ) -> EventBuilder<'a> {
        let mut event = event.evidence(evidence).severity(self.severity);
        for (name, id) in ["session", "window", "pane"].into_iter().zip(ids) {
            if let Some(id) = id {
                event = event.attribute(name, id);
            }
        }
        if let Some((name, value)) = &self.attribute {
            event = event.attribute(name, value);
        }
        event
    }
}
