//! The settings.

use crate::{
    discovery::{Digest, Http, Launch, Settings, Stdio},
    probe::Timing,
};
use headwater_plugin::prelude::*;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The least time between two rounds of asking: each is a question that a server has to answer.
const OFTENEST: Duration = Duration::from_millis(50);

/// A window that holds fewer rounds than this could never say anything: twenty calls are needed.
const ROUNDS: u32 = 40;

/// MCP servers.
#[config]
#[derive(Clone, Debug)]
pub struct Config {
    /// Servers that are started, or asked at their URL, whatever other config files say.
    #[serde(default)]
    pub(crate) servers: BTreeMap<String, Own>,
    /// Which servers of other programs' config files may be started, or asked with their headers: a server's id or name, and
    /// the hash that `list_mcp_servers` shows. Without it, a line in a config file would run a program.
    #[serde(default)]
    pub(crate) spawn: BTreeMap<String, Digest>,
    /// Where config files of MCP clients are looked for.
    pub(crate) discovery: Option<Settings>,
    /// How often a server is asked whether it answers.
    #[default = "5s"]
    pub(crate) interval: Period,
    /// The time it has for an answer.
    #[default = "3s"]
    pub(crate) deadline: Period,
    /// The time it has for its first answer: servers that are fetched first take long.
    #[default = "30s"]
    pub(crate) handshake: Period,
    /// How long one that was started here may be silent before it is killed and started again.
    #[default = "1m"]
    pub(crate) hung: Period,
    /// The time whose calls count for its health.
    #[default = "5m"]
    pub(crate) window: Period,
    /// How often running processes are looked at.
    #[default = "5s"]
    pub(crate) sweep: Period,
    /// How long a server is told of that no config names and nobody runs.
    #[default = "10m"]
    pub(crate) remember: Period,
}

/// A server: `command` or `url`.
#[config]
#[derive(Clone)]
pub struct Own {
    /// The program that is started: its name in `PATH`, or a path.
    pub(crate) command: Option<String>,
    /// Its arguments.
    #[default = []]
    pub(crate) args: Vec<String>,
    /// Variables of its environment. It inherits a few of the daemon's, such as `PATH` and `HOME`, and no others.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Names of variables that it gets as the daemon has them: for secrets, which do not stand in a file.
    #[default = []]
    pub(crate) inherit: Vec<String>,
    /// Where it runs.
    pub(crate) cwd: Option<PathBuf>,
    /// Instead of a program: where it is reached over HTTP.
    pub(crate) url: Option<String>,
    /// Headers of each request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Headers whose values are variables of the daemon's environment.
    #[serde(default)]
    pub(crate) headers_from: BTreeMap<String, String>,
}

/// Its environment and headers may hold secrets.
impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("command", &self.command).finish_non_exhaustive()
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ConfigError {
    /// Neither, or both.
    #[error("servers.{0}: a server has either a `command` or a `url`")]
    Kind(String),
    /// A variable is named that the daemon does not have.
    #[error("servers.{0}: the variable {1} is not set here")]
    Variable(String, String),
}

impl Config {
    /// Where config files are looked for.
    pub(crate) fn discovery(&self) -> Settings {
        let unsaid = || Settings { home: None, projects: Vec::new(), paths: Vec::new() };
        self.discovery.clone().unwrap_or_else(unsaid)
    }

    /// The times of asking.
    pub(crate) fn timing(&self) -> Timing {
        Timing {
            interval: self.interval.duration().max(OFTENEST),
            deadline: self.deadline.duration().max(OFTENEST),
            handshake: self.handshake.duration().max(OFTENEST),
            hung: self.hung.duration(),
        }
    }

    /// The time whose calls count: long enough to hold enough of ours.
    pub(crate) fn window(&self) -> Duration {
        self.window.duration().max(self.timing().interval * ROUNDS)
    }
}

impl Own {
    /// How it is started or reached.
    pub(crate) fn launch(
        &self,
        name: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Launch, ConfigError> {
        let variable = |variable: &String| {
            environment(variable).ok_or_else(|| ConfigError::Variable(name.to_owned(), variable.clone()))
        };
        match (&self.command, &self.url) {
            (Some(command), None) => {
                let mut env = self.env.clone();
                for name in &self.inherit {
                    env.insert(name.clone(), variable(name)?);
                }
                let (command, args, cwd) = (command.clone(), self.args.clone(), self.cwd.clone());
                Ok(Launch::Stdio(Stdio { command, args, env, cwd, ..Stdio::default() }))
            }
            (None, Some(url)) => {
                let mut headers = self.headers.clone();
                for (header, name) in &self.headers_from {
                    headers.insert(header.clone(), variable(name)?);
                }
                Ok(Launch::Http(Http { url: url.clone(), headers, ..Http::default() }))
            }
            _ => Err(ConfigError::Kind(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(settings: Value) -> Result<Launch, ConfigError> {
        let own: Own = serde_json::from_value(settings).unwrap();
        own.launch("x", |name| (name == "KEY").then(|| "s3cret".to_owned()))
    }

    #[test]
    fn a_server_is_a_program_or_a_url() {
        let launch = own(json!({ "command": "node", "args": ["s.js"], "inherit": ["KEY"] })).unwrap();
        let Launch::Stdio(program) = &launch else { panic!("{launch:?}") };
        assert_eq!((program.args.as_slice(), program.env["KEY"].as_str()), (&["s.js".to_owned()][..], "s3cret"));
        let launch = own(json!({ "url": "http://h/mcp", "headers_from": { "Authorization": "KEY" } })).unwrap();
        let Launch::Http(http) = &launch else { panic!("{launch:?}") };
        assert_eq!(http.headers["Authorization"], "s3cret");
        for wrong in [json!({}), json!({ "command": "a", "url": "b" })] {
            assert_eq!(own(wrong), Err(ConfigError::Kind("x".to_owned())));
        }
        let missing = own(json!({ "command": "a", "inherit": ["OTHER"] })).unwrap_err();
        assert_eq!(missing.to_string(), "servers.x: the variable OTHER is not set here");
    }

    #[test]
    fn the_window_always_holds_enough() {
        let config = |settings: Value| serde_json::from_value::<Config>(settings).unwrap();
        assert_eq!(config(json!({})).window(), Duration::from_mins(5));
        assert_eq!(config(json!({ "interval": "1m" })).window(), Duration::from_mins(40));
    }
}
