//! Which pane a client means.

use super::Refusal;
use crate::{tree::id::PaneId, watching::Watching};

/// Reads `%3`, or `4711:%3` and `pane:4711:%3` as the keys of snapshots have it: the pane of that server and no other. Ids
/// begin anew with each server, so a client that remembers one better says which server it means.
pub(super) fn pane(watching: &Watching<'_>, text: &str) -> Result<PaneId, Refusal> {
    let text = text.strip_prefix("pane:").unwrap_or(text);
    let (server, id) = match text.split_once(':') {
        Some((server, id)) => (Some(server), id),
        None => (None, text),
    };
    let Some(id) = PaneId::parse(id) else {
        return Err(Refusal::new("VALIDATION_ERROR", "a pane is named by its id, as `%3` or `4711:%3`"));
    };
    if server.is_some_and(|server| server != watching.server.pid.to_string()) {
        return Err(Refusal::new("RESOURCE_NOT_FOUND", "that tmux server is gone"));
    }
    if !watching.tree.panes.contains_key(&id) {
        return Err(Refusal::new("RESOURCE_NOT_FOUND", format!("there is no pane {id}")));
    }
    Ok(id)
}
