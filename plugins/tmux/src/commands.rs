//! What clients may ask.

use crate::{events::place::Place, server::ask::Program, tree::id::PaneId, watching::Watching};
use headwater_plugin::prelude::*;

/// Answers a command, at once or from a thread.
pub(crate) fn answer(watching: &mut Watching<'_>, command: Command) {
    match command.name.as_str() {
        "status" => command.complete(status(watching)),
        "list" => command.complete(list(watching)),
        _ => command.unknown(),
    }
}

/// Answers a command while there is no server.
pub(crate) fn answer_without_server(command: Command, program: &Program, reason: &str) {
    match command.name.as_str() {
        "status" => {
            command
                .complete(json!({ "mode": "waiting", "reason": reason, "socket": program.socket().to_string_lossy() }));
        }
        "list" => command.complete(json!({ "sessions": [] })),
        _ => command.fail(Failure::new("SYSTEM_UNAVAILABLE", reason)),
    }
}

/// How it is watched, and what.
fn status(watching: &Watching<'_>) -> Value {
    let tree = &watching.tree;
    let mut status = Value::Object(Place::server(&watching.server).data);
    status["mode"] = watching.mode().to_string().into();
    status["version"] = watching.server.version.as_str().into();
    status["sessions"] = tree.sessions.len().into();
    status["windows"] = tree.windows.len().into();
    status["panes"] = tree.panes.len().into();
    status
}

/// Sessions, their windows, their panes.
fn list(watching: &Watching<'_>) -> Value {
    let tree = &watching.tree;
    let pane = |id: &PaneId| {
        let mut data = json!({ "pane_id": id.to_string() });
        if let Some(pane) = tree.panes.get(id) {
            data["pane"] = pane.index.into();
            data["title"] = pane.title.as_str().into();
            data["command"] = pane.command.as_str().into();
            data["path"] = pane.path.as_str().into();
            data["dead"] = pane.dead.is_some().into();
            if let Some(pid) = pane.pid {
                data["pid"] = pid.into();
            }
        }
        data
    };
    let sessions: Vec<Value> = tree
        .sessions
        .iter()
        .map(|(id, session)| {
            let windows: Vec<Value> = session
                .windows
                .iter()
                .map(|(index, window)| {
                    let name = tree.windows.get(window).map(|window| window.name.as_str());
                    let panes: Vec<Value> = tree.panes_of(*window).iter().map(pane).collect();
                    let active = session.current == Some(*index);
                    json!({ "window": index, "window_id": window.to_string(), "name": name, "active": active, "panes": panes })
                })
                .collect();
            json!({
                "session": session.name, "session_id": id.to_string(), "attached": session.attached > 0,
                "windows": windows,
            })
        })
        .collect();
    let mut list = Value::Object(Place::server(&watching.server).data);
    list["sessions"] = sessions.into();
    list
}
