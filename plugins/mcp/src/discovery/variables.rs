//! Variables in a server's entry, as its client writes them: `${NAME}`, `${NAME:-else}`, `${env:NAME}`, `{env:NAME}`,
//! `$NAME`. What is not known is named and not guessed: a server with half a command line is not started.

use super::{
    launch::{Http, Launch, Stdio},
    server::{Client, Discovered},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Why a server cannot be started or reached, though it may be. It names variables and never shows values.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotReady {
    /// The environment has no such variable.
    #[error("the variable {0} is not set here")]
    Variable(String),
    /// Only the client itself knows that, or asks its user.
    #[error("{0} is known to its client alone")]
    Foreign(String),
    /// Variables stand in a file that is not read.
    #[error("its variables stand in an `envFile`, which is not read")]
    EnvFile,
}

/// What variables stand for.
struct Values<'a> {
    client: Client,
    environment: &'a dyn Fn(&str) -> Option<String>,
    project: Option<&'a Path>,
}

impl Discovered {
    /// How it is started or reached, with all variables replaced. `environment` gives those of the process.
    pub fn ready(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Launch, NotReady> {
        let values = Values { client: self.origin.client, environment, project: self.origin.project.as_deref() };
        Ok(match &self.launch {
            Launch::Stdio(program) => Launch::Stdio(values.program(program)?),
            Launch::Http(http) => Launch::Http(values.http(http)?),
        })
    }
}

impl Values<'_> {
    fn program(&self, program: &Stdio) -> Result<Stdio, NotReady> {
        if program.env_file.is_some() {
            return Err(NotReady::EnvFile);
        }
        let mut env = self.pairs(&program.env)?;
        for name in &program.inherit {
            if let Some(value) = (self.environment)(name) {
                env.entry(name.clone()).or_insert(value);
            }
        }
        let cwd = match &program.cwd {
            None => None,
            Some(cwd) => match cwd.to_str() {
                None => Some(cwd.clone()),
                Some(text) => {
                    let path = self.home(&self.text(text)?);
                    // The file's own place is all that a relative one can begin from.
                    Some(self.project.map_or_else(|| path.clone(), |project| project.join(&path)))
                }
            },
        };
        Ok(Stdio {
            command: self.text(&program.command)?,
            args: program.args.iter().map(|arg| self.text(arg)).collect::<Result<_, _>>()?,
            env,
            cwd,
            ..Stdio::default()
        })
    }

    fn http(&self, http: &Http) -> Result<Http, NotReady> {
        let mut headers = self.pairs(&http.headers)?;
        let named = Values { client: Client::McpJson, environment: self.environment, project: None };
        headers.extend(named.pairs(&http.headers_from_env)?);
        Ok(Http { url: self.text(&http.url)?, headers, sse: http.sse, ..Http::default() })
    }

    fn pairs(&self, pairs: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, NotReady> {
        pairs.iter().map(|(name, value)| Ok((name.clone(), self.text(value)?))).collect()
    }

    fn home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), (self.environment)("HOME")) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest),
            _ => path.into(),
        }
    }

    /// Replaces the variables in one text.
    fn text(&self, text: &str) -> Result<String, NotReady> {
        let open = match self.client {
            // It takes everything as it stands.
            Client::Codex | Client::ClaudeDesktop => return Ok(text.to_owned()),
            Client::Opencode => "{",
            Client::Gemini => "$",
            Client::McpJson | Client::ClaudeCode | Client::Cursor | Client::Vscode => "${",
        };
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(open) {
            out.push_str(&rest[..at]);
            let after = &rest[at..];
            let (value, length) = match self.variable(after)? {
                Some(found) => found,
                None => (open.to_owned(), open.len()),
            };
            out.push_str(&value);
            rest = &after[length..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The variable that a text begins with: its value, and the length of its name with all around it.
    fn variable(&self, text: &str) -> Result<Option<(String, usize)>, NotReady> {
        let within = |open: &str| {
            let inside = text.strip_prefix(open)?;
            let end = inside.find('}')?;
            Some((&inside[..end], open.len() + end + 1))
        };
        let found = match self.client {
            Client::Opencode => {
                within("{").filter(|(inside, _)| inside.starts_with("env:") || inside.starts_with("file:"))
            }
            Client::Gemini => within("${").or_else(|| bare(text)),
            _ => within("${"),
        };
        match found {
            None => Ok(None),
            Some((name, length)) => Ok(Some((self.value(name)?, length))),
        }
    }

    fn value(&self, name: &str) -> Result<String, NotReady> {
        let env = |name: &str| (self.environment)(name);
        match self.client {
            Client::Cursor | Client::Vscode => match name {
                "workspaceFolder" => self.project.map(shown),
                "workspaceFolderBasename" => {
                    self.project.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
                }
                "userHome" => env("HOME"),
                "pathSeparator" | "/" => Some("/".to_owned()),
                _ => {
                    let variable =
                        name.strip_prefix("env:").ok_or_else(|| NotReady::Foreign(format!("${{{name}}}")))?;
                    // These clients put nothing in the place of one that is not set.
                    return Ok(env(variable).unwrap_or_default());
                }
            }
            .ok_or_else(|| NotReady::Foreign(format!("${{{name}}}"))),
            Client::Opencode => match name.strip_prefix("env:") {
                Some(variable) => Ok(env(variable).unwrap_or_default()),
                None => Err(NotReady::Foreign("{file:…}".to_owned())),
            },
            _ => match name.split_once(":-") {
                Some((variable, otherwise)) => {
                    Ok(env(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned()))
                }
                None => env(name).ok_or_else(|| NotReady::Variable(name.to_owned())),
            },
        }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// `$NAME` at the beginning of a text.
fn bare(text: &str) -> Option<(&str, usize)> {
    let name = text.strip_prefix('$')?;
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let is_name = end > 0 && !name.as_bytes()[0].is_ascii_digit();
    is_name.then(|| (&name[..end], end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Origin;

    fn environment(name: &str) -> Option<String> {
        [("KEY", "k"), ("HOME", "/h"), ("EMPTY", "")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    fn at(client: Client, launch: Launch) -> Discovered {
        let origin = Origin { client, file: "/p/f".into(), project: Some("/p".into()) };
        Discovered::new("s", origin, launch)
    }

    fn one(client: Client, arg: &str) -> Result<String, NotReady> {
        let program = Stdio { command: "c".into(), args: vec![arg.to_owned()], ..Stdio::default() };
        match at(client, Launch::Stdio(program)).ready(&environment)? {
            Launch::Stdio(program) => Ok(program.args[0].clone()),
            Launch::Http(_) => unreachable!(),
        }
    }

    #[test]
    fn each_client_has_its_notation() {
        for (client, text, value) in [
            (Client::McpJson, "a${KEY}b${KEY}", "akbk"),
            (Client::McpJson, "${NO:-x y}${EMPTY:-z}${KEY:-w}", "x yzk"),
            (Client::McpJson, "$KEY {env:KEY} ${", "$KEY {env:KEY} ${"),
            (Client::ClaudeCode, "${KEY}", "k"),
            (Client::ClaudeDesktop, "${KEY}", "${KEY}"),
            (Client::Codex, "${NO}", "${NO}"),
            (Client::Cursor, "${workspaceFolder}/x ${userHome} ${env:KEY}${env:NO}", "/p/x /h k"),
            (Client::Vscode, "${workspaceFolderBasename}${pathSeparator}", "p/"),
            (Client::Gemini, "$KEY-${KEY} $ $1 $$KEY", "k-k $ $1 $k"),
            (Client::Opencode, "{env:KEY} {\"a\": 1} ${KEY} {", "k {\"a\": 1} ${KEY} {"),
        ] {
            assert_eq!(one(client, text), Ok(value.to_owned()), "{client}: {text}");
        }
        for (client, text, name) in [
            (Client::McpJson, "${NO}", "NO"),
            (Client::Gemini, "$NO", "NO"),
            (Client::Vscode, "${input:token}", "${input:token}"),
            (Client::Cursor, "${NO}", "${NO}"),
            (Client::Opencode, "{file:~/.key}", "{file:…}"),
        ] {
            let error = one(client, text).unwrap_err().to_string();
            assert!(error.contains(name), "{client}: {text}: {error}");
        }
    }

    #[test]
    fn everything_that_decides_what_runs_is_replaced() {
        let pairs = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let program = Stdio {
            command: "${HOME}/bin/s".into(),
            env: pairs("A", "${KEY}"),
            inherit: vec!["KEY".into(), "NO".into()],
            cwd: Some("${HOME}/w".into()),
            ..Stdio::default()
        };
        let ready = at(Client::McpJson, Launch::Stdio(program.clone())).ready(&environment).unwrap();
        let mut env = pairs("A", "k");
        env.insert("KEY".into(), "k".into());
        let wanted = Stdio { command: "/h/bin/s".into(), env, cwd: Some("/h/w".into()), ..Stdio::default() };
        assert_eq!(ready, Launch::Stdio(wanted));
        let file = Stdio { env_file: Some(".env".into()), ..program };
        assert_eq!(at(Client::Vscode, Launch::Stdio(file)).ready(&environment), Err(NotReady::EnvFile));

        let http = Http {
            url: "http://h/{env:KEY}".into(),
            headers: pairs("A", "${KEY}"),
            headers_from_env: pairs("Authorization", "Bearer ${KEY}"),
            sse: true,
        };
        let Ok(Launch::Http(ready)) = at(Client::Codex, Launch::Http(http)).ready(&environment) else { panic!() };
        assert_eq!(ready.url, "http://h/{env:KEY}");
        assert_eq!(
            ready.headers,
            [("A", "${KEY}"), ("Authorization", "Bearer k")].map(|(n, v)| (n.into(), v.into())).into()
        );
        assert!(ready.sse && ready.headers_from_env.is_empty());
    }
}
