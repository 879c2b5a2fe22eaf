//! What one settings file holds of ours, and what it would hold with our hooks or without them. Reads files and writes
//! none.

use super::{
    entries::{self, Entries},
    file::{Change, backup, read},
    notify::{self, Notified},
    places::Place,
    program::Program,
};
use crate::{Failure, HookedAgent};
use std::path::PathBuf;

/// What a plugin of ours begins with.
const MARK: &str = "// Written by `headwater hook install opencode`";
const PLUGIN: &str = include_str!("opencode.js");

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// Nothing of ours.
    Missing,
    /// All of it.
    Installed,
    /// Some of it: an older version wrote fewer, or somebody took some out.
    Incomplete,
    /// Ours, of another installation: its binary, or the file where that says no binary.
    Other(PathBuf),
    /// Another program has the one place that there is: which, as far as it is known.
    Taken(String),
}

/// What is written: the command, and the address for what is no command.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) agent: HookedAgent,
    pub(super) program: Program,
    /// Where the plugin posts to.
    pub(super) url: String,
    /// Whether the plugin's reports keep text.
    pub(super) text: bool,
}

impl Wanted {
    /// The change that puts our hooks into a file.
    pub(super) fn install(&self, place: &Place) -> Result<Change, Failure> {
        let before = read(place.file())?;
        let earlier = match &before {
            // What is there is not from before our first change.
            Some(text) if ours(place, text)? => read(&backup(place.file()))?,
            other => other.clone(),
        };
        let text = before.as_deref().unwrap_or_default();
        let after = match place {
            Place::Entries { events, timeout, .. } => Entries { events, timeout: *timeout }
                .install(text, earlier.as_deref(), &self.program.line(self.agent.as_str()))
                .map_err(|error| unfit(place, &error))?,
            Place::Notify { .. } => {
                notify::install(text, &self.program.arguments(NOTIFY_EMITTER)).map_err(|error| unfit(place, &error))?
            }
            Place::Plugin { .. } => plugin(&self.url, self.text),
        };
        if matches!(place, Place::Plugin { .. }) && before.as_ref().is_some_and(|text| !text.starts_with(MARK)) {
            return Err(unfit(place, &"somebody else wrote it"));
        }
        // An empty file that stays empty is not made.
        let after = if before.is_none() && after.is_empty() { None } else { Some(after) };
        Ok(Change { file: place.file().to_owned(), before, after })
    }

    /// What of it is there.
    pub(super) fn present(&self, place: &Place) -> Result<Present, Failure> {
        let Some(text) = read(place.file())? else { return Ok(Present::Missing) };
        match place {
            Place::Entries { events, .. } => {
                let found = entries::found(&text).map_err(|error| unfit(place, &error))?;
                if let Some(other) = found.iter().find(|found| found.binary != self.program.binary()) {
                    return Ok(Present::Other(other.binary.clone()));
                }
                let all = events.iter().all(|event| found.iter().any(|found| found.event == **event));
                Ok(if all {
                    Present::Installed
                } else if found.is_empty() {
                    Present::Missing
                } else {
                    Present::Incomplete
                })
            }
            Place::Notify { .. } => Ok(match notify::notified(&text).map_err(|error| unfit(place, &error))? {
                Notified::Nobody => Present::Missing,
                Notified::Ours { binary, .. } if binary == self.program.binary() => Present::Installed,
                Notified::Ours { binary, .. } => Present::Other(binary),
                Notified::Other(program) => Present::Taken(program),
            }),
            Place::Plugin { file } => Ok(if [true, false].iter().any(|kept| text == plugin(&self.url, *kept)) {
                Present::Installed
            } else if text.starts_with(MARK) {
                Present::Other(file.clone())
            } else {
                Present::Taken(String::new())
            }),
        }
    }
}

/// Codex tells its `notify` program other things than its hooks.
const NOTIFY_EMITTER: &str = "codex_notify";

/// The change that takes our hooks out of a file.
pub(super) fn uninstall(place: &Place) -> Result<Change, Failure> {
    let file = place.file().to_owned();
    let Some(text) = read(&file)? else { return Ok(Change { file, before: None, after: None }) };
    let before = Some(text.clone());
    if !ours(place, &text)? {
        return Ok(Change { file, before: before.clone(), after: before });
    }
    let earlier = read(&backup(&file))?;
    let fault = |error: &dyn std::fmt::Display| unfit(place, error);
    let (again, without) = match place {
        Place::Entries { events, timeout, .. } => {
            let command = entries::found(&text).map_err(|error| fault(&error))?.swap_remove(0).command;
            let base = earlier.as_deref().unwrap_or_default();
            let again = Entries { events, timeout: *timeout }.install(base, Some(base), &command).ok();
            (again, entries::uninstall(&text, earlier.as_deref()).map_err(|error| fault(&error))?)
        }
        Place::Notify { .. } => {
            let Notified::Ours { arguments, .. } = notify::notified(&text).map_err(|error| fault(&error))? else {
                return Ok(Change { file, before: before.clone(), after: before });
            };
            let again = notify::install(earlier.as_deref().unwrap_or_default(), &arguments).ok();
            (again, notify::uninstall(&text).map_err(|error| fault(&error))?)
        }
        Place::Plugin { .. } => return Ok(Change { file, before, after: None }),
    };
    let after = if again.as_deref() == Some(text.as_str()) {
        // Nothing else has changed since: what was there comes back to the byte.
        earlier
    } else if earlier.is_none() && matches!(without.trim(), "" | "{}") {
        None
    } else {
        Some(without)
    };
    Ok(Change { file, before, after })
}

/// Whether a file has anything of ours.
pub(super) fn ours(place: &Place, text: &str) -> Result<bool, Failure> {
    match place {
        Place::Entries { .. } => {
            entries::found(text).map(|found| !found.is_empty()).map_err(|error| unfit(place, &error))
        }
        Place::Notify { .. } => notify::notified(text)
            .map(|notified| matches!(notified, Notified::Ours { .. }))
            .map_err(|error| unfit(place, &error)),
        Place::Plugin { .. } => Ok(text.starts_with(MARK)),
    }
}

fn plugin(url: &str, text: bool) -> String {
    let query = if text { "?text=1" } else { "" };
    let quoted = serde_json::to_string(&format!("{}/v1/hooks/opencode{query}", url.trim_end_matches('/')))
        .expect("invariant: a string serialises into memory");
    PLUGIN.replace("\"@URL@\"", &quoted)
}

fn unfit(place: &Place, why: &dyn std::fmt::Display) -> Failure {
    Failure::Other(format!("{}: {why}; nothing was written", place.file().display()))
}
