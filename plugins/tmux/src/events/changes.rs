//! From the steps between two trees to events.

use super::{place::Place, told::Told};
use crate::{
    server::identity::Server,
    tree::{Tree, diff::Change},
};
use headwater_plugin::serde_json::{Value, json};

/// The events of these steps, in their order. Not every step is one: that a window got another index, for example, shows in
/// the snapshots only.
pub(crate) fn events(server: &Server, old: &Tree, new: &Tree, changes: &[Change]) -> Vec<Told> {
    changes.iter().flat_map(|change| event(server, old, new, change)).collect()
}

fn event(server: &Server, old: &Tree, new: &Tree, change: &Change) -> Vec<Told> {
    let one = |kind, place, more| vec![Told::new(kind, place, more)];
    match change {
        Change::SessionCreated(id, session) => {
            let place = Place::session(server, new, *id);
            let windows = new.sessions.get(id).map(|session| session.windows.len());
            let mut more = json!({ "session_info": { "attached": session.attached > 0 }, "windows": windows });
            put(&mut more, "path", session.path.as_deref());
            let created = Told::new("session.created", place.clone(), more);
            let clients = (session.attached > 0).then(|| attached(place, 0, session.attached));
            std::iter::once(created).chain(clients).collect()
        }
        Change::SessionRemoved(id) => one("session.removed", Place::session(server, old, *id), json!({})),
        Change::SessionRenamed(id, name) => {
            let before = old.sessions.get(id).map(|session| session.name.as_str());
            one("session.renamed", Place::session(server, new, *id), json!({ "old_name": before, "new_name": name }))
        }
        Change::SessionClients(id, clients) => {
            let before = old.sessions.get(id).map_or(0, |session| session.attached);
            vec![attached(Place::session(server, new, *id), before, *clients)]
        }
        Change::WindowLinked { session, window, moved: false, .. } => {
            let name = new.windows.get(window).map(|window| window.name.as_str());
            let more = json!({ "name": name, "window_info": { "name": name } });
            one("window.created", Place::window(server, new, Some(*session), *window), more)
        }
        Change::WindowUnlinked { session, window, moved: false, .. } => {
            one("window.removed", Place::window(server, old, Some(*session), *window), json!({}))
        }
        Change::WindowRenamed(id, name) => {
            let before = old.windows.get(id).map(|window| window.name.as_str());
            one(
                "window.renamed",
                Place::window(server, new, None, *id),
                json!({ "old_name": before, "new_name": name }),
            )
        }
        Change::WindowActivated(id, index) => {
            let window_at = |tree: &Tree, index: Option<u32>| tree.sessions.get(id)?.windows.get(&index?).copied();
            let before = old.sessions.get(id).map(|session| window_at(old, session.current));
            match (before, window_at(new, *index)) {
                (Some(before), Some(window)) if before != Some(window) => {
                    one("window.activated", Place::window(server, new, Some(*id), window), json!({}))
                }
                _ => Vec::new(), // a new session's first window, or the same one at another index
            }
        }
        Change::PaneCreated(id, pane) => {
            let mut more = json!({ "title": pane.title, "command": pane.command, "path": pane.path });
            put(&mut more, "pid", pane.pid);
            one("pane.created", Place::pane(server, new, *id), more)
        }
        Change::PaneRemoved(id) => one("pane.removed", Place::pane(server, old, *id), json!({})),
        Change::PaneTitle(id, title) => {
            let before = old.panes.get(id).map(|pane| pane.title.as_str());
            one("pane.title", Place::pane(server, new, *id), json!({ "title": title, "previous": before }))
        }
        Change::PaneCommand(id, command) => {
            let before = old.panes.get(id).map(|pane| pane.command.as_str());
            one("pane.command", Place::pane(server, new, *id), json!({ "command": command, "previous": before }))
        }
        _ => Vec::new(),
    }
}

fn attached(place: Place, before: u32, clients: u32) -> Told {
    let kind = if clients > before { "session.attached" } else { "session.detached" };
    Told::new(kind, place, json!({ "clients": clients }))
}

/// Puts a field in, if it is known.
fn put(more: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        more[key] = value.into();
    }
}

#[cfg(test)]
mod tests;
