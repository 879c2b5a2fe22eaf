//! `{"mcpServers": {NAME: {"command", "args", "env"} or {"type", "url", "headers"}}}`: a project's `.mcp.json`, Claude
//! Desktop's `claude_desktop_config.json`, Cursor's `mcp.json`.

use super::{entry::Members, reading::Reading};
use crate::discovery::server::{Client, Origin};

/// Reads it.
pub(super) fn read(origin: &Origin, text: &[u8]) -> Reading {
    let file = match Reading::json(text) {
        Ok(file) => file,
        Err(broken) => return broken,
    };
    let mut reading = Reading::default();
    let base = origin.project.as_deref();
    reading.table("mcpServers", file.get("mcpServers"), origin, |entry| {
        let entry = Members(entry);
        entry.entry(entry.usual(base)?).map(Some)
    });
    // Claude Desktop keeps other settings in its file; the others have no reason to be without servers.
    if !file.is_empty() && !file.contains_key("mcpServers") && origin.client != Client::ClaudeDesktop {
        reading.problem(super::Problem::new("", "it has no `mcpServers`"));
    }
    reading
}
