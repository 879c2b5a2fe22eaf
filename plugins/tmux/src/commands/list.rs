//! How the server is watched, and what is in it.

use crate::{events::place::Place, tree::id::PaneId, watching::Watching};
use headwater_plugin::prelude::*;

/// How it is watched, and how much is in it.
pub(super) fn status(watching: &Watching<'_>) -> Value {
    let tree = &watching.tree;
    let mut status = Value::Object(Place::server(&watching.server).data);
    status["mode"] = watching.mode().to_string().into();
    status["version"] = watching.server.version.as_str().into();
    status["sessions"] = tree.sessions.len().into();
    status["windows"] = tree.windows.len().into();
    status["panes"] = tree.panes.len().into();
    status["control_clients"] = watching.control_clients().into();
    status["dropped_bytes"] = watching.missed_bytes().into();
    status
}

/// Sessions, their windows, their panes.
pub(super) fn list(watching: &Watching<'_>) -> Value {
    let tree = &watching.tree;
    let pane = |id: &PaneId| {
        let mut data = watching.extra(*id);
        data.insert("pane_id".into(), id.to_string().into());
        if let Some(pane) = tree.panes.get(id) {
            data.insert("pane".into(), pane.index.into());
            data.insert("title".into(), pane.title.as_str().into());
            data.insert("command".into(), pane.command.as_str().into());
            data.insert("path".into(), pane.path.as_str().into());
            data.insert("dead".into(), pane.dead.is_some().into());
            if let Some(pid) = pane.pid {
                data.insert("pid".into(), pid.into());
            }
        }
        Value::Object(data)
    };
    let sessions = tree.sessions.iter().map(|(id, session)| {
        let windows = session.windows.iter().map(|(index, window)| {
            let name = tree.windows.get(window).map(|window| window.name.as_str());
            let panes: Vec<Value> = tree.panes_of(*window).iter().map(pane).collect();
            let active = session.current == Some(*index);
            json!({ "window": index, "window_id": window.to_string(), "name": name, "active": active, "panes": panes })
        });
        let windows: Vec<Value> = windows.collect();
        let attached = session.attached > 0;
        json!({ "session": session.name, "session_id": id.to_string(), "attached": attached, "windows": windows })
    });
    let mut list = Value::Object(Place::server(&watching.server).data);
    list["sessions"] = sessions.collect();
    list
}
