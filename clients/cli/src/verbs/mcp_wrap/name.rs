//! What a server is called when nobody says: after its program, or after what a runner of programs is to run.

use std::{ffi::OsString, path::Path};

/// Programs that run others, and the words among their arguments that come before what is run.
const RUNNERS: [(&str, &[&str]); 14] = [
    ("npx", &[]),
    ("npm", &["exec", "x"]),
    ("bunx", &[]),
    ("bun", &["x", "run"]),
    ("pnpm", &["dlx", "exec"]),
    ("yarn", &["dlx", "exec"]),
    ("uvx", &[]),
    ("uv", &["run", "tool"]),
    ("pipx", &["run"]),
    ("deno", &["run"]),
    ("node", &[]),
    ("python", &[]),
    ("python3", &[]),
    ("env", &[]),
];

/// `server-memory` for `npx -y @modelcontextprotocol/server-memory@1.2.3 /data`.
pub(super) fn of(words: &[OsString]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let program = words.first().map_or("", String::as_str);
    let runner = RUNNERS.iter().find(|(name, _)| *name == base(program));
    let run = runner.and_then(|(_, before)| {
        let is_run = |word: &&String| !word.starts_with('-') && !is_variable(word) && !before.contains(&word.as_str());
        words[1..].iter().find(is_run)
    });
    let name = short(run.map_or(program, String::as_str));
    if name.is_empty() { "mcp".to_owned() } else { name }
}

/// `KEY=value`, as `env` takes them.
fn is_variable(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()))
}

fn base(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// Without directories and scope, version and ending.
fn short(word: &str) -> String {
    let name = base(word);
    let name = name.find(['@', '=', '[']).filter(|&at| at > 0).map_or(name, |at| &name[..at]);
    let ending = [".js", ".mjs", ".cjs", ".ts", ".py"].iter().find_map(|ending| name.strip_suffix(ending));
    ending.unwrap_or(name).trim_start_matches('@').chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_what_runs() {
        for (line, name) in [
            ("npx -y @modelcontextprotocol/server-memory@2025.8.4 /data", "server-memory"),
            ("npx @playwright/mcp@latest", "mcp"),
            ("uvx mcp-server-time --local-timezone=UTC", "mcp-server-time"),
            ("uvx mcp-server-git==1.0", "mcp-server-git"),
            ("uv run server.py", "server"),
            ("python3 -m mcp_server_fetch", "mcp_server_fetch"),
            ("node --enable-source-maps dist/index.mjs stdio", "index"),
            ("env KEY=1 server", "server"),
            ("/opt/x/bin/git-mcp --flag", "git-mcp"),
            ("node", "node"),
            ("/", "/"),
            ("", "mcp"),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(of(&words), name, "{line}");
        }
    }
}
