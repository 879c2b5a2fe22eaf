//! Gemini CLI's `settings.json`: `mcpServers` with `command`, or `httpUrl`, or `url` (which is SSE); `mcp.allowed` and
//! `mcp.excluded` say which of them are used.

use super::{
    entry::Members,
    reading::{Problem, Reading},
};
use crate::discovery::server::Origin;
use headwater_plugin::serde_json::Value;

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
        let launch = if entry.has("command") {
            entry.program(base)?
        } else if entry.has("httpUrl") {
            entry.url("httpUrl", "headers", false)?
        } else if entry.has("url") {
            // Newer versions have `type` beside it.
            let sse = entry.string("type")?.is_none_or(|name| name != "http");
            entry.url("url", "headers", sse)?
        } else {
            return Err(Problem::new("", "it has none of `command`, `httpUrl` and `url`"));
        };
        entry.entry(launch).map(Some)
    });
    let names = |list: &str| file.get("mcp").and_then(|mcp| mcp.get(list)).and_then(Value::as_array);
    let (allowed, excluded) = (names("allowed"), names("excluded"));
    let has = |list: &Vec<Value>, name: &str| list.iter().any(|other| other == name);
    reading
        .disable(|name| excluded.is_some_and(|list| has(list, name)) || allowed.is_some_and(|list| !has(list, name)));
    reading
}
