//! What reading a file gives.

use super::MOST;
use crate::discovery::{
    jsonc,
    launch::Launch,
    server::{Discovered, Origin},
};
use headwater_plugin::{
    serde::de::DeserializeOwned,
    serde_json::{Map, Value},
};
use std::path::PathBuf;

/// The servers of one file, and what in it could not be understood.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) servers: Vec<Discovered>,
    pub(crate) problems: Vec<Problem>,
    /// Projects that the file knows of, whatever it says of them.
    pub(crate) projects: Vec<PathBuf>,
    /// The text broke off, or is none of its format at all: it says nothing about which servers there are.
    pub(crate) broken: bool,
}

/// Something that cannot be understood, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// As in `mcpServers.git.command` or `line 3, column 7`.
    pub(crate) place: String,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

impl Reading {
    /// One of a file that cannot be read at all.
    pub(crate) fn broken(problem: Problem) -> Self {
        Self { problems: vec![problem], broken: true, ..Self::default() }
    }

    /// The object that a JSON file is. An empty file is an empty object: some clients create it so.
    pub(crate) fn json(text: &[u8]) -> Result<Map<String, Value>, Self> {
        match Self::value(text)? {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(Self::broken(Problem::new("", format!("it is {}, not an object", kind(&other))))),
        }
    }

    /// What stands in a JSON file, if anything does.
    pub(crate) fn value<T: DeserializeOwned>(text: &[u8]) -> Result<Option<T>, Self> {
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        jsonc::parse(text).map(Some).map_err(|jsonc::Broken { line, column, cut_off }| {
            let reason = if cut_off { "the text breaks off" } else { "it is no JSON from here on" };
            Self::broken(Problem::new(format!("line {line}, column {column}"), reason))
        })
    }

    /// Reads each entry of a table of servers. A table that is absent is an empty one.
    pub(crate) fn table(
        &mut self,
        place: &str,
        table: Option<&Value>,
        origin: &Origin,
        read: impl Fn(&Map<String, Value>) -> Result<Option<Entry>, Problem>,
    ) {
        let table = match table {
            None | Some(Value::Null) => return,
            Some(Value::Object(table)) => table,
            Some(other) => {
                return self.problem(Problem::new(place, format!("it is {}, not a table of servers", kind(other))));
            }
        };
        for (name, entry) in table {
            let place = format!("{place}.{name}");
            if self.servers.len() == MOST {
                return self.problem(Problem::new(place, format!("more than {MOST} servers; the rest is not read")));
            }
            let Value::Object(entry) = entry else {
                self.problem(Problem::new(place, format!("it is {}, not a server", kind(entry))));
                continue;
            };
            match read(entry) {
                Ok(Some(Entry { launch, disabled, description })) => {
                    let server = Discovered::new(name, origin.clone(), launch);
                    self.servers.push(Discovered { disabled, description, ..server });
                }
                Ok(None) => {}
                Err(Problem { place: within, reason }) => {
                    let place = if within.is_empty() { place } else { format!("{place}.{within}") };
                    self.problem(Problem::new(place, reason));
                }
            }
        }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Marks the servers with these names as switched off.
    pub(crate) fn disable(&mut self, mut is_off: impl FnMut(&str) -> bool) {
        for server in &mut self.servers {
            server.disabled |= is_off(&server.name);
        }
    }
}

/// One server, without its name.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) launch: Launch,
    pub(crate) disabled: bool,
    pub(crate) description: Option<String>,
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
