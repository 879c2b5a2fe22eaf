//! Where something happened: which server, session, window and pane, by name and by id.

use crate::{
    server::identity::Server,
    tree::{
        Tree,
        id::{PaneId, SessionId, WindowId},
    },
};
use headwater_plugin::serde_json::{Map, Value, json};

/// A place, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Place {
    /// The session.
    pub(crate) session: Option<SessionId>,
    /// The window.
    pub(crate) window: Option<WindowId>,
    /// The pane.
    pub(crate) pane: Option<PaneId>,
    /// All that is known of it, as data of an event.
    pub(crate) data: Map<String, Value>,
}

impl Place {
    /// The server itself.
    pub(crate) fn server(server: &Server) -> Self {
        let mut place = Self::default();
        let socket = server.socket.to_string_lossy();
        place.put("server", json!({ "pid": server.pid, "started": server.started, "socket": socket }));
        place
    }

    /// A session of this tree.
    pub(crate) fn session(server: &Server, tree: &Tree, id: SessionId) -> Self {
        let mut place = Self::server(server);
        place.session = Some(id);
        if let Some(session) = tree.sessions.get(&id) {
            place.put("session", session.name.as_str().into());
        }
        place.put("session_id", id.to_string().into());
        place
    }

    /// A window, as this session has it; without, as the first session that links it does.
    pub(crate) fn window(server: &Server, tree: &Tree, in_session: Option<SessionId>, id: WindowId) -> Self {
        let within = in_session.and_then(|session| Some((session, index_in(tree, session, id)?)));
        let mut place = match within.or_else(|| tree.home(id)) {
            Some((session, index)) => {
                let mut place = Self::session(server, tree, session);
                place.put("window", index.into());
                place
            }
            None => Self::server(server),
        };
        place.window = Some(id);
        place.put("window_id", id.to_string().into());
        place
    }

    /// A pane.
    pub(crate) fn pane(server: &Server, tree: &Tree, id: PaneId) -> Self {
        let mut place = match tree.panes.get(&id) {
            Some(pane) => {
                let mut place = Self::window(server, tree, None, pane.window);
                place.put("pane", pane.index.into());
                place
            }
            None => Self::server(server),
        };
        place.pane = Some(id);
        place.put("pane_id", id.to_string().into());
        place
    }

    fn put(&mut self, key: &str, value: Value) {
        self.data.insert(key.to_owned(), value);
    }
}

fn index_in(tree: &Tree, session: SessionId, window: WindowId) -> Option<u32> {
    let windows = &tree.sessions.get(&session)?.windows;
    windows.iter().find(|(_, id)| **id == window).map(|(index, _)| *index)
}
