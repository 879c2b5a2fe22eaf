//! `~/.claude.json`: the user's own servers in `mcpServers`, those of one project in `projects.PATH.mcpServers`. Claude Code
//! keeps much else in it, megabytes at times, and writes it again and again: all that is passed over, not read.

use super::{
    MOST,
    entry::Members,
    reading::{Problem, Reading, kind},
};
use crate::discovery::server::Origin;
use headwater_plugin::{
    serde::de::DeserializeOwned,
    serde_json::{self, Value, value::RawValue},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// An object whose members are not read yet.
type Raw = BTreeMap<String, Box<RawValue>>;

/// Reads it.
pub(super) fn read(origin: &Origin, text: &[u8]) -> Reading {
    let file = match Reading::value::<Box<RawValue>>(text) {
        Ok(Some(file)) => file,
        Ok(None) => return Reading::default(),
        Err(broken) => return broken,
    };
    let file = match object(&file) {
        Ok(file) => file,
        Err(kind) => return Reading::broken(Problem::new("", format!("it is {kind}, not an object"))),
    };
    let mut reading = Reading::default();
    servers(&mut reading, "mcpServers", &file, origin);
    match file.get("projects").map(|projects| object(projects)) {
        None | Some(Err("null")) => {}
        Some(Ok(projects)) => {
            reading.projects = projects.keys().map(PathBuf::from).filter(|project| project.is_absolute()).collect();
            for (path, project) in projects {
                if reading.servers.len() >= MOST {
                    let reason = format!("more than {MOST} servers; the rest is not read");
                    reading.problem(Problem::new(format!("projects.{path}"), reason));
                    break;
                }
                let Ok(project) = object(&project) else { continue };
                let origin = Origin { project: Some(PathBuf::from(&path)), ..origin.clone() };
                let mut own = Reading::default();
                servers(&mut own, &format!("projects.{path}.mcpServers"), &project, &origin);
                let off: Vec<String> = value(&project, "disabledMcpServers").unwrap_or_default();
                own.disable(|name| off.iter().any(|other| other == name));
                own.servers.truncate(MOST - reading.servers.len());
                reading.servers.append(&mut own.servers);
                reading.problems.append(&mut own.problems);
            }
        }
        Some(Err(kind)) => reading.problem(Problem::new("projects", format!("it is {kind}, not an object"))),
    }
    reading
}

fn servers(reading: &mut Reading, place: &str, of: &Raw, origin: &Origin) {
    let base = origin.project.as_deref().filter(|project| Path::is_absolute(project));
    reading.table(place, value::<Value>(of, "mcpServers").as_ref(), origin, |entry| {
        let entry = Members(entry);
        entry.entry(entry.usual(base)?).map(Some)
    });
}

fn value<T: DeserializeOwned>(of: &Raw, name: &str) -> Option<T> {
    serde_json::from_str(of.get(name)?.get()).ok()
}

/// The members of an object, or what it is instead.
fn object(raw: &RawValue) -> Result<Raw, &'static str> {
    serde_json::from_str(raw.get()).map_err(|_| serde_json::from_str(raw.get()).map_or("null", |value| kind(&value)))
}
