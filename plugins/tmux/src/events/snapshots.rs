//! How everything stands: an event for each session, window and pane, kept under a key that carries the server, so that a
//! late subscriber knows the tree.

use super::{
    place::Place,
    told::{TMUX, Told},
};
use crate::{
    server::identity::Server,
    tree::{
        Tree,
        id::{PaneId, SessionId, WindowId},
    },
};
use headwater_plugin::{
    prelude::*,
    serde_json::{Map, json},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is told of panes beside the tree, such as the agents in them.
pub(crate) type Extras = BTreeMap<PaneId, Map<String, Value>>;

/// What was last told of everything.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    told: BTreeMap<String, Told>,
}

impl Snapshots {
    /// Tells all that is another than what was last told, and takes away what is gone.
    pub(crate) async fn tell(
        &mut self,
        ctx: &mut Context,
        server: &Server,
        tree: &Tree,
        extras: &Extras,
        evidence: Evidence,
    ) -> Result<()> {
        let now = states(server, tree, extras);
        for (key, state) in &now {
            if self.told.get(key) != Some(state) {
                state.emit(ctx, evidence, Some(key)).await?;
            }
        }
        for (key, gone) in self.told.iter().filter(|(key, _)| !now.contains_key(*key)) {
            ctx.forget(TMUX, gone.kind, key).await?;
        }
        self.told = now;
        Ok(())
    }

    /// Tells how one pane stands.
    pub(crate) async fn tell_pane(
        &mut self,
        ctx: &mut Context,
        server: &Server,
        tree: &Tree,
        (pane, extra): (PaneId, &Map<String, Value>),
        evidence: Evidence,
    ) -> Result<()> {
        let Some(state) = pane_state(server, tree, pane, Some(extra)) else { return Ok(()) };
        let key = key(server, "pane", pane);
        if self.told.get(&key) != Some(&state) {
            state.emit(ctx, evidence, Some(&key)).await?;
            self.told.insert(key, state);
        }
        Ok(())
    }
}

/// The key of a snapshot, such as `pane:4711:%3`.
fn key(server: &Server, kind: &str, id: impl std::fmt::Display) -> String {
    format!("{kind}:{}:{id}", server.pid)
}

fn states(server: &Server, tree: &Tree, extras: &Extras) -> BTreeMap<String, Told> {
    let sessions = tree.sessions.keys().map(|id| (key(server, "session", id), session_state(server, tree, *id)));
    let linked: BTreeSet<WindowId> =
        tree.sessions.values().flat_map(|session| session.windows.values()).copied().collect();
    let windows = linked.into_iter().map(|id| (key(server, "window", id), window_state(server, tree, id)));
    let panes = tree.panes.keys().filter_map(|id| {
        let state = pane_state(server, tree, *id, extras.get(id))?;
        Some((key(server, "pane", id), state))
    });
    sessions.chain(windows).chain(panes).collect()
}

fn session_state(server: &Server, tree: &Tree, id: SessionId) -> Told {
    let mut more = json!({});
    if let Some(session) = tree.sessions.get(&id) {
        let windows: BTreeMap<String, String> =
            session.windows.iter().map(|(index, id)| (index.to_string(), id.to_string())).collect();
        more = json!({ "attached": session.attached > 0, "clients": session.attached, "windows": windows });
        if let Some(path) = &session.path {
            more["path"] = path.as_str().into();
        }
        if let Some(current) = session.current {
            more["current_window"] = current.into();
        }
    }
    Told::new("session.state", Place::session(server, tree, id), more)
}

fn window_state(server: &Server, tree: &Tree, id: WindowId) -> Told {
    let mut more = json!({ "panes": tree.panes_of(id).iter().map(ToString::to_string).collect::<Vec<_>>() });
    if let Some(window) = tree.windows.get(&id) {
        more["name"] = window.name.as_str().into();
        if let Some(active) = window.active {
            more["active_pane"] = active.to_string().into();
        }
    }
    Told::new("window.state", Place::window(server, tree, None, id), more)
}

fn pane_state(server: &Server, tree: &Tree, id: PaneId, extra: Option<&Map<String, Value>>) -> Option<Told> {
    let pane = tree.panes.get(&id)?;
    let mut more =
        json!({ "title": pane.title, "command": pane.command, "path": pane.path, "dead": pane.dead.is_some() });
    (more["rows"], more["columns"]) = (pane.size.0.into(), pane.size.1.into());
    if let Some(pid) = pane.pid {
        more["pid"] = pid.into();
    }
    let ending = pane.dead.unwrap_or_default();
    if let Some(status) = ending.status {
        more["exit_status"] = status.into();
    }
    if let Some(signal) = ending.signal {
        more["signal"] = signal.into();
    }
    let mut told = Told::new("pane.state", Place::pane(server, tree, id), more);
    told.more.extend(extra.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    Some(told)
}
