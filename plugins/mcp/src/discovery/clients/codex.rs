//! Codex's `config.toml`: `[mcp_servers.NAME]` with `command`, `args`, `env`, `env_vars`, `cwd`, or with `url`,
//! `http_headers`, `env_http_headers`, `bearer_token_env_var`.

use super::{
    entry::Members,
    reading::{Entry, Problem, Reading},
};
use crate::discovery::{launch::Launch, server::Origin};
use headwater_plugin::serde_json::{Map, Value};
use std::path::Path;

/// Reads it.
pub(super) fn read(origin: &Origin, text: &[u8]) -> Reading {
    let Ok(text) = std::str::from_utf8(text) else {
        return Reading::broken(Problem::new("", "it is no UTF-8"));
    };
    let file: Map<String, Value> = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            // Its own words may repeat the line.
            let (line, column) = place(text, error.span().map_or(0, |span| span.start));
            return Reading::broken(Problem::new(
                format!("line {line}, column {column}"),
                "it is no TOML from here on",
            ));
        }
    };
    let mut reading = Reading::default();
    let base = origin.project.as_deref();
    reading.table("mcp_servers", file.get("mcp_servers"), origin, |entry| server(Members(entry), base).map(Some));
    reading
}

fn server(entry: Members<'_>, base: Option<&Path>) -> Result<Entry, Problem> {
    let mut launch = if entry.has("command") {
        entry.program(base)?
    } else if entry.has("url") {
        entry.url("url", "http_headers", false)?
    } else {
        return Err(Problem::new("", "it has neither `command` nor `url`"));
    };
    match &mut launch {
        Launch::Stdio(program) => program.inherit = entry.strings("env_vars")?,
        Launch::Http(http) => {
            let named = entry.pairs("env_http_headers")?;
            http.headers_from_env =
                named.into_iter().map(|(name, variable)| (name, format!("${{{variable}}}"))).collect();
            if let Some(variable) = entry.string("bearer_token_env_var")? {
                http.headers_from_env.insert("Authorization".to_owned(), format!("Bearer ${{{variable}}}"));
            }
        }
    }
    Ok(Entry { launch, disabled: !entry.switch("enabled", true)?, description: None })
}

/// Line and column of a byte, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    (line, before.chars().rev().take_while(|&character| character != '\n').count() + 1)
}
