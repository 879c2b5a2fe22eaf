//! Members of a server's entry that most formats share.

use super::reading::{Entry, Problem, kind};
use crate::discovery::launch::{Http, Launch, Stdio};
use headwater_plugin::serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// An entry, read member by member.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Members<'a> {
    /// A member that is neither absent nor null.
    fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn string(self, name: &str) -> Result<Option<&'a str>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, other, "a string")),
        }
    }

    /// Whether a switch is on; `absent` where it is not there.
    pub(crate) fn switch(self, name: &str, absent: bool) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(absent),
            Some(Value::Bool(on)) => Ok(*on),
            Some(other) => Err(wrong(name, other, "true or false")),
        }
    }

    pub(crate) fn strings(self, name: &str) -> Result<Vec<String>, Problem> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => {
                list.iter().enumerate().map(|(at, value)| scalar(&format!("{name}[{at}]"), value)).collect()
            }
            Some(other) => Err(wrong(name, other, "a list of strings")),
        }
    }

    pub(crate) fn pairs(self, name: &str) -> Result<BTreeMap<String, String>, Problem> {
        match self.get(name) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(pairs)) => {
                let pair =
                    |(key, value): (&String, &Value)| Ok((key.clone(), scalar(&format!("{name}.{key}"), value)?));
                pairs.iter().map(pair).collect()
            }
            Some(other) => Err(wrong(name, other, "a table of strings")),
        }
    }

    /// Where a program runs: as the entry says, from `base` if that is relative, or `base` itself.
    pub(crate) fn cwd(self, base: Option<&Path>) -> Result<Option<PathBuf>, Problem> {
        let cwd = self.string("cwd")?.filter(|cwd| !cwd.is_empty());
        Ok(match (cwd, base) {
            (None, base) => base.map(Path::to_owned),
            // What a variable stands for may be absolute.
            (Some(cwd), Some(base)) if !cwd.starts_with('$') && !cwd.starts_with('~') => Some(base.join(cwd)),
            (Some(cwd), _) => Some(cwd.into()),
        })
    }

    /// A program from `command`, `args`, `env`, `cwd`, `envFile`.
    pub(crate) fn program(self, base: Option<&Path>) -> Result<Launch, Problem> {
        let command = self.string("command")?.unwrap_or_default();
        if command.trim().is_empty() {
            return Err(Problem::new("command", "it names no program"));
        }
        Ok(Launch::Stdio(Stdio {
            command: command.to_owned(),
            args: self.strings("args")?,
            env: self.pairs("env")?,
            env_file: self.string("envFile")?.map(PathBuf::from),
            cwd: self.cwd(base)?,
            ..Stdio::default()
        }))
    }

    /// A URL from the member of this name, and `headers`.
    pub(crate) fn url(self, name: &str, headers: &str, sse: bool) -> Result<Launch, Problem> {
        let url = self.string(name)?.unwrap_or_default();
        if url.trim().is_empty() {
            return Err(Problem::new(name, "it names no URL"));
        }
        Ok(Launch::Http(Http { url: url.to_owned(), headers: self.pairs(headers)?, sse, ..Http::default() }))
    }

    /// The shape that `.mcp.json` has made common: `type` if given, else `command` or `url`.
    pub(crate) fn usual(self, base: Option<&Path>) -> Result<Launch, Problem> {
        match self.string("type")?.map(str::to_ascii_lowercase).as_deref() {
            Some("stdio" | "local") => self.program(base),
            Some("http" | "streamable-http" | "streamablehttp" | "streamable_http" | "remote") => {
                self.url("url", "headers", false)
            }
            Some("sse") => self.url("url", "headers", true),
            Some(_) => Err(Problem::new("type", "no transport of that name is known; there are stdio, http and sse")),
            None if self.has("command") => self.program(base),
            None if self.has("url") => self.url("url", "headers", false),
            None => Err(Problem::new("", "it has neither `command` nor `url`")),
        }
    }

    /// With `disabled`, which several clients know, and `description`.
    pub(crate) fn entry(self, launch: Launch) -> Result<Entry, Problem> {
        Ok(Entry {
            launch,
            disabled: self.switch("disabled", false)?,
            description: self.string("description")?.map(str::to_owned),
        })
    }
}

fn wrong(place: &str, value: &Value, wanted: &str) -> Problem {
    Problem::new(place, format!("it is {}, not {wanted}", kind(value)))
}

/// A string, or what people write in its place without quotation marks.
fn scalar(place: &str, value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(switch) => Ok(switch.to_string()),
        other => Err(wrong(place, other, "a string")),
    }
}
