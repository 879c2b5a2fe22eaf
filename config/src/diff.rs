//! What going from one config to another changes: for people, key by key, and for the daemon, source by source.

use crate::{
    Config, Program, SourceConfig, masked,
    schema::{Document, SourceTable},
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The daemon's own keys that take effect at once. What all others describe is made once, when the daemon starts.
pub(crate) const LIVE: [&str; 1] = ["log.level"];

/// All that differs. `Display` is one line per change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Key by key: the daemon's own in alphabetical order, then the sources.
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
    diff
}

/// The daemon's own sections as a file would write them.
fn sections(config: &Config) -> Value {
    let Config { gateway, router, plugins, supervision, log, sources: _ } = config.clone();
    written(&Document { gateway, router, plugins, supervision, log, sources: BTreeMap::new() })
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

/// Goes through both values: tables key by key, everything else as a whole.
fn compare(path: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
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

fn change(kind: ChangeKind, path: &str, old: Option<&Value>, new: Option<&Value>) -> Change {
    let show = |value: &Value| masked::value(path, value);
    Change {
        kind,
        path: path.to_owned(),
        old: old.map(show),
        new: new.map(show),
        needs_restart: !path.starts_with("source.") && !LIVE.contains(&path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isolation;
    use serde_json::json;
    use std::time::Duration;

    fn lines(old: &Config, new: &Config) -> Vec<String> {
        diff(old, new).to_string().lines().map(str::to_owned).collect()
    }

    fn with(name: &str, change: impl FnOnce(&mut SourceConfig)) -> Config {
        let mut config = Config::builtin();
        let mut source = SourceConfig::new(name, Program::Plugin("metrics".to_owned()));
        source.settings.insert("interval".to_owned(), "1s".into());
        change(&mut source);
        config.sources.insert(name.to_owned(), source);
        config
    }

    #[test]
    fn a_changed_setting_restarts_its_source_and_no_other() {
        let old = with("disk", |_| {});
        let mut new = old.clone();
        new.sources.get_mut("metrics").unwrap().settings["interval"] = "5s".into();
        let diff = diff(&old, &new);
        assert_eq!(diff.to_string(), "~ source.metrics.interval 1s → 5s\n");
        assert_eq!(diff.restart, ["metrics"]);
        assert_eq!((diff.start.len(), diff.stop.len(), diff.update.len()), (0, 0, 0));
    }

    #[test]
    fn sources_come_and_go() {
        let (without, disk) = (Config::builtin(), with("disk", |_| {}));
        assert_eq!(lines(&without, &disk), ["+ source.disk"]);
        assert_eq!(diff(&without, &disk).start, ["disk"]);
        assert_eq!(lines(&disk, &without), ["- source.disk"]);
        assert_eq!(diff(&disk, &without).stop, ["disk"]);
    }

    #[test]
    fn enabling_starts_and_disabling_stops() {
        let (on, off) = (with("disk", |_| {}), with("disk", |disk| disk.enabled = false));
        assert_eq!(lines(&on, &off), ["~ source.disk.enabled true → false"]);
        assert_eq!((diff(&on, &off).stop, diff(&off, &on).start), (vec!["disk".to_owned()], vec!["disk".to_owned()]));
        // What is off stays off, whatever else changes.
        let other = with("disk", |disk| (disk.enabled, disk.isolation) = (false, Isolation::Thread));
        let idle = diff(&off, &other);
        assert_eq!(idle.to_string(), "~ source.disk.isolation process → thread\n");
        assert_eq!(idle.start.len() + idle.stop.len() + idle.restart.len() + idle.update.len(), 0);
        assert_eq!(diff(&Config::builtin(), &off).start.len(), 0);
    }

    #[test]
    fn a_new_description_restarts_nothing() {
        let (old, new) = (with("disk", |_| {}), with("disk", |disk| disk.description = Some("my disk".to_owned())));
        let diff = diff(&old, &new);
        assert_eq!(diff.to_string(), "+ source.disk.description \"my disk\"\n");
        assert_eq!((diff.restart.len(), diff.update), (0, vec!["disk".to_owned()]));
    }

    #[test]
    fn the_daemons_own_keys_are_compared_and_marked() {
        let old = Config::default();
        let mut new = old.clone();
        new.router.memory = 32 << 20;
        new.gateway.listen.set_port(9000);
        new.gateway.limits.max_patterns = 32;
        new.gateway.allowed_hosts = vec!["hub.local".to_owned()];
        new.log.level = crate::LogLevel::Debug;
        let diff = diff(&old, &new);
        assert_eq!(
            diff.to_string().lines().collect::<Vec<_>>(),
            [
                "~ gateway.allowed_hosts [] → [\"hub.local\"] (needs a restart)",
                "~ gateway.limits.max_patterns 16 → 32 (needs a restart)",
                "~ gateway.listen 127.0.0.1:8765 → 127.0.0.1:9000 (needs a restart)",
                "~ log.level info → debug",
                "~ router.memory 64MiB → 32MiB (needs a restart)",
            ]
        );
        assert_eq!(diff.needs_restart().count(), 4);
        assert_eq!(diff.start.len() + diff.stop.len() + diff.restart.len(), 0);
    }

    #[test]
    fn keys_that_need_no_restart_exist() {
        let sections = sections(&Config::default());
        for key in LIVE {
            assert!(sections.pointer(&format!("/{}", key.replace('.', "/"))).is_some(), "{key}");
        }
    }

    #[test]
    fn settings_are_compared_key_by_key_however_deep() {
        let old = with("disk", |disk| {
            disk.settings = json!({"a": {"b": 1, "c": [1]}, "gone": true}).as_object().unwrap().clone();
        });
        let new = with("disk", |disk| {
            disk.settings = json!({"a": {"b": 2, "c": [1]}, "new": {"x": {}}}).as_object().unwrap().clone();
        });
        assert_eq!(lines(&old, &new), ["~ source.disk.a.b 1 → 2", "- source.disk.gone true", "+ source.disk.new.x {}"]);
    }

    #[test]
    fn equal_configs_differ_in_nothing() {
        let config = with("disk", |disk| disk.grace = Duration::from_millis(1));
        assert!(diff(&config, &config.clone()).is_empty());
    }

    #[test]
    fn a_program_in_another_directory_is_another() {
        let old = with("x", |x| (x.program, x.directory) = (Program::Exec(vec!["x".to_owned()]), "/a".into()));
        let mut new = old.clone();
        new.sources.get_mut("x").unwrap().directory = "/b".into();
        assert_eq!(lines(&old, &new), ["~ source.x (directory) /a → /b"]);
        assert_eq!(diff(&old, &new).restart, ["x"]);
    }

    /// The diff goes to the log and to every client that reads `system_events`.
    #[test]
    fn secrets_are_not_shown() {
        let secret = |value: &str| {
            let settings = json!({"api_token": value, "feeds": [{"password": value, "name": "n"}], "url": format!("https://u:{value}@h/")});
            with("x", |x| x.settings = settings.as_object().unwrap().clone())
        };
        let diff = diff(&secret("hunter1"), &secret("hunter2"));
        assert_eq!(diff.changes.len(), 3);
        assert!(!diff.to_string().contains("hunter"), "{diff}");
        let exec = |value: &str| {
            with("x", |x| {
                x.program =
                    Program::Exec(vec!["x".into(), "--token".into(), value.into(), format!("--api-key={value}")]);
            })
        };
        let lines = lines(&exec("hunter1"), &exec("hunter2"));
        assert_eq!(
            lines,
            [
                "~ source.x.exec [\"x\", \"--token\", \"•••\", \"--api-key=•••\"] → [\"x\", \"--token\", \"•••\", \"--api-key=•••\"]"
            ]
        );
    }
}
