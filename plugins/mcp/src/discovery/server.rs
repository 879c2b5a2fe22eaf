//! A server that a config file names.

use super::{
    digest::{Digest, Parts},
    launch::Launch,
};
use headwater_plugin::serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A server that a config file names. Nothing is known of it but what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// `NAME@xxxxxxxx`: stays the same while the server's name and the place of its file do.
    pub id: String,
    /// Its name in the file.
    pub name: String,
    /// Where it stands.
    pub origin: Origin,
    /// How it is started or reached.
    pub launch: Launch,
    /// Over all of `launch`: what [`super::Pins`] compares.
    pub hash: Digest,
    /// Whether the client is told not to use it.
    pub disabled: bool,
    /// What the file says it is for; few formats have that.
    pub description: Option<String>,
}

/// Where a server stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Whose file it is.
    pub client: Client,
    /// The file.
    pub file: PathBuf,
    /// The project that the entry counts for, where the file or the entry belongs to one.
    pub project: Option<PathBuf>,
}

/// The programs whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(crate = "headwater_plugin::serde", rename_all = "snake_case")]
pub enum Client {
    /// `.mcp.json`, which several clients read.
    McpJson,
    /// `~/.claude.json`.
    ClaudeCode,
    /// `claude_desktop_config.json`.
    ClaudeDesktop,
    /// `.cursor/mcp.json`.
    Cursor,
    /// `.vscode/mcp.json` and the user's own.
    Vscode,
    /// `config.toml`.
    Codex,
    /// `.gemini/settings.json`.
    Gemini,
    /// `opencode.json`, `opencode.jsonc`.
    Opencode,
}

impl Client {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::McpJson => "mcp_json",
            Self::ClaudeCode => "claude_code",
            Self::ClaudeDesktop => "claude_desktop",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Discovered {
    /// Gives a server its id and hash.
    pub fn new(name: impl Into<String>, origin: Origin, launch: Launch) -> Self {
        let name = name.into();
        let id = id(&name, &origin);
        let hash = launch.digest();
        Self { id, name, origin, launch, hash, disabled: false, description: None }
    }
}

/// The longest id: the bus takes no key of more bytes, and an id is one.
pub const LONGEST_ID: usize = 128;

/// What goes after the name.
const TAIL: usize = 9;

/// A file of Claude Code may name a server once for each project: there the project counts too.
fn id(name: &str, origin: &Origin) -> String {
    let bytes = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
    let mut parts = Parts::default();
    parts.add(&bytes(&origin.file)).add(name.as_bytes());
    if let Some(project) = origin.project.as_ref().filter(|_| origin.client == Client::ClaudeCode) {
        parts.add(&bytes(project));
    }
    // The hash is over all of the name, so that two that begin alike are told apart.
    format!("{}@{}", &name[..name.floor_char_boundary(LONGEST_ID - TAIL)], parts.digest().short())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::launch::Http;

    fn at(name: &str, file: &str, project: Option<&str>, url: &str) -> Discovered {
        let origin = Origin { client: Client::ClaudeCode, file: file.into(), project: project.map(Into::into) };
        let launch = Launch::Http(Http { url: url.to_owned(), ..Http::default() });
        Discovered::new(name, origin, launch)
    }

    /// Harm prevented: the bus takes no such key, and the source ended over it.
    #[test]
    fn a_long_name_makes_an_id_that_is_none_too_long() {
        let long = |last: char| at(&format!("{}{last}", "ä".repeat(80)), "/h/.claude.json", None, "http://a").id;
        assert!(long('a').len() <= LONGEST_ID && long('a').starts_with("ää"), "{}", long('a'));
        assert_ne!(long('a'), long('b'));
    }

    #[test]
    fn an_id_stays_while_name_and_place_do() {
        let one = at("git", "/h/.claude.json", None, "http://a");
        assert_eq!(one.id, at("git", "/h/.claude.json", None, "http://b").id);
        assert!(one.id.starts_with("git@") && one.id.len() == 12, "{}", one.id);
        for other in [
            at("got", "/h/.claude.json", None, "http://a"),
            at("git", "/h/claude.json", None, "http://a"),
            at("git", "/h/.claude.json", Some("/p"), "http://a"),
            at("git", "/h/.claude.json", Some("/q"), "http://a"),
        ] {
            assert_ne!(one.id[4..], other.id[4..], "{other:?}");
        }
    }
}
