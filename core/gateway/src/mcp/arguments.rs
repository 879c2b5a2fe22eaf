//! The arguments of a call, read strictly: a misspelt one would otherwise be answered with something that nobody asked for.

use super::{fault::Fault, tools::Tool};
use headwater_config::nearest;
use headwater_protocol::ErrorCode;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::ops::RangeInclusive;

/// Refuses arguments that the tool does not have.
pub(super) fn check(tool: &Tool, given: &JsonObject) -> Result<(), Fault> {
    let schema = (tool.input)();
    let known: Vec<&str> =
        schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| &**name).collect();
    let Some(unknown) = given.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let meant = match nearest(unknown, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "it takes none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    Err(wrong(format!("`{unknown}` is no argument of {}; {meant}", tool.name)))
}

/// Reads the arguments.
pub(super) fn read<T: DeserializeOwned>(given: &JsonObject) -> Result<T, Fault> {
    let whole = Value::Object(given.clone());
    serde_json::from_value(whole).map_err(|error| {
        let error = error.to_string();
        // Which one it is does not stand in the error: it is the one without which there is another error, or none.
        let culprit = given.keys().find(|name| {
            let mut rest = given.clone();
            rest.remove(*name);
            serde_json::from_value::<T>(Value::Object(rest)).err().is_none_or(|other| other.to_string() != error)
        });
        match culprit {
            Some(name) => wrong(format!("`{name}`: {error}")),
            None => wrong(error),
        }
    })
}

/// A number within its bounds.
pub(super) fn within(name: &str, given: Option<u64>, default: u64, bounds: RangeInclusive<u64>) -> Result<u64, Fault> {
    let number = given.unwrap_or(default);
    if bounds.contains(&number) {
        return Ok(number);
    }
    Err(wrong(format!("`{name}` is {} to {}", bounds.start(), bounds.end())))
}

/// An argument that cannot be used.
pub(super) fn wrong(what: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::Validation, what)
}
