//! VS Code: `.vscode/mcp.json` and the user's `mcp.json` have `servers`; the user's `settings.json` has the same in `mcp`.
//! All are JSON with comments. `inputs` are questions to the user, whose answers stand in no file.

use super::{
    entry::Members,
    reading::{Problem, Reading, kind},
};
use crate::discovery::server::Origin;
use headwater_plugin::serde_json::Value;

/// Reads it.
pub(super) fn read(origin: &Origin, text: &[u8]) -> Reading {
    let file = match Reading::json(text) {
        Ok(file) => file,
        Err(broken) => return broken,
    };
    let mut reading = Reading::default();
    let settings = origin.file.file_name().is_some_and(|name| name == "settings.json");
    let (place, table) = if settings {
        match file.get("mcp") {
            None | Some(Value::Null) => return reading,
            Some(Value::Object(mcp)) => ("mcp.servers", mcp.get("servers")),
            Some(other) => {
                reading.problem(Problem::new("mcp", format!("it is {}, not an object", kind(other))));
                return reading;
            }
        }
    } else {
        if !file.is_empty() && !file.contains_key("servers") {
            reading.problem(Problem::new("", "it has no `servers`"));
        }
        ("servers", file.get("servers"))
    };
    let base = origin.project.as_deref();
    reading.table(place, table, origin, |entry| {
        let entry = Members(entry);
        entry.entry(entry.usual(base)?).map(Some)
    });
    reading
}
