//! opencode's `opencode.json` or `opencode.jsonc`: `mcp` with `{"type": "local", "command": [PROGRAM, ARGS…],
//! "environment"}` or `{"type": "remote", "url", "headers"}`.

use super::{
    entry::Members,
    reading::{Entry, Problem, Reading},
};
use crate::discovery::{
    launch::{Launch, Stdio},
    server::Origin,
};
use std::path::Path;

/// Reads it.
pub(super) fn read(origin: &Origin, text: &[u8]) -> Reading {
    let file = match Reading::json(text) {
        Ok(file) => file,
        Err(broken) => return broken,
    };
    let mut reading = Reading::default();
    let base = origin.project.as_deref();
    reading.table("mcp", file.get("mcp"), origin, |entry| server(Members(entry), base));
    reading
}

fn server(entry: Members<'_>, base: Option<&Path>) -> Result<Option<Entry>, Problem> {
    let disabled = !entry.switch("enabled", true)?;
    let launch = match entry.string("type")? {
        Some("local") => local(entry, base)?,
        Some("remote") => entry.url("url", "headers", false)?,
        Some(_) => return Err(Problem::new("type", "no transport of that name is known; there are local and remote")),
        // A project may switch a server of the user on or off and say no more.
        None if entry.has("enabled") && !entry.has("command") && !entry.has("url") => return Ok(None),
        None => return Err(Problem::new("type", "it is missing; there are local and remote")),
    };
    Ok(Some(Entry { launch, disabled, description: None }))
}

fn local(entry: Members<'_>, base: Option<&Path>) -> Result<Launch, Problem> {
    let mut words = entry.strings("command")?.into_iter();
    let Some(command) = words.next().filter(|command| !command.trim().is_empty()) else {
        return Err(Problem::new("command", "it names no program"));
    };
    let (env, cwd) = (entry.pairs("environment")?, entry.cwd(base)?);
    Ok(Launch::Stdio(Stdio { command, args: words.collect(), env, cwd, ..Stdio::default() }))
}
