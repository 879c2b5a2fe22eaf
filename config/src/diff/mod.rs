//! What going from one config to another changes: for people, key by key, and for the daemon, source by source. Webhooks
//! are compared by whoever runs them.

use crate::{
    Config, Program, SourceConfig, masked,
    schema::{Document, SourceTable},
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The daemon's own keys, and whole sections, that take effect at once. What all others describe is made once, when the
/// daemon starts.
pub(crate) const LIVE: [&str; 1] = ["log.level"];

/// All that differs. `Display` is one line per change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Key by key: the daemon's own in alphabetical order, then the sources, then the webhooks.
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
    /// Whether it came, went or changed.
    pub kind: ChangeKind,
    /// The key: `source.metrics.interval`.
    pub path: String,
    /// The value before, as the config writes it; `None` when there was none, and for a whole source.
    pub old: Option<String>,
    /// The value after.
    pub new: Option<String>,
    /// Whether it takes effect only when the daemon is started anew.
    pub needs_restart: bool,
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Its value is another.
    Changed,
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
        let sign = match self.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            ChangeKind::Changed => '~',
        };
        write!(f, "{sign} {}", self.path)?;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, " {old} → {new}")?,
            (Some(only), None) | (None, Some(only)) => write!(f, " {only}")?,
            (None, None) => {}
        }
        if self.needs_restart { f.write_str(" (needs a restart)") } else { Ok(()) }
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
    let mut diff = Diff::default();
    compare("", &sections(old), &sections(new), &mut diff.changes);
    let names: BTreeSet<&String> = old.sources.keys().chain(new.sources.keys()).collect();
    for name in names {
        let path = format!("source.{}", crate::toml_text::key(name));
        let whole = |kind| Change { kind, path: path.clone(), old: None, new: None, needs_restart: false };
        match (old.sources.get(name), new.sources.get(name)) {
            (None, Some(new)) => {
                diff.changes.push(whole(ChangeKind::Added));
                diff.start.extend(new.enabled.then(|| name.clone()));
            }
            (Some(old), None) => {
                diff.changes.push(whole(ChangeKind::Removed));
                diff.stop.extend(old.enabled.then(|| name.clone()));
            }
            (Some(old), Some(new)) => {
                compare(&path, &table(old), &table(new), &mut diff.changes);
                if let Some(moved) = moved(&path, old, new) {
                    diff.changes.push(moved);
                }
                let list = match (old.enabled, new.enabled) {
                    (false, true) => &mut diff.start,
                    (true, false) => &mut diff.stop,
                    (true, true) if old.needs_restart(new) => &mut diff.restart,
                    (true, true) if old != new => &mut diff.update,
                    _ => continue,
                };
                list.push(name.clone());
            }
            (None, None) => {}
        }
    }
    webhooks(old, new, &mut diff.changes);
    diff
}

fn webhooks(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let names: BTreeSet<&String> = old.webhooks.keys().chain(new.webhooks.keys()).collect();
    for name in names {
        let path = format!("webhook.{}", crate::toml_text::key(name));
        let whole = |kind| Change { kind, path: path.clone(), old: None, new: None, needs_restart: false };
        match (old.webhooks.get(name), new.webhooks.get(name)) {
            (None, Some(_)) => changes.push(whole(ChangeKind::Added)),
            (Some(_), None) => changes.push(whole(ChangeKind::Removed)),
            (Some(old), Some(new)) => compare(&path, &written(old), &written(new), changes),
            (None, None) => {}
        }
    }
}

/// The daemon's own sections as a file would write them.
fn sections(config: &Config) -> Value {
    let Config { gateway, router, history, plugins, supervision, log, webhooks: _, sources: _ } = config.clone();
    let sections = Document {
        gateway,
        router,
        history,
        plugins,
        supervision,
        log,
        webhooks: Vec::new(),
        sources: BTreeMap::new(),
    };
    let mut sections = written(&sections);
    // An empty list of either says nothing.
    sections.as_object_mut().expect("invariant: a struct").retain(|key, _| key != "webhook" && key != "source");
    sections
}

/// A source as a file would write it.
fn table(source: &SourceConfig) -> Value {
    let source = source.clone();
    let (plugin, exec) = match source.program {
        Program::Plugin(plugin) => (Some(plugin), None),
        Program::Exec(words) => (None, Some(words)),
    };
    written(&SourceTable {
        plugin,
        exec,
        enabled: source.enabled,
        isolation: source.isolation,
        channels: source.channels,
        heartbeat: source.heartbeat,
        grace: source.grace,
        memory_limit: source.memory_limit,
        sha256: source.sha256,
        description: source.description,
        log_level: source.log_level,
        settings: source.settings,
    })
}

/// A program whose file now defines it from another directory: it runs elsewhere, though no key has changed.
fn moved(path: &str, old: &SourceConfig, new: &SourceConfig) -> Option<Change> {
    let runs_there = matches!((&old.program, &new.program), (Program::Exec(_), Program::Exec(_)));
    (runs_there && old.directory != new.directory).then(|| Change {
        kind: ChangeKind::Changed,
        path: format!("{path} (directory)"),
        old: Some(old.directory.display().to_string()),
        new: Some(new.directory.display().to_string()),
        needs_restart: false,
    })
}

fn written(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("invariant: a config has string keys and plain values only")
}

/// Goes through both values: tables key by key, lists of a source's tables table by table, everything else as a whole.
fn compare(path: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    if let (Some(old), Some(new)) = (tables(path, old), tables(path, new)) {
        for index in 0..old.len().max(new.len()) {
            let path = format!("{path}[{index}]");
            match (old.get(index), new.get(index)) {
                (Some(old), Some(new)) => compare(&path, old, new, changes),
                (None, Some(new)) => changes.push(change(ChangeKind::Added, &path, None, Some(new))),
                (Some(old), None) => changes.push(change(ChangeKind::Removed, &path, Some(old), None)),
                (None, None) => {}
            }
        }
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            changes.push(change(ChangeKind::Changed, path, Some(old), Some(new)));
        }
        return;
    };
    let nothing = Value::Object(Map::new());
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let name = crate::toml_text::key(key);
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        let full = |value: &Value| value.as_object().is_some_and(|table| !table.is_empty());
        match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => compare(&path, old, new, changes),
            (None, Some(new)) if full(new) => compare(&path, &nothing, new, changes),
            (Some(old), None) if full(old) => compare(&path, old, &nothing, changes),
            (None, Some(new)) => changes.push(change(ChangeKind::Added, &path, None, Some(new))),
            (Some(old), None) => changes.push(change(ChangeKind::Removed, &path, Some(old), None)),
            (None, None) => {}
        }
    }
}

/// A list of tables among the settings of a source. Shown as a whole, two long ones look alike where they are cut.
fn tables<'v>(path: &str, value: &'v Value) -> Option<&'v Vec<Value>> {
    let tables = value.as_array().filter(|_| path.starts_with("source."))?;
    (!tables.is_empty() && tables.iter().all(Value::is_object)).then_some(tables)
}

fn change(kind: ChangeKind, path: &str, old: Option<&Value>, new: Option<&Value>) -> Change {
    let show = |value: &Value| masked::value(path, value);
    Change { kind, path: path.to_owned(), old: old.map(show), new: new.map(show), needs_restart: !is_live(path) }
}

fn is_live(path: &str) -> bool {
    let below = |live: &str| path.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    below("source") || below("webhook") || LIVE.into_iter().any(below)
}

#[cfg(test)]
mod tests;
