//! `~/.claude.json`: the user's own servers in `mcpServers`, those of one project in `projects.PATH.mcpServers`. Claude Code
//! keeps much else in it and writes it all the time.

use super::{
    entry::Members,
    reading::{Problem, Reading, kind},
};
use crate::discovery::server::Origin;
use headwater_plugin::serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Reads it.
pub(super) fn read(origin: &Origin, text: &[u8]) -> Reading {
    let file = match Reading::json(text) {
        Ok(file) => file,
        Err(broken) => return broken,
    };
    let mut reading = Reading::default();
    servers(&mut reading, "mcpServers", &file, origin);
    match file.get("projects") {
        None | Some(Value::Null) => {}
        Some(Value::Object(projects)) => {
            for (path, project) in projects {
                let Value::Object(project) = project else { continue };
                let origin = Origin { project: Some(PathBuf::from(path)), ..origin.clone() };
                let mut own = Reading::default();
                servers(&mut own, &format!("projects.{path}.mcpServers"), project, &origin);
                let off = project.get("disabledMcpServers").and_then(Value::as_array);
                own.disable(|name| off.is_some_and(|off| off.iter().any(|other| other == name)));
                reading.servers.append(&mut own.servers);
                reading.problems.append(&mut own.problems);
            }
        }
        Some(other) => reading.problem(Problem::new("projects", format!("it is {}, not an object", kind(other)))),
    }
    reading
}

fn servers(reading: &mut Reading, place: &str, of: &Map<String, Value>, origin: &Origin) {
    let base = origin.project.as_deref().filter(|project| Path::is_absolute(project));
    reading.table(place, of.get("mcpServers"), origin, |entry| {
        let entry = Members(entry);
        entry.entry(entry.usual(base)?).map(Some)
    });
}
