//! Which files are looked at: those that clients read in the user's home and in projects, and those named in the settings.

use super::server::Client;
use headwater_plugin::prelude::*;
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
};

/// Where config files of MCP clients are looked for.
#[config]
#[derive(Clone, Debug)]
pub struct Settings {
    /// The home directory whose files are read; by default that of the daemon's user. `""` reads none.
    pub home: Option<PathBuf>,
    /// Projects: directories whose `.mcp.json`, `.cursor/mcp.json`, `.vscode/mcp.json`, `.gemini/settings.json`,
    /// `.codex/config.toml` and `opencode.json` are read. `~/` is the home directory.
    #[default = []]
    pub projects: Vec<PathBuf>,
    /// Further files. Which client's they are is told by their name and directory.
    #[default = []]
    pub paths: Vec<PathBuf>,
}

/// A file that may exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose it is, which says how it is read.
    pub client: Client,
    /// The file.
    pub file: PathBuf,
    /// The project it stands in.
    pub project: Option<PathBuf>,
}

/// Below the user's home directory.
const AT_HOME: [(Client, &str); 6] = [
    (Client::Cursor, ".cursor/mcp.json"),
    (Client::Gemini, ".gemini/settings.json"),
    // Where macOS has what elsewhere is below ~/.config.
    (Client::ClaudeDesktop, "Library/Application Support/Claude/claude_desktop_config.json"),
    (Client::Vscode, "Library/Application Support/Code/User/mcp.json"),
    (Client::Vscode, "Library/Application Support/Code/User/settings.json"),
    (Client::Vscode, "Library/Application Support/Code - Insiders/User/mcp.json"),
];

/// Below `~/.config`, or what `XDG_CONFIG_HOME` says in its place.
const IN_CONFIG: [(Client, &str); 6] = [
    (Client::ClaudeDesktop, "Claude/claude_desktop_config.json"),
    (Client::Vscode, "Code/User/mcp.json"),
    (Client::Vscode, "Code/User/settings.json"),
    (Client::Vscode, "Code - Insiders/User/mcp.json"),
    (Client::Opencode, "opencode/opencode.json"),
    (Client::Opencode, "opencode/opencode.jsonc"),
];

/// In a project.
const IN_PROJECT: [(Client, &str); 7] = [
    (Client::McpJson, ".mcp.json"),
    (Client::Cursor, ".cursor/mcp.json"),
    (Client::Vscode, ".vscode/mcp.json"),
    (Client::Codex, ".codex/config.toml"),
    (Client::Gemini, ".gemini/settings.json"),
    (Client::Opencode, "opencode.json"),
    (Client::Opencode, "opencode.jsonc"),
];

/// A path in `paths` whose client cannot be told.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "discovery.paths: {}: nobody's file has that name; known are .mcp.json, mcp.json, .claude.json, \
     claude_desktop_config.json, config.toml, settings.json and opencode.json(c)",
    .0.display()
)]
pub struct UnknownFile(PathBuf);

impl Settings {
    /// All files that are looked at, each once. Some or all need not exist.
    pub fn places(&self) -> Result<Vec<Place>, UnknownFile> {
        self.places_with(&|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    fn places_with(&self, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Vec<Place>, UnknownFile> {
        let own = variable("HOME");
        let home = self.home.clone().or_else(|| own.clone()).filter(|home| !home.as_os_str().is_empty());
        let home = home.map(|home| full(&home, own.as_deref()));
        let mut places = BTreeSet::new();
        if let Some(home) = &home {
            // Variables of the daemon's user say nothing of another home.
            let moved = |name: &str| variable(name).filter(|_| self.home.is_none());
            let claude = moved("CLAUDE_CONFIG_DIR").unwrap_or_else(|| home.clone());
            let codex = moved("CODEX_HOME").unwrap_or_else(|| home.join(".codex"));
            let config = moved("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
            let mut add = |client, file| places.insert(Place { client, file, project: None });
            add(Client::ClaudeCode, claude.join(".claude.json"));
            add(Client::Codex, codex.join("config.toml"));
            for (client, path) in AT_HOME {
                add(client, home.join(path));
            }
            for (client, path) in IN_CONFIG {
                add(client, config.join(path));
            }
        }
        for project in &self.projects {
            let project = full(project, own.as_deref());
            for (client, path) in IN_PROJECT {
                places.insert(Place { client, file: project.join(path), project: Some(project.clone()) });
            }
        }
        for path in &self.paths {
            let file = full(path, own.as_deref());
            let (client, project) = told_by_name(&file).ok_or_else(|| UnknownFile(path.clone()))?;
            let project = project.filter(|project| home.as_ref() != Some(project));
            if !places.iter().any(|place| place.file == file) {
                places.insert(Place { client, file, project });
            }
        }
        Ok(places.into_iter().collect())
    }
}

/// An absolute path, with `~/` replaced.
fn full(path: &Path, home: Option<&Path>) -> PathBuf {
    let path = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    std::path::absolute(&path).unwrap_or(path)
}

/// Whose file it is, and the project that it would belong to.
fn told_by_name(file: &Path) -> Option<(Client, Option<PathBuf>)> {
    let name = file.file_name()?.to_str()?;
    let directory = file.parent()?;
    let around = || directory.parent().map(Path::to_owned);
    let inside = |wanted: &str| directory.file_name().is_some_and(|name| name == wanted);
    Some(match name {
        ".claude.json" => (Client::ClaudeCode, None),
        "claude_desktop_config.json" => (Client::ClaudeDesktop, None),
        "mcp.json" if inside(".cursor") => (Client::Cursor, around()),
        "mcp.json" if inside(".vscode") => (Client::Vscode, around()),
        "settings.json" if inside(".gemini") => (Client::Gemini, around()),
        "mcp.json" | "settings.json" if inside("User") => (Client::Vscode, None),
        "config.toml" if inside(".codex") => (Client::Codex, around()),
        "config.toml" => (Client::Codex, None),
        "opencode.json" | "opencode.jsonc" => (Client::Opencode, Some(directory.to_owned())),
        _ if name.ends_with("mcp.json") => (Client::McpJson, Some(directory.to_owned())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(home: Option<&str>, projects: &[&str], paths: &[&str]) -> Settings {
        let all = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        Settings { home: home.map(Into::into), projects: all(projects), paths: all(paths) }
    }

    fn files(settings: &Settings, variables: &[(&str, &str)]) -> Vec<String> {
        let variable =
            |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| PathBuf::from(value));
        let places = settings.places_with(&variable).unwrap();
        places.iter().map(|place| format!("{} {}", place.client, place.file.display())).collect()
    }

    #[test]
    fn the_home_is_that_of_the_daemon_unless_another_is_named() {
        let own = [("HOME", "/h"), ("CODEX_HOME", "/c"), ("XDG_CONFIG_HOME", "/x")];
        let found = files(&settings(None, &[], &[]), &own);
        for file in ["claude_code /h/.claude.json", "codex /c/config.toml", "vscode /x/Code/User/mcp.json"] {
            assert!(found.iter().any(|found| found == file), "{file}: {found:?}");
        }
        let other = files(&settings(Some("/o"), &[], &[]), &own);
        assert!(other.iter().all(|file| file.contains(" /o/")), "{other:?}");
        assert_eq!(files(&settings(Some(""), &[], &[]), &own), [""; 0]);
        assert_eq!(files(&settings(None, &[], &[]), &[]), [""; 0]);
    }

    #[test]
    fn projects_and_files_are_added_once() {
        let found =
            files(&settings(Some(""), &["/p", "~/q", "/p"], &["/p/.mcp.json", "/x/team.mcp.json"]), &[("HOME", "/h")]);
        assert_eq!(found.len(), 2 * IN_PROJECT.len() + 1, "{found:?}");
        assert!(
            found.contains(&"mcp_json /h/q/.mcp.json".to_owned())
                && found.contains(&"mcp_json /x/team.mcp.json".to_owned())
        );
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        for (file, client, project) in [
            ("/p/.mcp.json", Client::McpJson, Some("/p")),
            ("/p/.cursor/mcp.json", Client::Cursor, Some("/p")),
            ("/p/.vscode/mcp.json", Client::Vscode, Some("/p")),
            ("/c/Code/User/settings.json", Client::Vscode, None),
            ("/p/.gemini/settings.json", Client::Gemini, Some("/p")),
            ("/etc/codex/config.toml", Client::Codex, None),
            ("/p/opencode.jsonc", Client::Opencode, Some("/p")),
            ("/b/.claude.json", Client::ClaudeCode, None),
        ] {
            assert_eq!(told_by_name(Path::new(file)), Some((client, project.map(PathBuf::from))), "{file}");
        }
        let unknown = settings(Some(""), &[], &["/p/servers.yaml"]).places_with(&|_| None).unwrap_err();
        assert!(unknown.to_string().contains("/p/servers.yaml"), "{unknown}");
    }
}
